// A file or directory of the host as a tar stream, its names beginning with a base of our choice.
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HolmError } from '../../base/error.ts';
import { encodeHeader, padding, type TarEntry } from './header.ts';

/** `follow`: the path itself may be a link to what is meant. `base` '.' gives names without a first component. */
export async function* packTar(path: string, base: string, follow: boolean): AsyncGenerator<Buffer> {
  yield* packOne(path, base, await (follow ? stat(path) : lstat(path)), new Map());
  yield Buffer.alloc(1024);
}

async function* packOne(path: string, name: string, info: Stats, links: Map<string, string>): AsyncGenerator<Buffer> {
  const type = typeOf(info);
  if (type === undefined) return;
  const key = `${info.dev}:${info.ino}`;
  const earlier = type === 'file' && info.nlink > 1 ? links.get(key) : undefined;
  if (type === 'file' && info.nlink > 1) links.set(key, earlier ?? name);
  const entry: TarEntry = {
    name: type === 'directory' ? `${name}/` : name,
    type: earlier === undefined ? type : 'link',
    mode: info.mode & 0o7777,
    uid: info.uid,
    gid: info.gid,
    sizeBytes: type === 'file' && earlier === undefined ? info.size : 0,
    modifiedAt: Math.floor(info.mtimeMs) / 1000,
    linkName: type === 'symlink' ? await readlink(path) : (earlier ?? ''),
    major: (info.rdev >> 8) & 0xfff,
    minor: (info.rdev & 0xff) | ((info.rdev >> 12) & 0xfff00),
  };
  yield encodeHeader(entry);
  if (entry.type === 'file') yield* contentOf(path, entry.sizeBytes);
  if (type !== 'directory') return;
  for (const child of (await readdir(path)).sort())
    yield* packOne(join(path, child), `${name}/${child}`, await lstat(join(path, child)), links);
}

/** Exactly so many bytes: a file that grows meanwhile is cut, one that shrinks is an error. */
async function* contentOf(path: string, bytes: number): AsyncGenerator<Buffer> {
  if (bytes === 0) return;
  let left = bytes;
  for await (const chunk of createReadStream(path, {
    end: bytes - 1,
    highWaterMark: 256 * 1024,
  }) as AsyncIterable<Buffer>) {
    left -= chunk.length;
    yield chunk;
  }
  if (left > 0) throw new HolmError('conflict', `Cannot copy "${path}": it became shorter while it was read`);
  yield padding(bytes);
}

function typeOf(info: Stats): TarEntry['type'] | undefined {
  if (info.isFile()) return 'file';
  if (info.isDirectory()) return 'directory';
  if (info.isSymbolicLink()) return 'symlink';
  if (info.isFIFO()) return 'fifo';
  if (info.isCharacterDevice()) return 'character';
  return info.isBlockDevice() ? 'block' : undefined;
}
