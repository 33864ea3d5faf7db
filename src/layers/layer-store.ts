// Unpacked layers, each in a directory that overlay mounts can name briefly: <first 24 digits of the chain id>/diff, with the
// record layer.json beside it. A layer is made under another name and renamed when whole, so what is there is complete.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hexOf } from '../base/digest.ts';
import { HolmError, hasCode } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { replaceFile, syncDirectory } from '../content/durable.ts';
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

  /** Ends the tar; resolves when all of it is in place and synced. */
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
    await replaceFile(join(staged.directory, 'layer.json'), `${JSON.stringify(layer)}\n`);
    await rename(staged.directory, join(this.directory, nameOf(chainId)));
    staged.keep();
    await syncDirectory(this.directory);
    this.#layers.set(chainId, layer);
    return layer;
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

async function readRecord(directory: string): Promise<Layer | undefined> {
  try {
    const { chainId, diffId, sizeBytes } = JSON.parse(await readFile(join(directory, 'layer.json'), 'utf8')) as Layer;
    return { chainId, diffId, sizeBytes };
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
