// For tests: archives of images, as docker and as OCI tools write them.
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { type FixtureEntry, tarOf } from '../layers/tar-fixture.ts';

export type Packing = 'none' | 'gzip' | 'zstd';

export interface FixtureImage {
  /** Plain tars, lowest first. */
  readonly layers: readonly Buffer[];
  readonly tags?: readonly string[];
  readonly architecture?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly packing?: Packing;
}

export function pack(bytes: Buffer, packing: Packing): Buffer {
  if (packing === 'gzip') return gzipSync(bytes, { level: 1 });
  return packing === 'zstd' ? zstdCompressSync(bytes) : bytes;
}

/** A layer with a few files; `text` makes it different from others. */
export function layerOf(text: string): Buffer {
  return tarOf([
    { name: 'etc/', type: '5' },
    { name: 'etc/note', body: text },
    { name: 'etc/link', type: '2', link: 'note' },
  ]);
}

/** The image configuration. */
export function configOf(image: FixtureImage): Buffer {
  const document = {
    architecture: image.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    os: 'linux',
    created: '2024-05-06T07:08:09.123456789Z',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'], ...image.settings },
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => digestOf(layer)) },
    history: image.layers.map((_, at) => ({ created_by: `step ${at}` })),
  };
  return Buffer.from(JSON.stringify(document));
}

/** As docker before 25 wrote it: a directory a layer, the second of two equal layers as a link to the first. */
export function dockerArchive(image: FixtureImage): Buffer {
  const config = configOf(image);
  const names = image.layers.map((layer, at) => `${hexOf(digestOf(`${at}${digestOf(layer)}`))}/layer.tar`);
  const entries = image.layers.flatMap((layer, at): FixtureEntry[] => {
    const first = image.layers.findIndex((one) => one.equals(layer));
    const name = names[at]!;
    return [
      { name: name.replace('layer.tar', ''), type: '5' },
      { name: name.replace('layer.tar', 'VERSION'), body: '1.0' },
      first < at
        ? { name, type: '2', link: `../${names[first]}` }
        : { name, body: pack(layer, image.packing ?? 'none') },
    ];
  });
  const manifest = [{ Config: `${hexOf(digestOf(config))}.json`, RepoTags: image.tags ?? null, Layers: names }];
  return tarOf([
    ...entries,
    { name: `${hexOf(digestOf(config))}.json`, body: config },
    { name: 'manifest.json', body: JSON.stringify(manifest) },
  ]);
}

/** An OCI layout; several images become the platforms of one, under an index. */
export function ociArchive(images: readonly FixtureImage[], options: { readonly lacks?: Digest } = {}): Buffer {
  const blobs = new Map<string, Buffer>();
  const put = (bytes: Buffer): { digest: Digest; size: number } => {
    if (digestOf(bytes) !== options.lacks) blobs.set(digestOf(bytes), bytes);
    return { digest: digestOf(bytes), size: bytes.length };
  };
  const types = 'application/vnd.oci.image';
  const manifests = images.map((image) => {
    const packing = image.packing ?? 'none';
    const suffix = packing === 'none' ? '' : `+${packing}`;
    const manifest = {
      schemaVersion: 2,
      mediaType: `${types}.manifest.v1+json`,
      config: { mediaType: `${types}.config.v1+json`, ...put(configOf(image)) },
      layers: image.layers.map((layer) => ({
        mediaType: `${types}.layer.v1.tar${suffix}`,
        ...put(pack(layer, packing)),
      })),
    };
    const architecture = image.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch);
    const descriptor = { mediaType: manifest.mediaType, ...put(Buffer.from(JSON.stringify(manifest))) };
    return { ...descriptor, platform: { os: 'linux', architecture } };
  });
  const index = { schemaVersion: 2, mediaType: `${types}.index.v1+json`, manifests };
  const name = images[0]?.tags?.[0];
  const annotations = name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } };
  const top =
    manifests.length === 1
      ? { ...manifests[0], ...annotations }
      : { mediaType: index.mediaType, ...put(Buffer.from(JSON.stringify(index))), ...annotations };
  return tarOf([
    { name: 'blobs/', type: '5' },
    { name: 'blobs/sha256/', type: '5' },
    ...[...blobs].map(([digest, body]) => ({ name: `blobs/${digest.replace(':', '/')}`, body })),
    { name: 'index.json', body: JSON.stringify({ schemaVersion: 2, manifests: [top] }) },
    { name: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' },
  ]);
}
