// Disks of machines. An image's layers become one read-only EROFS file, made once for a chain of layers and shared by all
// machines; a writable disk lies over it in the guest (docs/machine-images.md). Not compressed: reading is a copy by the host,
// decompressing would be the guest's work. The same layers give the same bytes with the same erofs-utils.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { HolmError, hasCode } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { syncDirectory } from '../content/durable.ts';
import type { LayerStore } from './layer-store.ts';

const run = promisify(execFile);
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
/** To be raised when the way of making a disk changes. */
const recipe = 1;

export class DiskStore {
  readonly directory: string;
  readonly #layers: Pick<LayerStore, 'get' | 'pathOf' | 'directory'>;
  readonly #locks = new Locks();

  private constructor(directory: string, layers: Pick<LayerStore, 'get' | 'pathOf' | 'directory'>) {
    this.directory = directory;
    this.#layers = layers;
  }

  /** Opens the directory, making it when absent; removes what was interrupted. */
  static async open(directory: string, layers: Pick<LayerStore, 'get' | 'pathOf' | 'directory'>): Promise<DiskStore> {
    await mkdir(directory, { recursive: true, mode: 0o711 });
    for (const name of await readdir(directory))
      if (!/^[0-9a-f]{24}\.erofs$/.test(name)) await rm(join(directory, name), { recursive: true });
    return new DiskStore(directory, layers);
  }

  /** The file of the disk with these layers (chain ids, lowest first), made unless it is there. Throws `unavailable` without mkfs.erofs. */
  async make(chainIds: readonly Digest[], signal?: AbortSignal): Promise<string> {
    const top = chainIds.at(-1);
    if (top === undefined) throw new HolmError('invalid', 'Cannot make a disk: the image has no layers');
    for (const chainId of chainIds) this.#layers.get(chainId);
    const file = this.#fileOf(top);
    return await this.#locks.hold(file, async () => {
      if (await isThere(file)) return file;
      await using undo = new AsyncDisposableStack();
      const work = await mkdtemp(join(this.directory, 'unfinished-'));
      undo.defer(() => rm(work, { recursive: true, force: true }));
      const fresh = join(work, 'disk');
      await this.#format(fresh, chainIds, work, signal);
      await using handle = await open(fresh, 'r+');
      await handle.sync();
      await rename(fresh, file);
      await syncDirectory(this.directory);
      return file;
    });
  }

  /** Removes the disk of a chain; one that is not there is no error. Machines that have it open keep it. */
  async remove(chainId: Digest): Promise<void> {
    const file = this.#fileOf(chainId);
    await this.#locks.hold(file, () => rm(file, { force: true }));
  }

  /** Removes the disks of all chains but these. */
  async retain(chainIds: readonly Digest[]): Promise<void> {
    const wanted = new Set(chainIds.map((chainId) => this.#fileOf(chainId)));
    for (const name of await readdir(this.directory)) {
      const file = join(this.directory, name);
      if (!name.startsWith('unfinished-') && !wanted.has(file)) await rm(file, { force: true });
    }
  }

  #fileOf(chainId: Digest): string {
    return join(this.directory, `${hexOf(digestOf(`${recipe} ${chainId}`)).slice(0, 24)}.erofs`);
  }

  /** Several layers are mounted upon one another for it, in a mount namespace that ends with the program. */
  async #format(file: string, chainIds: readonly Digest[], work: string, signal?: AbortSignal): Promise<void> {
    const top = chainIds.at(-1)!;
    const roots = chainIds.map((chainId) => this.#layers.pathOf(chainId));
    await utimes(roots.at(-1)!, 0, 0); // the time of the root directory itself is in no layer
    const flags = ['-d1', '-T', '0', '--preserve-mtime', '-U', uuidOf(top), file];
    if (roots.length === 1) return await this.#run('mkfs.erofs', [...flags, roots[0]!], signal);
    const merged = join(work, 'merged');
    await mkdir(merged);
    const lower = roots.toReversed().map((root) => relative(this.#layers.directory, root));
    const script =
      'mount -t overlay -o "ro,lowerdir=$1" overlay "$2" && shift && root=$1 && shift && exec mkfs.erofs "$@" "$root"';
    const inner = ['sh', '-c', script, 'sh', lower.join(':'), merged, ...flags];
    await this.#run('unshare', ['--mount', '--propagation', 'private', '--', ...inner], signal);
  }

  async #run(program: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const cwd = this.#layers.directory;
    try {
      await run(program, args, { cwd, env: environment, maxBuffer: 64 * 1024 * 1024, ...(signal && { signal }) });
    } catch (cause) {
      signal?.throwIfAborted();
      const said = String((cause as { stderr?: string }).stderr ?? '').trim();
      if (hasCode(cause, 'ENOENT') || (cause as { code?: unknown }).code === 127)
        throw new HolmError(
          'unavailable',
          'Cannot make a disk: mkfs.erofs is not installed (Debian package erofs-utils)',
          {
            cause,
          },
        );
      throw new HolmError('internal', `Cannot make a disk: ${said.split('\n').at(-1) || String(cause)}`, { cause });
    }
  }
}

/** Makes a sparse file for a machine to write to, formatted with ext4 where mkfs.ext4 is installed; else the guest does it. */
export async function createWritableDisk(file: string, sizeBytes: number): Promise<void> {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < leastBytes || sizeBytes % 4096 !== 0)
    throw new HolmError(
      'invalid',
      `Cannot make a disk of ${sizeBytes} bytes: must be 16 MiB or more, in units of 4096`,
    );
  await using undo = new AsyncDisposableStack();
  {
    await using handle = await open(file, 'wx', 0o600);
    undo.defer(() => rm(file, { force: true }));
    await handle.truncate(sizeBytes);
  }
  try {
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-L', 'holm-upper', file], { env: environment });
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw new HolmError('internal', `Cannot format the disk "${file}"`, { cause });
  }
  undo.move();
}

const leastBytes = 16 * 1024 * 1024;

/** An UUID of version 8 (RFC 9562) from the digest of the chain. */
function uuidOf(chainId: Digest): string {
  const hex = hexOf(chainId);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await using _handle = await open(file, 'r');
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
