// Reads an archive of images as a stream, once: documents are kept in memory, layers go to their blobs and are unpacked
// while they come, before it is known what they belong to. What nobody adopts is gone when the archive is disposed of.
import { posix } from 'node:path';
import { type Digest, digestOf, isDigest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import type { Blob } from '../content/blob-writer.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { Lease } from '../content/lease.ts';
import { mostDocumentBytes } from '../content/oci.ts';
import { type Compression, decompress, detectCompression, peek } from '../layers/compression.ts';
import { type TakenLayer, takeLayer } from '../layers/intake.ts';
import type { LayerStore } from '../layers/layer-store.ts';
import { looksLikeTar } from '../layers/tar-format.ts';
import { readTar, type TarEntry } from '../layers/tar-reader.ts';

export interface Stores {
  readonly content: ContentStore;
  readonly layers: LayerStore;
}

export interface StoredBlob extends Blob {
  readonly compression: Compression;
}

export type OnLayerProgress = (name: string, bytes: number, totalBytes: number) => void;

const mostDocumentsBytes = 64 * 1024 * 1024;
const mostLayers = 1000;
const mostLinks = 8;
const nameShape = /^[\w.:@+,=-]+(?:\/[\w.:@+,=-]+){0,7}$/;

export class Archive implements AsyncDisposable {
  readonly #documents = new Map<string, Buffer>();
  readonly #layers = new Map<string, TakenLayer>();
  readonly #stored = new Map<Digest, StoredBlob>();
  readonly #links = new Map<string, string>();
  readonly #staged = new AsyncDisposableStack();
  #documentsBytes = 0;

  /** Reads all of the archive, plain or compressed. The lease keeps the blobs that it brings. */
  static async read(
    source: AsyncIterable<Uint8Array>,
    stores: Stores,
    lease: Lease,
    onProgress: OnLayerProgress,
  ): Promise<Archive> {
    const { head, whole } = await peek(source, 512);
    const tar = decompress(whole, detectCompression(head), stores.layers.limits);
    await using undo = new AsyncDisposableStack();
    const archive = undo.use(new Archive());
    for await (const entry of readTar(tar)) await archive.#take(entry, stores, lease, onProgress);
    undo.move();
    return archive;
  }

  async #take(entry: TarEntry, stores: Stores, lease: Lease, onProgress: OnLayerProgress): Promise<void> {
    const name = cleanName(entry.name);
    if (entry.kind === 'directory') return;
    if (entry.kind === 'symlink') {
      this.#links.set(name, cleanName(posix.join(posix.dirname(name), entry.linkTarget), entry.linkTarget));
      return;
    }
    if (entry.kind !== 'file')
      throw new HolmError('corrupt', `Cannot load the archive: "${name}" is neither a file, a directory nor a link`);
    const digest = digestOfName(name);
    const { head, whole } = await peek(entry.body, 512);
    const compression = detectCompression(head);
    const isLayer = compression !== 'none' || looksLikeTar(head);
    if (!isLayer && (head[0] === 0x7b || head[0] === 0x5b) && entry.size <= mostDocumentBytes)
      return await this.#takeDocument(name, entry.size, whole, digest);
    if (digest !== undefined && (await isStored(stores.content, lease, digest, entry.size))) {
      this.#stored.set(digest, { digest, size: entry.size, compression });
      return;
    }
    const expectation = { expectedSize: entry.size, ...(digest === undefined ? {} : { expectedDigest: digest }) };
    if (isLayer) {
      if (this.#layers.size >= mostLayers)
        throw new HolmError('invalid', `Cannot load the archive: it has more than ${mostLayers} layers`);
      const report = (bytes: number): void => onProgress(name, bytes, entry.size);
      const taken = await takeLayer(whole, stores, lease, { ...expectation, onProgress: report });
      this.#staged.use(taken.staged);
      this.#layers.set(name, taken);
      this.#stored.set(taken.blob.digest, { ...taken.blob, compression });
    } else if (digest !== undefined) {
      this.#stored.set(digest, { ...(await stores.content.writeBlob(whole, lease, expectation)), compression });
    }
  }

  async #takeDocument(
    name: string,
    size: number,
    body: AsyncIterable<Uint8Array>,
    digest: Digest | undefined,
  ): Promise<void> {
    this.#documentsBytes += size;
    if (this.#documentsBytes > mostDocumentsBytes)
      throw new HolmError(
        'invalid',
        `Cannot load the archive: its documents have more than ${mostDocumentsBytes} bytes`,
      );
    const bytes = Buffer.concat(await Array.fromAsync(body));
    if (digest !== undefined && digestOf(bytes) !== digest)
      throw new HolmError('corrupt', `Cannot load the archive: "${name}" has the digest "${digestOf(bytes)}"`);
    this.#documents.set(name, bytes);
  }

  /** A JSON file, found through links too; undefined when it is not there. */
  document(name: string): Buffer | undefined {
    return this.#documents.get(this.#follow(name));
  }

  /** A layer's blob, by its name in the archive; undefined when it is not there. */
  layer(name: string): StoredBlob | undefined {
    const at = this.#follow(name);
    const taken = this.#layers.get(at);
    if (taken !== undefined) return { ...taken.blob, compression: taken.compression };
    const digest = digestOfName(at);
    return digest === undefined ? undefined : this.#stored.get(digest);
  }

  /** The layers that were taken in with this content. */
  layersOf(diffId: Digest): readonly TakenLayer[] {
    return [...this.#layers.values()].filter((taken) => taken.diffId === diffId);
  }

  /** What the blob held when it was unpacked just now; undefined when it was stored before. */
  diffIdOf(blob: Digest): Digest | undefined {
    return this.#layers.values().find((taken) => taken.blob.digest === blob)?.diffId;
  }

  /** Whether the blob is in the content store, out of this archive or from before. */
  hasBlob(digest: Digest): boolean {
    return this.#stored.has(digest) || this.#documents.has(blobName(digest));
  }

  #follow(name: string): string {
    let at = cleanName(name);
    for (let links = 0; this.#links.has(at); links++) {
      if (links >= mostLinks)
        throw new HolmError('corrupt', `Cannot load the archive: "${name}" is a link through too many links`);
      at = this.#links.get(at)!;
    }
    return at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#staged.disposeAsync();
  }
}

/** Where an image layout keeps a blob. */
export function blobName(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function digestOfName(name: string): Digest | undefined {
  const match = /^blobs\/sha256\/([^/]+)$/.exec(name);
  if (match === null) return undefined;
  const digest = `sha256:${match[1]}`;
  if (!isDigest(digest)) throw new HolmError('corrupt', `Cannot load the archive: "${name}" is not named by a digest`);
  return digest as Digest;
}

/** The name without "./" and a slash at its end. Throws `corrupt` for names that no archive of images has. */
function cleanName(name: string, shown: string = name): string {
  const clean = name.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '');
  if (clean === '' || clean === '.') return '.';
  if (!nameShape.test(clean) || clean.split('/').some((part) => part === '.' || part === '..'))
    throw new HolmError(
      'corrupt',
      `Cannot load the archive: it has the unexpected path ${JSON.stringify(shown.slice(0, 200))}`,
    );
  return clean;
}

async function isStored(content: ContentStore, lease: Lease, digest: Digest, size: number): Promise<boolean> {
  return (await content.keepBlob(lease, digest)) && (await content.sizeOf(digest)) === size;
}
