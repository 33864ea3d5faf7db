// A layer's blob comes in: in one pass it is stored as it came, uncompressed, hashed and unpacked.
import { createHash } from 'node:crypto';
import type { Digest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import type { Blob, BlobExpectation, BlobWriter } from '../content/blob-writer.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { Lease } from '../content/lease.ts';
import { type Compression, decompress, detectCompression, peek } from './compression.ts';
import type { LayerStore, StagedLayer } from './layer-store.ts';
import { looksLikeTar } from './tar-format.ts';

export interface TakenLayer {
  readonly blob: Blob;
  readonly compression: Compression;
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  readonly staged: StagedLayer;
}

export interface IntakeOptions extends BlobExpectation {
  /** Called with the bytes of the blob so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** Takes a layer in; the lease keeps its blob. The caller adopts or disposes of the staged layer. */
export async function takeLayer(
  source: AsyncIterable<Uint8Array>,
  stores: { readonly content: ContentStore; readonly layers: LayerStore },
  lease: Lease,
  options: IntakeOptions = {},
): Promise<TakenLayer> {
  const { head, whole } = await peek(source, 512);
  const compression = detectCompression(head);
  if (compression === 'none' && !looksLikeTar(head))
    throw new HolmError('corrupt', 'Cannot read a layer: it is neither a tar nor compressed with gzip or zstd');
  await using writer = await stores.content.createBlob(lease, options);
  await using undo = new AsyncDisposableStack();
  const staged = undo.use(await stores.layers.stage());
  const hash = compression === 'none' ? undefined : createHash('sha256');
  const stored = storing(whole, writer, options.onProgress);
  for await (const chunk of decompress(stored, compression, stores.layers.limits)) {
    hash?.update(chunk);
    await staged.write(chunk);
  }
  const [blob] = await Promise.all([writer.commit(), staged.finish()]);
  const diffId = hash === undefined ? blob.digest : (`sha256:${hash.digest('hex')}` as Digest);
  undo.move();
  return { blob, compression, diffId, staged };
}

/** The same chunks, each on its way to the blob when it is given out. What follows the compressed data is stored too. */
async function* storing(
  source: AsyncIterable<Uint8Array>,
  writer: BlobWriter,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of source) {
    await writer.write(chunk);
    size += chunk.length;
    onProgress?.(size);
    yield chunk;
  }
}
