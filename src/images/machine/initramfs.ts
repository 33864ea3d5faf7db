// The initial RAM file system of a machine: Debian's static busybox, the modules that lead to the root file system, and our
// /init (initramfs-script.ts). Not compressed: unpacking is the guest's work, and a guest's CPU is slower than a host's disk.
import { type CpioEntry, formatCpio } from './cpio.ts';
import { initScript } from './initramfs-script.ts';
import type { KernelModules } from './kernel-modules.ts';

/** What each list of modules is for: the bus, the kinds of device by their virtio id (virtio 1.2, section 5), the root. */
const moduleLists: Readonly<Record<string, readonly string[]>> = {
  bus: ['virtio_mmio', 'virtio_pci'],
  'virtio-0x0001': ['virtio_net'],
  'virtio-0x0002': ['virtio_blk'],
  'virtio-0x0003': ['virtio_console'],
  'virtio-0x0004': ['virtio_rng'],
  'virtio-0x0005': ['virtio_balloon'],
  'virtio-0x0009': ['9p', '9pnet_virtio'],
  'virtio-0x0013': ['vmw_vsock_virtio_transport'],
  'virtio-0x001a': ['virtiofs'],
  root: ['crc32c_generic', 'ext4', 'overlay', 'erofs'],
};

/** busybox's applets that /init uses, and those that a person at the rescue shell looks for. */
const applets =
  '[ awk blkid cat chmod chroot cp cttyhack date dd df dmesg du echo env expr false find free grep gzip halt head hexdump hostname ifconfig ' +
  'insmod ip kill less ln ls lsmod mkdir mknod more mount mv nc nproc od ping poweroff printf ps pwd reboot rm rmdir ' +
  'rmmod route sed setsid sh sha256sum sleep sort stat switch_root sync tail tar test time top touch tr true udhcpc umount ' +
  'uname uptime vi wc wget xz';

/** The archive for a kernel's modules. The same busybox and modules give the same bytes. */
export async function makeInitramfs(busybox: Uint8Array, modules: KernelModules): Promise<Buffer> {
  const entries: CpioEntry[] = ['bin', 'dev', 'lib', 'lib/modules', 'lower', 'proc', 'root', 'sys', 'tmp', 'upper'].map(
    (path) => ({ path, is: 'directory' }),
  );
  entries.push({ path: 'dev/console', is: 'device', major: 5, minor: 1 });
  entries.push({ path: 'bin/busybox', is: 'file', content: busybox, executable: true });
  for (const applet of applets.split(' ')) entries.push({ path: `bin/${applet}`, is: 'link', target: 'busybox' });
  entries.push({ path: 'init', is: 'file', content: Buffer.from(initScript), executable: true });
  const needed = new Set<string>();
  for (const [list, wanted] of Object.entries(moduleLists)) {
    const order = await modules.orderOf(wanted);
    for (const name of order) needed.add(name);
    const content = Buffer.from(order.map((name) => `${name}\n`).join(''));
    entries.push({ path: `lib/modules/${list}`, is: 'file', content });
  }
  for (const name of [...needed].sort()) {
    const { content } = await modules.get(name);
    entries.push({ path: `lib/modules/${name}.ko`, is: 'file', content });
  }
  return formatCpio(entries);
}
