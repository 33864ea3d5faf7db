// `holm cp`. What lands where follows docker: into a directory that exists, else under the name given; "dir/." means its content.
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, posix, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HolmError, kindOf } from '../../base/error.ts';
import { formatBytes } from '../../base/units.ts';
import { type Body, type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { extractTar } from '../tar/extract.ts';
import { packTar } from '../tar/pack.ts';

interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's os.FileMode bits. */
  readonly mode: number;
  readonly linkTarget: string;
}

interface Options {
  readonly archive: boolean;
  readonly followLink: boolean;
  readonly quiet: boolean;
}

/** Bits of Go's os.FileMode. */
const modeDirectory = 2 ** 31;
const modeSymlink = 2 ** 27;

export async function cp({ flags, positionals, client }: Invocation): Promise<number> {
  const [from, to] = positionals.map(splitArgument) as [Place, Place];
  const options = {
    archive: flags.bool('archive'),
    followLink: flags.bool('follow-link'),
    quiet: flags.bool('quiet') || !process.stderr.isTTY,
  };
  if (from.container !== '' && to.container !== '')
    throw new HolmError('unsupported', 'copying between containers is not supported');
  if (from.container === '' && to.container === '')
    throw new HolmError('invalid', 'must specify at least one container source');
  if (from.container !== '') await copyOut(client, from, to.path, options);
  else await copyIn(client, from.path, to, options);
  return 0;
}

interface Place {
  readonly container: string;
  readonly path: string;
}

/** "web:/etc" or a path of the host: absolute, or with "." first, or without a colon. */
function splitArgument(text: string): Place {
  const colon = text.indexOf(':');
  if (isAbsolute(text) || colon < 1 || text.startsWith('.')) return { container: '', path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) || '/' };
}

async function copyOut(client: Client, from: Place, to: string, options: Options): Promise<void> {
  let path = from.path;
  if (options.followLink) path = (await resolveLink(client, from.container, path)).path;
  const url = `/containers/${escapePath(from.container)}/archive`;
  const { headers, body } = await client.request('GET', url, { query: { path } });
  if (to === '-') {
    await pipeline(Readable.from(body, { objectMode: false }), process.stdout, { end: false });
    return;
  }
  const source = readStat(headers.get('x-docker-container-path-stat'));
  const base = baseOf(path);
  const target = await hostTarget(to, base, isDirectory(source));
  const bytes = await extractTar(body, target, { base, keepOwners: options.archive });
  if (!options.quiet) process.stderr.write(`Successfully copied ${formatBytes(bytes)} to ${resolve(to)}\n`);
}

/** The path on the host that the source becomes. */
async function hostTarget(to: string, base: string, sourceIsDirectory: boolean): Promise<string> {
  const info = await stat(to).catch(() => undefined);
  const path = info === undefined ? resolve(to) : await realpath(to);
  if (info?.isDirectory()) return base === '.' ? path : resolve(path, base);
  if (info !== undefined && (sourceIsDirectory || endsWithSlash(to)))
    throw new HolmError('conflict', 'cannot copy directory');
  if (info === undefined && !sourceIsDirectory && endsWithSlash(to))
    throw new HolmError('notFound', `no such directory: "${to}"`);
  const parent = await stat(dirname(path)).catch(() => undefined);
  if (!parent?.isDirectory())
    throw new HolmError('notFound', `invalid output path: directory "${dirname(path)}" does not exist`);
  return path;
}

async function copyIn(client: Client, from: string, to: Place, options: Options): Promise<void> {
  const { path, stat: found } = await resolveLink(client, to.container, to.path);
  const intoDirectory = found !== undefined && isDirectory(found);
  let directory = path;
  let stream: Body;
  if (from === '-') {
    if (!intoDirectory) throw new HolmError('invalid', `destination "${to.container}:${to.path}" must be a directory`);
    stream = process.stdin;
  } else {
    const follow = options.followLink || endsWithSlash(from) || from.endsWith('/.') || from === '.';
    const source = await (follow ? stat : lstat)(from).catch((error: unknown) => {
      throw new HolmError('notFound', `lstat ${from}: no such file or directory`, { cause: error });
    });
    if (found !== undefined && !intoDirectory && source.isDirectory())
      throw new HolmError('conflict', 'cannot copy directory');
    if (found === undefined && !source.isDirectory() && endsWithSlash(to.path))
      throw new HolmError('notFound', 'no such directory');
    if (!intoDirectory) directory = posix.dirname(path);
    stream = packTar(from, intoDirectory ? baseOf(from) : posix.basename(path), follow);
  }
  let bytes = 0;
  const counted = async function* () {
    for await (const chunk of stream) {
      bytes += chunk.length;
      yield chunk;
    }
  };
  await client.json('PUT', `/containers/${escapePath(to.container)}/archive`, {
    query: { path: directory, noOverwriteDirNonDir: 'true', copyUIDGID: options.archive ? 'true' : undefined },
    stream: counted(),
    headers: { 'Content-Type': 'application/x-tar' },
  });
  if (!options.quiet) process.stderr.write(`Successfully copied ${formatBytes(bytes)} to ${to.container}:${to.path}\n`);
}

/** The path after a link at its end, and what stands there, if anything. */
async function resolveLink(
  client: Client,
  container: string,
  path: string,
): Promise<{ path: string; stat: PathStat | undefined }> {
  const first = await statPath(client, container, path);
  if (first === undefined || (Math.floor(first.mode / modeSymlink) & 1) === 0) return { path, stat: first };
  const target = posix.isAbsolute(first.linkTarget)
    ? first.linkTarget
    : posix.join(posix.dirname(path), first.linkTarget);
  return { path: target, stat: await statPath(client, container, target) };
}

async function statPath(client: Client, container: string, path: string): Promise<PathStat | undefined> {
  try {
    const { headers } = await client.request('HEAD', `/containers/${escapePath(container)}/archive`, {
      query: { path },
    });
    return readStat(headers.get('x-docker-container-path-stat'));
  } catch (error) {
    if (kindOf(error) === 'notFound') return undefined;
    throw error;
  }
}

function readStat(header: string | undefined): PathStat {
  if (header === undefined) throw new HolmError('corrupt', 'Cannot read the answer: it tells nothing about the path');
  return JSON.parse(Buffer.from(header, 'base64').toString()) as PathStat;
}

function isDirectory(info: PathStat): boolean {
  return info.mode >= modeDirectory;
}

/** The last component, "." for "dir/." and for the root. */
function baseOf(path: string): string {
  if (path === '.' || path.endsWith('/.')) return '.';
  return basename(path) === '' ? '.' : basename(path);
}

function endsWithSlash(path: string): boolean {
  return path.endsWith('/') || path.endsWith('/.');
}
