// Disks on which the packages of an image are configured: what a first boot writes, made once for an image in a machine of its
// own and copied for each machine after that. Named by the image's layers; nothing in them is one machine's (its id, its keys).
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { open, rename, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { syncDirectory } from '../content/durable.ts';

const run = promisify(execFile);

/** Of each such disk; a machine whose disk is smaller has a first boot of its own. */
export const configuredDiskBytes: number = 8 * 2 ** 30;

const unfinished = '.unfinished';

/** To be raised when the disk of a first boot changes otherwise than by its image. */
const recipe = 1;

export class ConfiguredDisks {
  readonly #directory: string;
  readonly #locks = new Locks();

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) if (name.endsWith(unfinished)) rmSync(join(directory, name));
  }

  /** The disk for the image with this topmost chain id. Unless it is there, `configure` makes it. */
  async make(chainId: Digest, configure: (fresh: string) => Promise<void>): Promise<string> {
    const file = this.#fileOf(chainId);
    return await this.#locks.hold(file, async () => {
      if (existsSync(file)) return file;
      const fresh = `${file}${unfinished}`;
      await configure(fresh);
      await using handle = await open(fresh, 'r+');
      await handle.sync();
      await rename(fresh, file);
      await syncDirectory(this.#directory);
      return file;
    });
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

/** Copies a disk, sharing blocks where the file system can, holes as holes; a larger copy ends in a hole. */
export async function copyDisk(source: string, target: string, sizeBytes: number): Promise<void> {
  try {
    await run('cp', ['--reflink=auto', '--sparse=always', '--', source, target], { env: { PATH: '/usr/bin:/bin' } });
    await truncate(target, sizeBytes);
  } catch (cause) {
    rmSync(target, { force: true });
    throw new HolmError('internal', `Cannot copy the disk "${source}"`, { cause });
  }
}
