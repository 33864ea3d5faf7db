// Unpacks Debian packages of any architecture into a root directory as dpkg would, without running anything of theirs: their
// scripts wait for the first boot (first-boot.ts). Order is by name, so the same packages give the same files.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { HolmError, hasCode } from '../base/error.ts';
import { parseControl } from './debian-packages.ts';
import {
  formatList,
  formatStatus,
  formatTriggers,
  type Interest,
  infoNameOf,
  parseConffiles,
  parseInterests,
} from './dpkg-records.ts';

const run = promisify(execFile);

export interface UnpackOptions {
  /** A directory to work in; what is made there is removed again. */
  readonly work: string;
  /** As Debian has it. */
  readonly architecture: string;
  readonly onProgress: (status: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Architectures whose dynamic loader lies in /lib64. */
const withLib64 = ['amd64', 'loong64', 'ppc64el', 's390x'];

/** Unpacks the packages (paths of .deb files) into a root that is made. */
export async function unpackRoot(root: string, archives: readonly string[], options: UnpackOptions): Promise<void> {
  await makeMergedUsr(root, options.architecture);
  const dpkg = join(root, 'var/lib/dpkg');
  for (const name of ['alternatives', 'info', 'parts', 'triggers', 'updates'])
    await mkdir(join(dpkg, name), { recursive: true });
  const statuses: string[] = [];
  const interests: (Interest & { packageName: string })[] = [];
  const sorted = archives.toSorted();
  for (const [at, archive] of sorted.entries()) {
    options.signal?.throwIfAborted();
    options.onProgress(`Unpacking package ${at + 1} of ${sorted.length}`);
    const unpacked = await unpackPackage(root, archive, options);
    statuses.push(unpacked.status);
    interests.push(...unpacked.interests);
  }
  await writeFile(join(dpkg, 'status'), statuses.sort().join(''));
  await writeFile(join(dpkg, 'available'), '');
  await writeFile(join(dpkg, 'info/format'), '1\n');
  for (const [file, text] of formatTriggers(interests)) await writeFile(join(dpkg, 'triggers', file), text);
}

/** Unpacks just the files of a package. */
export async function unpackFiles(
  directory: string,
  archive: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const options = { stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) };
  const reader = spawn('dpkg-deb', ['--fsys-tarfile', archive], options);
  const flags = ['-p', '--numeric-owner', '--same-owner', '--keep-directory-symlink', '--quoting-style=literal'];
  const writer = spawn('tar', ['-x', '-v', ...flags, '-f', '-', '-C', directory], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    ...(signal && { signal }),
  });
  const names: string[] = [];
  let complaint = '';
  createInterface(writer.stdout).on('line', (line) => names.push(line));
  for (const child of [reader, writer])
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-500);
    });
  // tar stops reading at the archive's end mark, before its last padding: that is no error. What counts are the exit codes.
  const letGo = (): void => void reader.stdout.unpipe(writer.stdin).resume();
  reader.stdout.pipe(writer.stdin).on('error', letGo).on('close', letGo);
  reader.on('error', () => writer.stdin.end());
  const ends = [reader, writer].map(async (child) => {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on('error', reject).on('close', resolve);
    return await promise;
  });
  const codes = await Promise.allSettled(ends);
  signal?.throwIfAborted();
  const failed = codes.find((end) => end.status === 'rejected' || end.value !== 0);
  if (failed === undefined) return names;
  const cause: unknown = failed.status === 'rejected' ? failed.reason : undefined;
  if (hasCode(cause, 'ENOENT'))
    throw new HolmError('unavailable', 'Cannot unpack packages: dpkg-deb or tar is not installed', { cause });
  const why = complaint.trim() || (cause instanceof Error ? cause.message : 'dpkg-deb or tar failed');
  throw new HolmError('internal', `Cannot unpack the package "${archive}": ${why}`, { cause });
}

async function unpackPackage(
  root: string,
  archive: string,
  { work, signal }: UnpackOptions,
): Promise<{ status: string; interests: readonly (Interest & { packageName: string })[] }> {
  const names = await unpackFiles(root, archive, signal);
  const control = await mkdtemp(join(work, 'control-'));
  try {
    await run('dpkg-deb', ['--control', archive, control]);
    const read = (name: string): Promise<string> => readFile(join(control, name), 'utf8').catch(() => '');
    const unpacked = parseControl(await read('control'));
    const infoName = infoNameOf(unpacked);
    const info = join(root, 'var/lib/dpkg/info');
    for (const name of (await readdir(control)).sort())
      if (name !== 'control') await copyFile(join(control, name), join(info, `${infoName}.${name}`));
    await writeFile(join(info, `${infoName}.list`), formatList(names));
    const conffiles = await Promise.all(
      parseConffiles(await read('conffiles')).map(async (path): Promise<readonly [string, string]> => {
        const content = await readFile(join(root, path));
        return [path, createHash('md5').update(content).digest('hex')];
      }),
    );
    const interests = parseInterests(await read('triggers'));
    return {
      status: formatStatus(unpacked, conffiles),
      interests: interests.map((interest) => ({ ...interest, packageName: unpacked.name })),
    };
  } finally {
    await rm(control, { recursive: true });
  }
}

/** The links /bin and so on, in which packages of before the merge of /usr find their place. */
async function makeMergedUsr(root: string, architecture: string): Promise<void> {
  await mkdir(root, { mode: 0o755 });
  const names = ['bin', 'lib', 'sbin', ...(withLib64.includes(architecture) ? ['lib64'] : [])];
  for (const name of names) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
}
