// What the machine boots from: an initramfs with the drivers of its disks, and a disk with busybox, the project, its Node and
// its keeper, the docker client, an image, and the checks. All of it is what this host runs itself.
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { command, output } from '../../scripts/command.ts';
import { dockerClient } from '../harness/docker-client.ts';
import { busyboxImage, makeBusyboxRoot } from '../harness/images.ts';
import type { DebianKernel } from './debian-kernel.ts';

export interface Disks {
  readonly initramfs: string;
  /** The machine's root, writable. */
  readonly system: string;
  /** 64 MiB that begin with "MARK", for limits of block I/O and for device rules. */
  readonly spare: string;
}

const project = join(import.meta.dirname, '../..');
const systemBytes = 900 * 2 ** 20;
const spareBytes = 64 * 2 ** 20;

/** What the initramfs needs to find the disk and the way out. */
const drivers = ['drivers/virtio', 'drivers/block/virtio_blk.ko*', 'drivers/char/virtio_console.ko*'];
/** What else the kernel loads when it is first asked for: the network, overlay, checksums. */
const otherModules = ['arch', 'crypto', 'lib', 'net', 'drivers/net/veth.ko*', 'fs/overlayfs'];

/** Makes the disks in a directory. */
export async function makeDisks(directory: string, kernel: DebianKernel): Promise<Disks> {
  const system = join(directory, 'system');
  await makeSystem(system, kernel);
  const early = join(directory, 'early');
  await makeEarly(early, system, kernel);
  return {
    initramfs: await packInitramfs(early, `${early}.cpio`),
    system: await packDisk(system, `${system}.img`),
    spare: makeSpare(join(directory, 'spare.img')),
  };
}

async function makeSystem(root: string, kernel: DebianKernel): Promise<void> {
  await makeBusyboxRoot(root);
  symlinkSync('bin', join(root, 'sbin'));
  for (const name of ['run', 'var/lib', 'lib', 'lib64']) mkdirSync(join(root, name), { recursive: true });
  await buildKeeper();
  const docker = await dockerClient();
  const programs = [docker, join(project, 'node_modules/node/bin/node'), join(project, 'build/holm-keeper')];
  const libraries = await Promise.all(programs.map(librariesOf));
  for (const file of new Set([...programs, ...libraries.flat()])) take(file, root);
  for (const name of ['src', 'bin', 'package.json']) take(join(project, name), root);
  cpSync(join(import.meta.dirname, 'guest'), join(root, 'holm-test'), { recursive: true });
  cpSync(await busyboxImage(), join(root, 'holm-test/busybox.tar'));
  writeFileSync(join(root, 'holm-test/settings'), `project='${project}'\nPATH=$PATH:'${dirname(docker)}'\n`);
  await takeModules([...drivers, ...otherModules], root, join(root, 'bin/busybox'), kernel);
}

async function makeEarly(root: string, system: string, kernel: DebianKernel): Promise<void> {
  for (const name of ['bin', 'sbin', 'dev', 'root']) mkdirSync(join(root, name), { recursive: true });
  const busybox = join(root, 'bin/busybox');
  cpSync(join(system, 'bin/busybox'), busybox);
  cpSync(join(import.meta.dirname, 'guest/init'), join(root, 'init'));
  await takeModules(drivers, root, busybox, kernel);
}

/** Copies a file or directory to the place that it has on this host. */
function take(path: string, root: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  cpSync(path, join(root, path), { recursive: true, dereference: true });
}

/** Paths of the shared libraries of a program, and of what loads them; none of a static one, of which ldd complains. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await command(['ldd', program]);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
}

async function takeModules(
  names: readonly string[],
  root: string,
  busybox: string,
  kernel: DebianKernel,
): Promise<void> {
  const target = join(root, 'lib/modules', kernel.version);
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(kernel.modules)) {
    if (name.startsWith('modules.')) cpSync(join(kernel.modules, name), join(target, name));
  }
  const patterns = names.map((name) => join('kernel', name));
  for (const path of globSync(patterns, { cwd: kernel.modules })) {
    cpSync(join(kernel.modules, path), join(target, path), { recursive: true });
  }
  await output([busybox, 'depmod', '-b', root, kernel.version]);
}

async function packInitramfs(root: string, file: string): Promise<string> {
  await output(['sh', '-c', 'find . | ./bin/busybox cpio -o -H newc >"$0"', file], { cwd: root });
  return file;
}

async function packDisk(root: string, file: string): Promise<string> {
  writeFileSync(file, '');
  truncateSync(file, systemBytes);
  const mke2fs = existsSync('/sbin/mke2fs') ? '/sbin/mke2fs' : 'mke2fs';
  await output([mke2fs, '-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-d', root, file]);
  return file;
}

function makeSpare(file: string): string {
  writeFileSync(file, 'MARK');
  truncateSync(file, spareBytes);
  return file;
}
