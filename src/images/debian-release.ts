// What a suite of a Debian archive is at this moment: its InRelease file names every package version in it, so its digest
// says whether an image made earlier is still the same, and its date is the time of all that is made from it.
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Digest, digestOf } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import type { AptSource } from './apt-sources.ts';

const run = promisify(execFile);

export interface DebianRelease {
  readonly digest: Digest;
  /** Seconds since 1970. */
  readonly epoch: number;
}

/** Reads a release file's date. Throws `corrupt` when it has none. */
export function parseRelease(bytes: Uint8Array): DebianRelease {
  const date = /^Date:\s*(.+)$/m.exec(Buffer.from(bytes).toString('utf8'))?.[1];
  const millis = Date.parse(date ?? '');
  if (Number.isNaN(millis))
    throw new HolmError('corrupt', 'Cannot read the release file of the archive: it has no date');
  return { digest: digestOf(bytes), epoch: Math.floor(millis / 1000) };
}

/** Asks the archive. Its signature is checked by debootstrap, later. */
export async function fetchRelease(
  mirror: string,
  suite: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<DebianRelease> {
  const url = `${mirror}/dists/${suite}/InRelease`;
  try {
    if (url.startsWith('file:')) return parseRelease(await readFile(fileURLToPath(url)));
    const { stdout } = await run('wget', ['-q', '-T', '20', '-t', '3', '-O', '-', url], {
      encoding: 'buffer',
      env: environment,
      maxBuffer: 8 * 1024 * 1024,
      ...(signal === undefined ? {} : { signal }),
    });
    return parseRelease(stdout);
  } catch (cause) {
    if (cause instanceof HolmError) throw cause;
    throw new HolmError('unavailable', `Cannot read the release file "${url}"`, { cause });
  }
}

/** A clean environment with the proxies that apt uses; the same on every host, for the sake of the same result. */
export async function debootstrapEnvironment(epoch?: number): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await run('apt-config', ['dump', 'Acquire']).catch(() => ({ stdout: '' }));
  const proxy = (scheme: string): string | undefined =>
    new RegExp(`^Acquire::${scheme}::Proxy "([^"]+)";`, 'mi').exec(stdout)?.[1] ?? process.env[`${scheme}_proxy`];
  const http = proxy('http');
  const https = proxy('https');
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    ...(epoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(epoch) }),
    ...(http === undefined ? {} : { http_proxy: http }),
    ...(https === undefined ? {} : { https_proxy: https }),
  };
}

const defaultKeyrings = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];

/** debootstrap's arguments for checking signatures as apt does; a key in text form is put into `directory` first. */
export async function keyringArguments(source: AptSource | undefined, directory: string): Promise<readonly string[]> {
  if (source?.trusted === true) return ['--no-check-gpg'];
  const signedBy = source?.signedBy ?? '';
  const paths = signedBy.includes('BEGIN PGP') ? [] : signedBy.split(/[\s,]+/).filter((path) => path.startsWith('/'));
  for (const path of [...paths, ...(signedBy.includes('BEGIN PGP') ? [] : defaultKeyrings)]) {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes === undefined) continue;
    return path.endsWith('.asc') ? [await binaryKeyring(bytes.toString('latin1'), directory)] : [`--keyring=${path}`];
  }
  if (signedBy.includes('BEGIN PGP')) return [await binaryKeyring(signedBy, directory)];
  throw new HolmError('unavailable', 'Cannot check the archive’s signature: no keyring of Debian is installed');
}

/** Writes ASCII armor (RFC 9580, section 6.2) as the binary keyring that gpgv wants. */
async function binaryKeyring(armor: string, directory: string): Promise<string> {
  const body =
    /-----BEGIN PGP[^\n]*-----\n(?:[^\n:]+:[^\n]*\n)*\n?([A-Za-z0-9+/=\s]+?)(?:\n=[A-Za-z0-9+/]{4})?\s*-----END/.exec(
      armor,
    );
  if (body === null)
    throw new HolmError('corrupt', 'Cannot read a key of the apt configuration: it is no PGP key block');
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'archive-keyring.gpg');
  await writeFile(path, Buffer.from(body[1]!, 'base64'));
  return `--keyring=${path}`;
}
