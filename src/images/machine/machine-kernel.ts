// Puts Debian's kernel for a machine into a root: the kernel, all its modules with their indexes, and an initial RAM disk of ours.
// It is no package of the root: a machine's kernel is started from outside, and Debian's own initramfs-tools stay away.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HolmError, hasCode } from '../../base/error.ts';
import { type DownloadOptions, downloadPackage } from '../debian-downloads.ts';
import { findPackages } from '../debian-packages.ts';
import { unpackFiles } from '../foreign-root.ts';
import { makeInitramfs } from './initramfs.ts';
import { KernelModules } from './kernel-modules.ts';
import { machineLabels } from './machine-files.ts';

const run = promisify(execFile);

export interface KernelOptions extends DownloadOptions {
  /** As Debian has it. */
  readonly architecture: string;
  /** A directory to work in. */
  readonly work: string;
}

/** Adds kernel and initial RAM disk of the archive with this index of packages; gives the labels that tell where they are. */
export async function addKernel(
  root: string,
  index: string,
  options: KernelOptions,
): Promise<Readonly<Record<string, string>>> {
  const { architecture, work, signal } = options;
  const isOfKernel = (name: string): boolean => /^linux-(?:image|binary|modules)-/.test(name);
  const unpacked = join(work, 'kernel');
  await mkdir(join(unpacked, 'usr/lib/modules'), { recursive: true });
  for (const wanted of findPackages(index, [`linux-image-${architecture}`], isOfKernel))
    await unpackFiles(unpacked, await downloadPackage(wanted, options), signal);
  const [busyboxPackage] = findPackages(index, ['busybox-static'], () => false);
  const tools = join(work, 'tools');
  await mkdir(tools);
  const programs = await unpackFiles(tools, await downloadPackage(busyboxPackage!, options), signal);
  const busybox = programs.find((name) => name.endsWith('bin/busybox'));
  if (busybox === undefined)
    throw new HolmError('notFound', 'Cannot make an initial RAM disk: busybox-static has no busybox');

  const [version, ...others] = await readdir(join(unpacked, 'usr/lib/modules'));
  if (version === undefined || others.length > 0)
    throw new HolmError('unsupported', 'Cannot find the kernel: its packages do not have the modules of one version');
  options.onProgress(`Making the initial RAM disk of kernel ${version}`);
  const modules = join(unpacked, 'usr/lib/modules', version);
  const initramfs = await makeInitramfs(await readFile(join(tools, busybox)), await KernelModules.open(modules));
  await indexModules(unpacked, version);

  await mkdir(join(root, 'boot'), { recursive: true });
  await mkdir(join(root, 'usr/lib/modules'), { recursive: true });
  const paths = { kernel: `/boot/vmlinux-${version}`, initramfs: `/boot/initramfs-${version}.cpio` };
  await rename(await findKernel(unpacked, version), join(root, paths.kernel));
  await rename(modules, join(root, 'usr/lib/modules', version));
  await writeFile(join(root, paths.initramfs), initramfs);
  return { [machineLabels.kernel]: paths.kernel, [machineLabels.initramfs]: paths.initramfs };
}

/** Debian's kernels up to 6 lie in /boot, later ones beside their modules. */
async function findKernel(unpacked: string, version: string): Promise<string> {
  for (const path of [`boot/vmlinux-${version}`, `boot/vmlinuz-${version}`, `usr/lib/modules/${version}/vmlinuz`]) {
    const file = join(unpacked, path);
    const content = await readFile(file).catch(() => undefined);
    if (content === undefined) continue;
    if (isRiscvImage(content)) return file;
    throw new HolmError('unsupported', `Cannot use the kernel "${path}": it is no raw Image for RISC-V`);
  }
  throw new HolmError('notFound', `Cannot find the kernel ${version}: its packages have no file of it`);
}

/** The magic number of a RISC-V Image (the kernel's Documentation/arch/riscv/boot-image-header.rst, "magic2"). */
function isRiscvImage(content: Buffer): boolean {
  return content.length > 64 && content.readUInt32LE(0x38) === 0x05435352;
}

/** Makes modules.dep and its like, which the package leaves to its installation. */
async function indexModules(unpacked: string, version: string): Promise<void> {
  await symlink('usr/lib', join(unpacked, 'lib'));
  try {
    await run('depmod', ['-b', unpacked, version], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
    });
  } catch (cause) {
    const isAbsent = hasCode(cause, 'ENOENT');
    const why = isAbsent ? 'depmod is not installed (Debian package kmod)' : 'depmod failed';
    throw new HolmError(isAbsent ? 'unavailable' : 'internal', `Cannot index the kernel’s modules: ${why}`, { cause });
  }
}
