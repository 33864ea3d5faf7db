// Writes images as one tar: a docker archive (manifest.json) and an OCI image layout (index.json) at the same time, as
// docker 25 and later do. The same images give the same bytes: names are sorted, times are 0.
import { Readable } from 'node:stream';
import { type Digest, hexOf } from '../base/digest.ts';
import type { ContentStore } from '../content/content-store.ts';
import { type Manifest, mediaTypes, referenceAnnotation } from '../content/oci.ts';
import { blockBytes, formatHeader, paddingOf } from '../layers/tar-format.ts';
import { blobName } from './archive.ts';
import type { Image } from './image.ts';
import { familiarRepository, formatReference, parseReference } from './reference.ts';

export interface SavedImage {
  readonly image: Image;
  readonly manifest: Manifest;
  readonly manifestBytes: number;
  /** Names to save it under, familiar form. */
  readonly references: readonly string[];
}

/** The archive as a stream. `release` is called at its end, however it ends. */
export function saveImages(images: readonly SavedImage[], content: ContentStore, release: () => void): Readable {
  const archive = Readable.from(archiveOf(images, content), { objectMode: false, highWaterMark: 1024 * 1024 });
  return archive.once('close', release);
}

async function* archiveOf(images: readonly SavedImage[], content: ContentStore): AsyncGenerator<Uint8Array> {
  yield formatHeader('blobs/', 'directory', 0);
  yield formatHeader('blobs/sha256/', 'directory', 0);
  const blobs = images.flatMap(({ image, manifest }) => [
    image.manifest,
    manifest.config.digest,
    ...manifest.layers.map(({ digest }) => digest),
  ]);
  for (const digest of [...new Set(blobs)].sort()) yield* blobEntry(digest, content);
  for (const [name, document] of Object.entries(documentsOf(images))) {
    const bytes = Buffer.from(JSON.stringify(document));
    yield Buffer.concat([formatHeader(name, 'file', bytes.length), bytes, Buffer.alloc(paddingOf(bytes.length))]);
  }
  yield Buffer.alloc(2 * blockBytes);
}

async function* blobEntry(digest: Digest, content: ContentStore): AsyncGenerator<Uint8Array> {
  const size = (await content.sizeOf(digest)) ?? 0;
  yield formatHeader(blobName(digest), 'file', size);
  let written = 0;
  for await (const chunk of content.readBlob(digest)) {
    written += (chunk as Uint8Array).length;
    yield chunk as Uint8Array;
  }
  if (written !== size) throw new Error(`Cannot save blob "${digest}": it changed while it was read`);
  yield Buffer.alloc(paddingOf(size));
}

function documentsOf(images: readonly SavedImage[]): Record<string, unknown> {
  return {
    'index.json': {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: images.flatMap((saved) => indexEntries(saved)),
    },
    'manifest.json': images.map(({ image, manifest, references }) => ({
      Config: blobName(image.id),
      RepoTags: references.length === 0 ? null : references,
      Layers: manifest.layers.map(({ digest }) => blobName(digest)),
      LayerSources: Object.fromEntries(
        image.layers.map(({ diffId }, at) => {
          const { mediaType, size, digest } = manifest.layers[at]!;
          return [diffId, { mediaType, size, digest }];
        }),
      ),
    })),
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    repositories: repositoriesOf(images),
  };
}

function indexEntries({ image, manifest, manifestBytes, references }: SavedImage): readonly object[] {
  const descriptor = { mediaType: manifest.mediaType, digest: image.manifest, size: manifestBytes };
  const { platform } = image;
  if (references.length === 0) return [{ ...descriptor, platform }];
  return references.map((name) => {
    const reference = parseReference(name);
    const annotations = {
      'io.containerd.image.name': formatReference(reference),
      [referenceAnnotation]: reference.tag,
    };
    return { ...descriptor, annotations, platform };
  });
}

/** Docker's oldest index: repository, tag, id of the topmost layer. */
function repositoriesOf(images: readonly SavedImage[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { image, references } of images) {
    for (const reference of references.map((name) => parseReference(name))) {
      const top = image.layers.at(-1)?.chainId ?? image.id;
      repositories[familiarRepository(reference)] ??= {};
      repositories[familiarRepository(reference)]![reference.tag ?? 'latest'] = hexOf(top);
    }
  }
  return repositories;
}
