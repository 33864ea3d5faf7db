// Takes out of a fresh Debian root what belongs to the host or to the moment of its making, so that the same packages give
// the same files. No symbolic link inside the root is followed.
import { lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HolmError } from '../base/error.ts';

/** Directories that are emptied. */
const emptied = ['dev', 'tmp', 'var/tmp', 'var/lib/apt/lists'];
/** Directories out of which files go, at any depth, by their names. */
const cleaned: readonly { readonly directory: string; readonly files: RegExp }[] = [
  { directory: 'var/log', files: /./ },
  { directory: 'var/cache/apt', files: /\.(?:deb|bin)$/ },
  { directory: 'var/cache/ldconfig', files: /^aux-cache$/ },
  { directory: 'var/cache/debconf', files: /-old$/ },
];
/** Single files and directories. */
const removed = [
  'debootstrap',
  'etc/hostname',
  'etc/resolv.conf',
  'etc/.pwd.lock',
  'etc/passwd-',
  'etc/group-',
  'etc/shadow-',
  'etc/gshadow-',
  'etc/subuid-',
  'etc/subgid-',
  'var/lib/dbus/machine-id',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
  'var/lib/systemd/random-seed',
];

/** Cleans the root directory of a Debian system that nobody runs. */
export async function cleanRoot(root: string): Promise<void> {
  for (const path of emptied) {
    const directory = await findDirectory(root, path);
    if (directory === undefined) continue;
    for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
  }
  for (const { directory: path, files } of cleaned) {
    const directory = await findDirectory(root, path);
    if (directory !== undefined) await removeFiles(directory, files);
  }
  for (const path of removed) {
    const directory = await findDirectory(root, join(path, '..'));
    if (directory !== undefined) await rm(join(root, path), { recursive: true, force: true });
  }
  await emptyMachineId(root);
}

/** systemd takes an empty machine-id as "to be filled at first boot" (machine-id(5)). */
async function emptyMachineId(root: string): Promise<void> {
  const directory = await findDirectory(root, 'etc');
  if (directory === undefined) throw new HolmError('corrupt', `Cannot clean "${root}": it has no /etc`);
  const path = join(directory, 'machine-id');
  await rm(path, { force: true });
  await writeFile(path, '', { flag: 'wx', mode: 0o444 });
}

async function removeFiles(directory: string, files: RegExp): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await removeFiles(path, files);
    else if (files.test(entry.name)) await rm(path);
  }
}

/** The path of a directory within the root; undefined when it, or one above it, is not there or is a link. */
async function findDirectory(root: string, path: string): Promise<string | undefined> {
  let at = root;
  for (const part of path.split('/').filter((name) => name !== '' && name !== '.')) {
    at = join(at, part);
    const status = await lstat(at).catch(() => undefined);
    if (status?.isDirectory() !== true) return undefined;
  }
  return at;
}
