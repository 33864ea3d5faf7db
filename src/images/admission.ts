// The way of a new image into the stores: its blobs are there already and kept by a lease; here its documents are stored, its
// layers get their places, and last of all the database names it. Before that last step there is no image, after it a whole one.
import { createHash } from 'node:crypto';
import { type Digest, digestOf } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import type { Lease } from '../content/lease.ts';
import { type Descriptor, mediaTypes } from '../content/oci.ts';
import { chainIdsOf } from '../layers/chain.ts';
import { type Compression, decompress, detectCompression, peek } from '../layers/compression.ts';
import type { TakenLayer } from '../layers/intake.ts';
import type { Stores } from './archive.ts';
import { type ImageConfig, parseConfig } from './config.ts';
import type { ImageRecord, LayerRecord } from './records.ts';
import type { Reference } from './reference.ts';

export interface NewImage {
  /** Word by word: its digest is the image's id. */
  readonly config: Buffer;
  /** Made here when absent. */
  readonly manifest?: { readonly bytes: Buffer; readonly mediaType: string };
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
  readonly references: readonly Reference[];
  /** The index of several platforms that it was taken from, to be kept with all its documents. */
  readonly index?: { readonly digest: Digest; readonly documents: readonly Buffer[] };
}

/** A new image whose documents are stored, with what is to be recorded. */
export interface StoredImage {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  readonly layers: readonly LayerRecord[];
}

const layerTypes: Readonly<Record<Compression, string>> = {
  none: mediaTypes.layer,
  gzip: mediaTypes.layerGzip,
  zstd: mediaTypes.layerZstd,
};

export function layerTypeOf(compression: Compression): string {
  return layerTypes[compression];
}

/** Stores the configuration and the manifest, and checks that each blob holds its layer. `known` tells what blobs were seen to hold. */
export async function storeDocuments(
  image: NewImage,
  stores: Stores,
  lease: Lease,
  known: (blob: Digest) => Digest | undefined,
): Promise<StoredImage> {
  const id = digestOf(image.config);
  const title = `the configuration "${id}"`;
  const config = parseConfig(image.config, title);
  if (config.diffIds.length !== image.layers.length) {
    throw new HolmError(
      'corrupt',
      `Cannot add image "${id}": it has ${image.layers.length} layers, and its configuration names ${config.diffIds.length}`,
    );
  }
  const layers: LayerRecord[] = [];
  for (const [at, { digest }] of image.layers.entries()) {
    const diffId = known(digest) ?? (await readDiffId(digest, stores));
    if (diffId !== config.diffIds[at])
      throw new HolmError(
        'corrupt',
        `Cannot add image "${id}": layer "${digest}" holds "${diffId}", not "${config.diffIds[at]}"`,
      );
    layers.push({ blob: digest, diffId });
  }
  const manifest = image.manifest ?? makeManifest(image);
  const documents = [image.config, manifest.bytes, ...(image.index?.documents ?? [])];
  for (const bytes of documents) await stores.content.writeBlob([bytes], lease);
  const record: ImageRecord = {
    id,
    manifest: digestOf(manifest.bytes),
    manifestType: manifest.mediaType,
    manifestBytes: manifest.bytes.length,
    config: image.config.toString('utf8'),
    index: image.index?.digest ?? null,
    hidden: false,
  };
  return { record, config, layers };
}

/** Gives each layer its place among the unpacked ones: adopted if it was just taken in, else unpacked from its blob. */
export async function placeLayers(
  image: Pick<StoredImage, 'config' | 'layers'>,
  stores: Stores,
  takenWith: (diffId: Digest) => readonly TakenLayer[],
): Promise<void> {
  const chain = chainIdsOf(image.config.diffIds);
  for (const [at, { blob, diffId }] of image.layers.entries()) {
    const chainId = chain[at]!;
    if (stores.layers.find(chainId) !== undefined) continue;
    const taken = takenWith(diffId).find(({ staged }) => !staged.isKept);
    if (taken === undefined) await stores.layers.unpack(chainId, diffId, () => readLayer(blob, stores));
    else await stores.layers.adopt(taken.staged, chainId, diffId);
  }
}

/** The plain tar of a stored layer. */
export async function* readLayer(blob: Digest, stores: Stores): AsyncGenerator<Uint8Array> {
  const { head, whole } = await peek(stores.content.readBlob(blob), 512);
  yield* decompress(whole, detectCompression(head), stores.layers.limits);
}

async function readDiffId(blob: Digest, stores: Stores): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of readLayer(blob, stores)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}` as Digest;
}

function makeManifest(image: NewImage): { bytes: Buffer; mediaType: string } {
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: digestOf(image.config), size: image.config.length },
    layers: image.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  };
  return { bytes: Buffer.from(JSON.stringify(document)), mediaType: mediaTypes.manifest };
}
