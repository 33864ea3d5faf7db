// What every machine of the bench boots from: Debian's kernel, its initial RAM disk, a read-only disk with Debian (and iperf3)
// on it and a writable one that is configured. Made once from Debian's packages, kept in the cache: remove its directory to renew.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { command, output } from '../../scripts/command.ts';
import { createDebianImage } from '../../src/images/from-debian.ts';
import { findMachineFiles } from '../../src/images/machine/machine-files.ts';
import { createWritableDisk, DiskStore } from '../../src/layers/disk-store.ts';
import { TestStores } from '../../test/images/stores.ts';
import { qemu } from './kinds.ts';

/** To be raised when the way of making these changes. */
const recipe = 1;
const suite = 'trixie';
const upperBytes = 2 ** 31;
const configureMs = 30 * 60_000;
const kept = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm/bench', `machine-${recipe}`);

export interface Artefacts {
  /** A raw Image. */
  readonly kernel: string;
  /** As /boot names it. */
  readonly kernelVersion: string;
  readonly initramfs: string;
  /** EROFS: Debian with its own init, and iperf3. */
  readonly lower: string;
  /** ext4, sparse: its first boot is done. To be copied before use. */
  readonly upper: string;
}

/** Gives them from the cache, or makes them first; `directory` is a place to work in, on a file system with devices. */
export async function openArtefacts(directory: string, tell: (status: string) => void): Promise<Artefacts> {
  if (!existsSync(kept)) {
    const fresh = `${kept}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    await make(fresh, directory, tell);
    await configure(fresh, tell);
    await rename(fresh, kept);
  }
  const kernelVersion = await readFile(join(kept, 'kernel-version'), 'utf8');
  return { ...filesIn(kept), kernelVersion };
}

function filesIn(directory: string): Omit<Artefacts, 'kernelVersion'> {
  return {
    kernel: join(directory, 'kernel'),
    initramfs: join(directory, 'initramfs.cpio'),
    lower: join(directory, 'lower.erofs'),
    upper: join(directory, 'upper.img'),
  };
}

async function make(fresh: string, directory: string, tell: (status: string) => void): Promise<void> {
  await using stores = await TestStores.open(join(directory, 'stores'));
  const { image } = await createDebianImage(stores.images, stores.kernel, {
    suite,
    architecture: 'riscv64',
    kernel: true,
    include: ['iperf3'],
    reference: 'debian:machine',
    workDirectory: join(stores.directory, 'work'),
    onProgress: (status) => tell(`Debian: ${status}`),
  });
  const found = await findMachineFiles(image, stores.layers);
  if (found?.initramfs === undefined) throw new Error('The image has no kernel or no initial RAM disk');
  const files = filesIn(fresh);
  await copyFile(found.kernel, files.kernel);
  await copyFile(found.initramfs, files.initramfs);
  await writeFile(join(fresh, 'kernel-version'), basename(found.kernel).replace(/^vmlinu[xz]-/, ''));
  tell('Making the read-only disk');
  const disks = await DiskStore.open(join(directory, 'disks'), stores.layers);
  await copyFile(await disks.make(image.layers.map(({ chainId }) => chainId)), files.lower);
  await createWritableDisk(files.upper, upperBytes);
}

/** The packages' scripts run once, in QEMU: who does it makes no difference to what is measured afterwards. */
async function configure(fresh: string, tell: (status: string) => void): Promise<void> {
  tell('Configuring Debian on the writable disk, once; this takes minutes');
  const { kernel, initramfs, lower, upper } = filesIn(fresh);
  const argv = qemu.command(
    {
      harts: 1,
      ramBytes: 2 ** 30,
      ...{ kernel, initrd: initramfs, network: false },
      commandLine: 'console=ttyS0 holm.lower=lower holm.upper=upper holm.first-boot-only',
      disks: [
        { path: lower, serial: 'lower', readOnly: true },
        { path: upper, serial: 'upper', readOnly: false },
      ],
    },
    fresh,
  );
  const { code, output: said } = await command(argv, { timeoutMs: configureMs });
  if (code !== 0 || !/reboot: Power down/.test(said)) {
    throw new Error(`Debian cannot be configured (code ${code}):\n${said.split('\n').slice(-15).join('\n')}`);
  }
  await output(['e2fsck', '-p', upper], { timeoutMs: 60_000 }).catch(() => {});
}
