// Unpacked layers, each in a directory that overlay mounts can name briefly: <first 24 digits of the chain id>/diff, with the
// record layer.json beside it. A layer is made under another name and renamed when whole, so what is there is complete. It is
// synced to the disk after that: until then its record names the boot of the machine, and after another boot it is made anew.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, hexOf } from '../base/digest.ts';
import { HolmError, hasCode } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { log } from '../base/log.ts';
import { replaceFile } from '../content/durable.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type ArchiveLimits, defaultLimits } from './limits.ts';
import { TarMeter } from './tar-meter.ts';
import { removeTree, Unpacking } from './unpacking.ts';

export interface Layer {
  readonly chainId: Digest;
  readonly diffId: Digest;
  /** Bytes of its files. */
  readonly sizeBytes: number;
}

/** A layer that is unpacked, or being unpacked, and has no place among the layers yet. */
export class StagedLayer implements AsyncDisposable {
  readonly directory: string;
  readonly #unpacking: Unpacking;
  readonly #meter = new TarMeter();
  #kept = false;
  #finished = false;

  constructor(directory: string, unpacking: Unpacking) {
    this.directory = directory;
    this.#unpacking = unpacking;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#meter.push(chunk);
    return this.#unpacking.write(chunk);
  }

  /** Ends the tar; resolves when all of it is in place. */
  async finish(): Promise<void> {
    await this.#unpacking.finish();
    this.#finished = true;
  }

