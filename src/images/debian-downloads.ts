// Fetches single packages from a Debian archive and verifies them by the index, which debootstrap has verified.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HolmError, hasCode } from '../base/error.ts';
import type { DebianPackage } from './debian-packages.ts';
import { debootstrapEnvironment } from './debian-release.ts';

const run = promisify(execFile);

export interface DownloadOptions {
  readonly mirror: string;
  /** Where packages are kept. */
  readonly packagesDirectory: string;
  readonly onProgress: (status: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Gives the path of the package's file, fetched unless it is there. Throws `corrupt` when it is not what the index says. */
export async function downloadPackage(wanted: DebianPackage, options: DownloadOptions): Promise<string> {
  const path = wanted.fields.get('Filename') ?? '';
  const digest = wanted.fields.get('SHA256') ?? '';
  if (!/^[\w.+~/%-]+\.deb$/.test(path) || path.split('/').includes('..') || !/^[0-9a-f]{64}$/.test(digest))
    throw new HolmError('corrupt', `Cannot fetch the package "${wanted.name}": the index does not tell its file`);
  const file = join(options.packagesDirectory, basename(path));
  if ((await digestOfFile(file)) === digest) return file;
  options.onProgress(`Retrieving ${wanted.name} ${wanted.fields.get('Version') ?? ''}`);
  await mkdir(options.packagesDirectory, { recursive: true });
  const fresh = `${file}.${process.pid}.new`;
  try {
    await fetchFile(`${options.mirror}/${path}`, fresh, options.signal);
    const found = await digestOfFile(fresh);
    if (found !== digest)
      throw new HolmError(
        'corrupt',
        `Cannot use the package "${wanted.name}": its digest is "${found}", not "${digest}"`,
      );
    await rename(fresh, file);
    return file;
  } finally {
    await rm(fresh, { force: true });
  }
}

async function fetchFile(url: string, file: string, signal: AbortSignal | undefined): Promise<void> {
  if (url.startsWith('file:')) {
    await copyFile(fileURLToPath(url), file);
    return;
  }
  try {
    const options = { env: await debootstrapEnvironment(), ...(signal === undefined ? {} : { signal }) };
    await run('wget', ['-q', '-T', '20', '-t', '3', '-O', file, url], options);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new HolmError('unavailable', `Cannot fetch "${url}"`, { cause });
  }
}

async function digestOfFile(file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  return hash.digest('hex');
}
