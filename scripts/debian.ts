// Debian packages that the scripts need: installs what is missing, says clearly what cannot be had.
import { accessSync, constants, existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { command, output } from './command.ts';

/** A program or file that is needed, and the package that brings it. */
export interface Need {
  readonly package: string;
  /** A program's name, or a path from the root with `*` allowed. */
  readonly provides: string;
  readonly for: string;
}

/** Where a program is on PATH or in the system's own folders; undefined if nowhere. */
export function findProgram(name: string): string | undefined {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/bin',
  ];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isThere(need: Need): boolean {
  if (!need.provides.startsWith('/')) return findProgram(need.provides) !== undefined;
  return existsSync(need.provides) || globSync(need.provides).length > 0;
}

const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
let updated: Promise<void> | undefined;

/** Runs `apt-get update` once in the life of this process. */
export function updatePackageLists(): Promise<void> {
  updated ??= output(['apt-get', 'update', '-qq', '-o', 'DPkg::Lock::Timeout=120'], { env: environment }).then(
    () => {},
  );
  return updated;
}

/** Installs the packages of the needs that are not met; gives their names. */
export async function installMissing(needs: readonly Need[]): Promise<readonly string[]> {
  const missing = needs.filter((need) => !isThere(need));
  if (missing.length === 0) return [];
  const names = [...new Set(missing.map((need) => need.package))];
  const wanted = missing.map((need) => `  ${need.package}, for ${need.for}`).join('\n');
  if (findProgram('apt-get') === undefined) {
    throw new Error(`These Debian packages are needed, and there is no apt-get to install them:\n${wanted}`);
  }
  if (process.getuid?.() !== 0) {
    throw new Error(
      `These Debian packages are needed; only root can install them:\n${wanted}\n  apt-get install ${names.join(' ')}`,
    );
  }
  await updatePackageLists();
  const argv = [
    'apt-get',
    'install',
    '-y',
    '-qq',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
    ...names,
  ];
  await output(argv, { env: environment });
  return names;
}

/** Takes one file out of a Debian package, without installing it; the first of the packages that exists serves. */
export async function takeFromPackage(packages: readonly string[], file: string, target: string): Promise<void> {
  await updatePackageLists();
  const folder = mkdtempSync(join(tmpdir(), 'holm-package-'));
  try {
    for (const name of packages) {
      const options = ['-qq', '-o', 'APT::Sandbox::User=root'];
      const download = await command(['apt-get', 'download', ...options, name], { cwd: folder, env: environment });
      const archive = globSync(join(folder, '*.deb'))[0];
      if (download.code !== 0 || archive === undefined) continue;
      await output(['dpkg-deb', '-x', archive, join(folder, 'content')]);
      rmSync(archive);
      const found = join(folder, 'content', file);
      if (!existsSync(found)) continue;
      mkdirSync(join(target, '..'), { recursive: true });
      await output(['cp', found, `${target}.new`]);
      renameSync(`${target}.new`, target);
      return;
    }
    throw new Error(`"${file}" is in none of the Debian packages ${packages.join(', ')}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
