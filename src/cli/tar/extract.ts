// Writes a tar stream of one file or directory below a path of the host. The archive comes from a container and is not trusted:
// no entry may leave the target, neither by its name nor through a link that an earlier entry made.
import { createWriteStream } from 'node:fs';
import { chmod, chown, lchown, link, lstat, lutimes, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HolmError, hasCode } from '../../base/error.ts';
import type { Body } from '../client.ts';
import type { TarEntry } from './header.ts';
import { readTar } from './read.ts';

export interface ExtractOptions {
  /** The first component of all names, which `target` takes the place of; '.' for none. */
  readonly base: string;
  /** Give files the owners of the archive. */
  readonly keepOwners: boolean;
}

/** Gives the bytes of content written. */
export async function extractTar(body: Body, target: string, options: ExtractOptions): Promise<number> {
  const directories = new Map<string, TarEntry>();
  const safe = new Set<string>([dirname(target)]);
  let bytes = 0;
  for await (const { entry, content } of readTar(body)) {
    const path = pathOf(entry.name, target, options.base);
    await checkParents(path, target, safe);
    if (entry.type === 'directory') {
      await makeDirectory(path);
      safe.add(path);
      directories.set(path, entry);
      continue;
    }
    await removeOld(path);
    if (entry.type === 'file') {
      await pipeline(Readable.from(content), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
      bytes += entry.sizeBytes;
    } else if (entry.type === 'symlink') await symlink(entry.linkName, path);
    else if (entry.type === 'link') {
      const source = pathOf(entry.linkName, target, options.base);
      await checkParents(source, target, safe);
      await link(source, path);
      continue;
    } else throw new HolmError('unsupported', `Cannot make "${path}": a ${entry.type} cannot be copied to the host`);
    await setAttributes(path, entry, options.keepOwners);
  }
  for (const [path, entry] of [...directories].reverse()) await setAttributes(path, entry, options.keepOwners);
  return bytes;
}

/** Where an entry goes; throws for a name that leads out. */
function pathOf(name: string, target: string, base: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new HolmError('corrupt', `Cannot copy "${name}": it leads out of the archive`);
  if (base !== '.' && parts[0] !== base)
    throw new HolmError('corrupt', `Cannot copy "${name}": the archive is of "${base}"`);
  return join(target, ...(base === '.' ? parts : parts.slice(1)));
}

/** All directories between the target and the path must be directories, not links; missing ones are made. */
async function checkParents(path: string, target: string, safe: Set<string>): Promise<void> {
  const missing: string[] = [];
  for (let at = dirname(path); !safe.has(at) && at.length >= target.length; at = dirname(at)) missing.push(at);
  for (const directory of missing.reverse()) {
    await makeDirectory(directory);
    safe.add(directory);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    if ((await lstat(path)).isDirectory()) return;
    throw new HolmError('conflict', `cannot overwrite non-directory "${path}" with directory`);
  }
}

async function removeOld(path: string): Promise<void> {
  const old = await lstat(path).catch(() => undefined);
  if (old?.isDirectory()) throw new HolmError('conflict', `cannot overwrite directory "${path}" with non-directory`);
  if (old !== undefined) await rm(path);
}

async function setAttributes(path: string, entry: TarEntry, keepOwners: boolean): Promise<void> {
  if (entry.type === 'symlink') {
    if (keepOwners) await lchown(path, entry.uid, entry.gid);
    await lutimes(path, entry.modifiedAt, entry.modifiedAt);
    return;
  }
  if (keepOwners) await chown(path, entry.uid, entry.gid);
  await chmod(path, entry.mode);
  await utimes(path, entry.modifiedAt, entry.modifiedAt);
}
