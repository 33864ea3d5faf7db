// Disks on which the packages of an image are configured: what a first boot writes, made once for an image in a machine of its
// own and copied for each machine after that. Named by the image's layers; nothing in them is one machine's (its id, its keys).
// A copy is kept in the cache directory, as finished images are, so that another state directory need not make it again.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { log } from '../base/log.ts';
import { syncDirectory } from '../content/durable.ts';

const run = promisify(execFile);

/** Of each such disk; a machine whose disk is smaller has a first boot of its own. */
export const configuredDiskBytes: number = 8 * 2 ** 30;

const unfinished = '.unfinished';

/** To be raised when the disk of a first boot changes otherwise than by its image. */
const recipe = 1;

/** Copies that the cache keeps, the newest. */
const mostCached = 4;

export class ConfiguredDisks {
  readonly #directory: string;
  readonly #cacheDirectory: string;
  readonly #locks = new Locks();

  constructor(directory: string, cacheDirectory: string) {
    this.#directory = directory;
    this.#cacheDirectory = cacheDirectory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) if (name.endsWith(unfinished)) rmSync(join(directory, name));
  }

  /** The disk for the image with this topmost chain id. Unless it is there, `configure` makes it. */
  async make(chainId: Digest, configure: (fresh: string) => Promise<void>): Promise<string> {
    const file = this.#fileOf(chainId);
    return await this.#locks.hold(file, async () => {
      if (existsSync(file)) return file;
      const fresh = `${file}${unfinished}`;
      using undo = new DisposableStack();
      undo.defer(() => rmSync(fresh, { force: true }));
      const cached = join(this.#cacheDirectory, basename(file));
      const isCached = existsSync(cached);
      if (isCached) await copyDisk(cached, fresh, configuredDiskBytes);
      else await configure(fresh);
      await settle(fresh, file);
      if (!isCached) await this.#keep(file, cached);
      return file;
    });
  }

  /** What cannot be kept is made again another time. */
  async #keep(file: string, cached: string): Promise<void> {
    try {
      mkdirSync(this.#cacheDirectory, { recursive: true, mode: 0o700 });
      const fresh = `${cached}.${process.pid}${unfinished}`;
      await copyDisk(file, fresh, configuredDiskBytes);
      await settle(fresh, cached);
      const names = readdirSync(this.#cacheDirectory).filter((name) => name.endsWith('.ext4'));
      const ageOf = (name: string): number => statSync(join(this.#cacheDirectory, name)).mtimeMs;
      const old = names.sort((a, b) => ageOf(b) - ageOf(a)).slice(mostCached);
      for (const name of old) rmSync(join(this.#cacheDirectory, name));
    } catch (error) {
      log('warn', 'Cannot keep a configured disk in the cache', { file: cached, error });
    }
  }

  /** Removes the disks of all images but these. */
  retain(chainIds: readonly Digest[]): void {
    const wanted = new Set(chainIds.map((chainId) => this.#fileOf(chainId)));
    for (const name of readdirSync(this.#directory)) {
      const file = join(this.#directory, name);
      if (!name.endsWith(unfinished) && !wanted.has(file)) rmSync(file, { force: true });
    }
  }

  #fileOf(chainId: Digest): string {
    return join(this.#directory, `${hexOf(digestOf(`${recipe} ${chainId}`)).slice(0, 24)}.ext4`);
  }
}

async function settle(fresh: string, file: string): Promise<void> {
  await using handle = await open(fresh, 'r+');
  await handle.sync();
  await rename(fresh, file);
  await syncDirectory(dirname(file));
}

/** Copies a disk, sharing blocks where the file system can, holes as holes; a larger copy ends in a hole. */
export async function copyDisk(source: string, target: string, sizeBytes: number): Promise<void> {
  try {
    await run('cp', ['--reflink=auto', '--sparse=always', '--', source, target], { env: { PATH: '/usr/bin:/bin' } });
    await using handle = await open(target, 'r+');
    await handle.truncate(sizeBytes);
    // On the disk before any record names it.
    await handle.sync();
  } catch (cause) {
    rmSync(target, { force: true });
    throw new HolmError('internal', `Cannot copy the disk "${source}"`, { cause });
  }
}