  /** Bytes of its files, once finished. */
  get sizeBytes(): number {
    if (!this.#finished) throw new HolmError('internal', 'Cannot use a layer: it is not unpacked yet');
    return this.#meter.bytes;
  }

  /** Whether it has got its place. */
  get isKept(): boolean {
    return this.#kept;
  }

  /** The directory is someone else's from now on. */
  keep(): void {
    this.#kept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unpacking.abort();
    if (!this.#kept) await removeTree(this.directory);
  }
}

export class LayerStore {
  readonly directory: string;
  readonly limits: ArchiveLimits;
  readonly #kernel: Kernel;
  readonly #locks = new Locks();
  readonly #layers = new Map<Digest, Layer>();
  #syncing: Promise<void> = Promise.resolve();

  private constructor(directory: string, kernel: Kernel, limits: ArchiveLimits) {
    this.directory = directory;
    this.limits = limits;
    this.#kernel = kernel;
  }

  /** Opens the directory, making it when absent; removes what was interrupted, in the making or in the removal. */
  static async open(directory: string, kernel: Kernel, limits: ArchiveLimits = defaultLimits): Promise<LayerStore> {
    const store = new LayerStore(directory, kernel, limits);
    await mkdir(directory, { recursive: true, mode: 0o711 });
    for (const name of await readdir(directory)) {
      const layer = /^[0-9a-f]{24}$/.test(name) ? await readRecord(join(directory, name)) : undefined;
      if (layer !== undefined && nameOf(layer.chainId) === name) store.#layers.set(layer.chainId, layer);
      else await removeTree(join(directory, name));
    }
    return store;
  }

  list(): readonly Layer[] {
    return [...this.#layers.values()];
  }

  find(chainId: Digest): Layer | undefined {
    return this.#layers.get(chainId);
  }

  get(chainId: Digest): Layer {
    const layer = this.#layers.get(chainId);
    if (layer === undefined) throw new HolmError('notFound', `Cannot use layer "${chainId}": it is not unpacked`);
    return layer;
  }

  /** The directory of a layer's files, as overlay's lowerdir wants it. */
  pathOf(chainId: Digest): string {
    return join(this.directory, nameOf(chainId), 'diff');
  }

  /** Begins to unpack a layer whose chain is not known yet: write its plain tar, finish, then adopt. */
  async stage(): Promise<StagedLayer> {
    const directory = join(this.directory, `unfinished-${randomBytes(8).toString('hex')}`);
    await mkdir(directory, { mode: 0o711 });
    await mkdir(join(directory, 'diff'), { mode: 0o755 });
    return new StagedLayer(directory, new Unpacking(this.#kernel, join(directory, 'diff'), this.limits));
  }

  /** Gives a finished layer its place. The caller has verified the diff id. */
  adopt(staged: StagedLayer, chainId: Digest, diffId: Digest): Promise<Layer> {
    return this.#locks.hold(chainId, () => this.#place(staged, chainId, diffId));
  }

  /** Unpacks a layer from its plain tar unless it is there; asked twice at once, it is unpacked once. Verifies the diff id. */
  unpack(chainId: Digest, diffId: Digest, open: () => AsyncIterable<Uint8Array>): Promise<Layer> {
    return this.#locks.hold(chainId, async () => {
      const present = this.#layers.get(chainId);
      if (present !== undefined) return present;
      await using staged = await this.stage();
      const hash = createHash('sha256');
      for await (const chunk of open()) {
        hash.update(chunk);
        await staged.write(chunk);
      }
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== diffId)
        throw new HolmError('corrupt', `Cannot unpack layer "${diffId}": its content has the digest "${found}"`);
      await staged.finish();
      return await this.#place(staged, chainId, diffId);
    });
  }

  async #place(staged: StagedLayer, chainId: Digest, diffId: Digest): Promise<Layer> {
    const present = this.#layers.get(chainId);
    if (present !== undefined) return present;
    const layer: Layer = { chainId, diffId, sizeBytes: staged.sizeBytes };
    const directory = join(this.directory, nameOf(chainId));
    await writeFile(join(staged.directory, 'layer.json'), formatRecord(layer, bootId));
    await rename(staged.directory, directory);
    staged.keep();
    this.#layers.set(chainId, layer);
    this.#syncLater(directory, layer);
    return layer;
  }

  /** Nobody waits for the disk: a layer that a power cut takes is unpacked again from its blob. */
  #syncLater(directory: string, layer: Layer): void {
    this.#syncing = this.#syncing
      .then(() => sync(directory))
      .then(() => replaceFile(join(directory, 'layer.json'), formatRecord(layer, undefined)))
      .catch((error: unknown) => {
        if (this.#layers.has(layer.chainId))
          log('warn', 'Cannot sync a layer; it counts for this boot only', { directory, error });
      });
  }

  /** Settles when all layers are on the disk. */
  async synced(): Promise<void> {
    await this.#syncing;
  }

  /** Removes an unpacked layer; one that is not there is no error. Resolves when its space is free. */
  remove(chainId: Digest): Promise<void> {
    return this.#locks.hold(chainId, async () => {
      const doomed = join(this.directory, `removing-${randomBytes(8).toString('hex')}`);
      this.#layers.delete(chainId);
      try {
        await rename(join(this.directory, nameOf(chainId)), doomed);
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return;
        throw error;
      }
      await removeTree(doomed);
    });
  }
}

function nameOf(chainId: Digest): string {
  return hexOf(chainId).slice(0, 24);
}

/** This boot of the machine (random(4), /proc/sys/kernel/random/boot_id). */
const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** The content of layer.json; with `boot` while the layer may not be on the disk. */
function formatRecord(layer: Layer, boot: string | undefined): string {
  return `${JSON.stringify({ ...layer, boot })}\n`;
}

async function readRecord(directory: string): Promise<Layer | undefined> {
  try {
    const text = await readFile(join(directory, 'layer.json'), 'utf8');
    const { chainId, diffId, sizeBytes, boot } = JSON.parse(text) as Layer & { boot?: string };
    return boot === undefined || boot === bootId ? { chainId, diffId, sizeBytes } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Syncs the file system of a directory (sync(1), -f). */
async function sync(directory: string): Promise<void> {
  await promisify(execFile)('sync', ['-f', directory]);
}
