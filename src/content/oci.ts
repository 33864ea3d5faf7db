// The documents of an image layout: descriptors, manifests, indexes (OCI image-spec: descriptor.md, manifest.md,
// image-index.md). They come from outside, so they are parsed here, once, into types that can be trusted.
import { type Digest, parseDigest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';

export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

/** Annotation of an index entry that names it (annotations.md). */
export const referenceAnnotation = 'org.opencontainers.image.ref.name';

/** Documents larger than this are refused. */
export const mostDocumentBytes: number = 8 * 1024 * 1024;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerIndex;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.manifest || mediaType === mediaTypes.dockerManifest;
}

/** Parses JSON text to an object; `title` stands in the error. */
export function parseJsonObject(bytes: Uint8Array | string, title: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(typeof bytes === 'string' ? bytes : new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new HolmError('corrupt', `Cannot read ${title}: it is not JSON`, { cause });
  }
  return asObject(value, title);
}

export function parseManifest(document: Record<string, unknown>, title: string): Manifest {
  const layers = asArray(document.layers ?? [], `the layers of ${title}`);
  return {
    schemaVersion: 2,
    mediaType: typeof document.mediaType === 'string' ? document.mediaType : mediaTypes.manifest,
    config: parseDescriptor(document.config, title),
    layers: layers.map((layer) => parseDescriptor(layer, title)),
    ...(document.annotations === undefined ? {} : { annotations: asStrings(document.annotations, title) }),
  };
}

export function parseIndex(document: Record<string, unknown>, title: string): Index {
  const manifests = asArray(document.manifests, `the manifests of ${title}`);
  return {
    schemaVersion: 2,
    mediaType: typeof document.mediaType === 'string' ? document.mediaType : mediaTypes.index,
    manifests: manifests.map((manifest) => parseDescriptor(manifest, title)),
  };
}

function parseDescriptor(value: unknown, title: string): Descriptor {
  const from = asObject(value, `a descriptor of ${title}`);
  const { mediaType, digest, size, annotations, platform } = from;
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !Number.isSafeInteger(size) || Number(size) < 0)
    throw new HolmError('corrupt', `Cannot read ${title}: a descriptor lacks its mediaType, digest or size`);
  return {
    mediaType,
    digest: parseDigest(digest),
    size: Number(size),
    ...(annotations === undefined || annotations === null ? {} : { annotations: asStrings(annotations, title) }),
    ...(platform === undefined || platform === null ? {} : { platform: parsePlatform(platform, title) }),
  };
}

function parsePlatform(value: unknown, title: string): NonNullable<Descriptor['platform']> {
  const { os, architecture, variant } = asObject(value, `a platform of ${title}`);
  return {
    os: String(os ?? ''),
    architecture: String(architecture ?? ''),
    ...(typeof variant === 'string' && variant !== '' ? { variant } : {}),
  };
}

export function asObject(value: unknown, title: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HolmError('corrupt', `Cannot read ${title}: it is not a JSON object`);
  return value as Record<string, unknown>;
}

export function asArray(value: unknown, title: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new HolmError('corrupt', `Cannot read ${title}: it is not a JSON array`);
  return value;
}

function asStrings(value: unknown, title: string): Record<string, string> {
  return Object.fromEntries(Object.entries(asObject(value, title)).map(([key, text]) => [key, String(text)]));
}
