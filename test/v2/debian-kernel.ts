// Debian's own kernel for a machine: taken out of its package and kept unpacked, never installed.
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { output } from '../../scripts/command.ts';
import { updatePackageLists } from '../../scripts/debian.ts';
import { cacheDirectory } from '../harness/docker-client.ts';

export interface DebianKernel {
  /** As `uname -r` says it. */
  readonly version: string;
  /** Path of the kernel itself. */
  readonly image: string;
  /** Path of its modules. */
  readonly modules: string;
}

/** The small kernel that Debian makes for machines without hardware of their own; it depends on the newest of its kind. */
const newest = 'linux-image-cloud-amd64';

/** The kernel of this host's Debian release, which is fetched if it is not kept already. */
export async function debianKernel(): Promise<DebianKernel> {
  const kept = join(cacheDirectory, 'kernel');
  if (!existsSync(kept)) await fetchKernel(kept);
  const [modules] = globSync(join(kept, '{usr/lib,lib}/modules/*'));
  if (modules === undefined) throw new Error(`"${kept}" holds no kernel`);
  const version = basename(modules);
  return { version, image: join(kept, 'boot', `vmlinuz-${version}`), modules };
}

async function fetchKernel(target: string): Promise<void> {
  await updatePackageLists();
  const depends = await output(['apt-cache', 'depends', '--important', newest]);
  const name = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`Debian package "${newest}" names no kernel:\n${depends}`);
  mkdirSync(dirname(target), { recursive: true });
  const work = `${target}.${process.pid}`;
  mkdirSync(work);
  try {
    await output(['apt-get', 'download', '-qq', '-o', 'APT::Sandbox::User=root', name], { cwd: work });
    const archive = globSync(join(work, '*.deb'))[0] ?? '';
    await output(['dpkg-deb', '-x', archive, join(work, 'content')]);
    renameSync(join(work, 'content'), target);
  } finally {
    rmSync(work, { recursive: true });
  }
}
