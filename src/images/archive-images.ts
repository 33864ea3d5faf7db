// Finds the images in an archive that was read: by index.json, as OCI image layouts have it, and by manifest.json, as docker
// writes it. The documents are outside input; what is missing or does not fit is an error that names it.
import { type Digest, digestOf } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import {
  asArray,
  asObject,
  type Descriptor,
  isIndexType,
  isManifestType,
  type Manifest,
  parseIndex,
  parseJsonObject,
  parseManifest,
  referenceAnnotation,
} from '../content/oci.ts';
import { layerTypeOf, type NewImage } from './admission.ts';
import { type Archive, blobName } from './archive.ts';
import { choosePlatform, hostPlatform } from './platform.ts';
import { findReference, formatReference, parseReference, type Reference, withTag } from './reference.ts';

const nameAnnotation = 'io.containerd.image.name';

/** The images of an archive, each once. Throws `corrupt` when it has none or lacks a part. */
export function imagesOf(archive: Archive): readonly NewImage[] {
  const images = new Map<Digest, NewImage>();
  const add = (image: NewImage): void => {
    const id = digestOf(image.config);
    const known = images.get(id);
    const references = [...(known?.references ?? []), ...image.references];
    const unique = new Map(references.map((reference) => [formatReference(reference), reference]));
    images.set(id, { ...(known ?? image), references: [...unique.values()] });
  };
  const index = archive.document('index.json');
  const docker = archive.document('manifest.json');
  if (index === undefined && docker === undefined)
    throw new HolmError('invalid', 'Cannot load the archive: it has neither a manifest.json nor an index.json');
  if (index !== undefined) for (const image of layoutImages(archive, index)) add(image);
  if (docker !== undefined) for (const image of dockerImages(archive, docker)) add(image);
  if (images.size === 0) throw new HolmError('invalid', 'Cannot load the archive: it has no image');
  return [...images.values()];
}

/** Images of an OCI layout: the descriptors of one name are the platforms of one image. */
function layoutImages(archive: Archive, bytes: Buffer): readonly NewImage[] {
  const { manifests } = parseIndex(parseJsonObject(bytes, 'index.json'), 'index.json');
  const groups = Map.groupBy(manifests, (descriptor) => nameOf(descriptor) ?? descriptor.digest);
  return [...groups.values()].map((group) => {
    const first = group[0]!;
    const name = nameOf(first);
    const whole = group.length === 1 && isIndexType(first.mediaType) ? keptIndex(archive, first) : undefined;
    const chosen = chooseManifest(archive, group);
    return {
      ...imageOf(archive, chosen),
      references: name === undefined ? [] : [withTag(parseReference(name))],
      ...(whole === undefined ? {} : { index: whole }),
    };
  });
}

/** The name of an entry: containerd's in full, or the OCI annotation where it is more than a tag. */
function nameOf({ annotations }: Descriptor): string | undefined {
  const full = annotations?.[nameAnnotation];
  if (full !== undefined) return full;
  const short = annotations?.[referenceAnnotation];
  return short !== undefined && /[:/]/.test(short) && findReference(short) !== undefined ? short : undefined;
}

function chooseManifest(archive: Archive, group: readonly Descriptor[]): Descriptor {
  const all = group.flatMap((descriptor) => manifestsUnder(archive, descriptor, 0));
  const complete = all.filter((descriptor) => isComplete(archive, descriptor));
  const wanted = hostPlatform();
  const chosen = choosePlatform(complete, wanted) ?? complete.find(({ platform }) => platform?.os !== 'unknown');
  if (chosen !== undefined) return chosen;
  const first = all[0];
  if (first !== undefined) imageOf(archive, first);
  throw new HolmError('corrupt', `Cannot load the archive: it has no image for ${wanted.os}/${wanted.architecture}`);
}

function manifestsUnder(archive: Archive, descriptor: Descriptor, depth: number): readonly Descriptor[] {
  if (isManifestType(descriptor.mediaType)) return [descriptor];
  const bytes = archive.document(blobName(descriptor.digest));
  if (!isIndexType(descriptor.mediaType) || bytes === undefined || depth >= 4) return [];
  const title = `index "${descriptor.digest}"`;
  return parseIndex(parseJsonObject(bytes, title), title).manifests.flatMap((child) =>
    manifestsUnder(archive, child, depth + 1),
  );
}

function isComplete(archive: Archive, descriptor: Descriptor): boolean {
  const manifest = findManifest(archive, descriptor);
  return manifest !== undefined && [manifest.config, ...manifest.layers].every(({ digest }) => archive.hasBlob(digest));
}

/** The index with its documents, if all that it names is there. */
function keptIndex(archive: Archive, descriptor: Descriptor): NewImage['index'] {
  const bytes = archive.document(blobName(descriptor.digest));
  const all = manifestsUnder(archive, descriptor, 0);
  if (bytes === undefined || !all.every((manifest) => isComplete(archive, manifest))) return undefined;
  const manifests = all.map((manifest) => archive.document(blobName(manifest.digest))!);
  const configs = all.flatMap(
    (manifest) => archive.document(blobName(findManifest(archive, manifest)!.config.digest)) ?? [],
  );
  return { digest: descriptor.digest, documents: [bytes, ...manifests, ...configs] };
}

function findManifest(archive: Archive, descriptor: Descriptor): Manifest | undefined {
  const bytes = archive.document(blobName(descriptor.digest));
  const title = `manifest "${descriptor.digest}"`;
  return bytes === undefined ? undefined : parseManifest(parseJsonObject(bytes, title), title);
}

function imageOf(archive: Archive, descriptor: Descriptor): NewImage {
  const manifest = findManifest(archive, descriptor);
  const config = manifest && archive.document(blobName(manifest.config.digest));
  if (manifest === undefined || config === undefined)
    throw new HolmError(
      'corrupt',
      `Cannot load the archive: the manifest "${descriptor.digest}" or its configuration is missing`,
    );
  for (const { digest } of manifest.layers) {
    if (!archive.hasBlob(digest))
      throw new HolmError('corrupt', `Cannot load the archive: the layer "${digest}" is missing`);
  }
  const bytes = archive.document(blobName(descriptor.digest))!;
  return { config, manifest: { bytes, mediaType: descriptor.mediaType }, layers: manifest.layers, references: [] };
}

/** Images of docker's manifest.json, which gets an OCI manifest here. */
function dockerImages(archive: Archive, bytes: Buffer): readonly NewImage[] {
  let items: unknown;
  try {
    items = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new HolmError('corrupt', 'Cannot load the archive: its manifest.json is not JSON', { cause });
  }
  return asArray(items, 'manifest.json').map((item) => {
    const { Config, RepoTags, Layers } = asObject(item, 'an image of manifest.json');
    const config = archive.document(String(Config));
    if (config === undefined)
      throw new HolmError('corrupt', `Cannot load the archive: the configuration "${String(Config)}" is missing`);
    const layers = asArray(Layers ?? [], 'the layers of manifest.json').map((name) =>
      dockerLayer(archive, String(name)),
    );
    const references = asArray(RepoTags ?? [], 'the tags of manifest.json').map(
      (name): Reference => withTag(parseReference(String(name))),
    );
    return { config, layers, references };
  });
}

function dockerLayer(archive: Archive, name: string): Descriptor {
  const blob = archive.layer(name);
  if (blob === undefined) throw new HolmError('corrupt', `Cannot load the archive: the layer "${name}" is missing`);
  return { mediaType: layerTypeOf(blob.compression), digest: blob.digest, size: blob.size };
}
