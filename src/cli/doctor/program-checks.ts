// What the doctor looks for to run machines, and the programs of others that holm uses when they are there.
import { type Check, type Finding, lacks, ok, warns } from './check.ts';
import type { Host } from './host.ts';

/** The first "1.2" or "1.2.3" that a program prints about itself. */
const program =
  (name: string, args: readonly string[] = ['--version']) =>
  async (host: Host): Promise<Finding> => {
    const printed = await host.run(name, args);
    if (printed === undefined) return lacks('not installed');
    return ok(/\d+\.\d+(?:\.\d+)*/.exec(printed)?.[0] ?? 'installed');
  };

const device =
  (path: string) =>
  (host: Host): Finding =>
    host.exists(path) ? ok(path) : lacks(`no ${path}`);

export const programChecks: readonly Check[] = [
  {
    name: 'KVM',
    section: 'machines',
    required: false,
    purpose: "machines at the processor's own speed; without it they run in software",
    remedy: 'turn on virtualization in the firmware, or nested virtualization on the outer host; modprobe kvm',
    look: device('/dev/kvm'),
  },
  {
    name: 'tun',
    section: 'machines',
    required: false,
    purpose: 'the network card of a machine',
    remedy: 'modprobe tun',
    look: device('/dev/net/tun'),
  },
  {
    name: 'qemu-system-x86_64',
    section: 'machines',
    required: false,
    purpose: 'x86-64 machines',
    remedy: 'apt-get install qemu-system-x86',
    look: program('qemu-system-x86_64'),
  },
  {
    name: 'qemu-system-aarch64',
    section: 'machines',
    required: false,
    purpose: 'arm64 machines',
    remedy: 'apt-get install qemu-system-arm',
    look: program('qemu-system-aarch64'),
  },
  {
    name: 'qemu-system-riscv64',
    section: 'machines',
    required: false,
    purpose: 'riscv64 machines faster than in holm itself',
    remedy: 'apt-get install qemu-system-misc',
    look: program('qemu-system-riscv64'),
  },
  {
    name: 'criu',
    section: 'programs',
    required: false,
    purpose: 'checkpoints and migration of containers',
    remedy: 'criu 4.1 or newer: older ones fail on kernels from 6.13 on',
    look: async (host) => {
      const found = await program('criu')(host);
      const [major = 0, minor = 0] = found.detail.split('.').map(Number);
      return found.state === 'ok' && major * 100 + minor < 401 ? warns(`${found.detail} is older than 4.1`) : found;
    },
  },
  {
    name: 'debootstrap',
    section: 'programs',
    required: false,
    purpose: "holm image from-debian: images from Debian's packages",
    remedy: 'apt-get install debootstrap',
    look: program('debootstrap'),
  },
  {
    name: 'depmod',
    section: 'programs',
    required: false,
    purpose: 'holm image from-debian --kernel: images for machines',
    remedy: 'apt-get install kmod',
    look: program('depmod'),
  },
  {
    name: 'erofs-utils',
    section: 'programs',
    required: false,
    purpose: 'the read-only disks of machines',
    remedy: 'apt-get install erofs-utils',
    look: program('mkfs.erofs', ['-V']),
  },
  {
    name: 'C compiler',
    section: 'programs',
    required: false,
    purpose: 'building the keeper where no built one is shipped',
    remedy: 'apt-get install gcc libc6-dev',
    look: async (host) => {
      const found = await program('cc')(host);
      return found.state === 'ok' ? found : program('gcc')(host);
    },
  },
  {
    name: 'static C library',
    section: 'programs',
    required: false,
    purpose: 'the keeper, which is linked statically',
    remedy: 'apt-get install libc6-dev',
    look: async (host) => {
      const path = (await host.run('cc', ['-print-file-name=libc.a']))?.trim() ?? '';
      return path.startsWith('/') && host.exists(path) ? ok(path) : lacks('no libc.a');
    },
  },
];
