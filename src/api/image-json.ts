// An image as Docker's JSON: the row of a list, inspect, history.
import { formatTime } from '../base/clock.ts';
import type { Image, ImageDefaults } from '../images/image.ts';
import { changedIn } from './api-version.ts';
import { healthcheckJson } from './host-config-json.ts';

type Json = Record<string, unknown>;

/** A row of GET /images/json; -1 stands for "not counted". */
export function imageSummaryJson(
  image: Image,
  facts: { minor: number; sharedBytes: number; containers: number },
): Json {
  const none = image.references.length === 0 && facts.minor < changedIn.emptyTagsNotNone;
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: none ? ['<none>:<none>'] : image.references,
    RepoDigests: none ? ['<none>@<none>'] : [],
    Created: Number(image.createdAt / 1_000_000_000n),
    Size: image.sizeBytes,
    SharedSize: facts.sharedBytes,
    ...(facts.minor < changedIn.noVirtualSize && { VirtualSize: image.sizeBytes }),
    Labels: Object.keys(image.defaults.labels).length > 0 ? image.defaults.labels : null,
    Containers: facts.containers,
  };
}

/** Bytes of each image's layers that another image has too. */
export function sharedBytes(images: readonly Image[]): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { layers } of images) for (const { chainId } of layers) uses.set(chainId, (uses.get(chainId) ?? 0) + 1);
  return new Map(
    images.map(({ id, layers }) => [
      id,
      layers.reduce((sum, layer) => sum + ((uses.get(layer.chainId) ?? 0) > 1 ? layer.sizeBytes : 0), 0),
    ]),
  );
}

/** Bytes of all layers, each counted once. */
export function layersBytes(images: readonly Image[]): number {
  const sizes = new Map<string, number>();
  for (const { layers } of images) for (const { chainId, sizeBytes } of layers) sizes.set(chainId, sizeBytes);
  return sizes.values().reduce((sum, bytes) => sum + bytes, 0);
}

/** The answer of GET /images/{name}/json. */
export function imageInspectJson(image: Image, minor: number): Json {
  const { platform } = image;
  return {
    Id: image.id,
    RepoTags: image.references,
    RepoDigests: [],
    ...(minor < 52 && { Parent: '', DockerVersion: '' }),
    Comment: image.comment,
    Created: formatTime(image.createdAt),
    ...(minor < changedIn.noImageContainerConfig && { Container: '', ContainerConfig: null }),
    Author: image.author,
    Config: imageConfigJson(image.defaults),
    Architecture: platform.architecture,
    ...(platform.variant !== undefined && { Variant: platform.variant }),
    Os: platform.os,
    Size: image.sizeBytes,
    ...(minor < changedIn.noVirtualSize && { VirtualSize: image.sizeBytes }),
    GraphDriver: { Name: 'overlay2', Data: null },
    RootFS: { Type: 'layers', Layers: image.layers.map((layer) => layer.diffId) },
    Metadata: { LastTagTime: image.taggedAt === undefined ? '0001-01-01T00:00:00Z' : formatTime(image.taggedAt) },
  };
}

function imageConfigJson(defaults: ImageDefaults): Json {
  const set = (keys: readonly string[]): Json => Object.fromEntries(keys.map((key) => [key, {}]));
  return {
    Hostname: '',
    Domainname: '',
    User: defaults.user,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(defaults.exposedPorts.length > 0 && { ExposedPorts: set(defaults.exposedPorts) }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: defaults.environment,
    Cmd: defaults.command ?? null,
    ...(defaults.healthcheck && { Healthcheck: healthcheckJson(defaults.healthcheck) }),
    Image: '',
    Volumes: defaults.volumes.length > 0 ? set(defaults.volumes) : null,
    WorkingDir: defaults.workingDirectory,
    Entrypoint: defaults.entrypoint ?? null,
    OnBuild: defaults.onBuild ?? null,
    Labels: Object.keys(defaults.labels).length > 0 ? defaults.labels : null,
    ...(defaults.stopSignal !== undefined && { StopSignal: defaults.stopSignal }),
    ...(defaults.shell !== undefined && { Shell: defaults.shell }),
  };
}

/** The answer of GET /images/{name}/history: newest first, the image itself on top. */
export function historyJson(image: Image): readonly Json[] {
  let layer = 0;
  const rows = image.history.map((entry) => ({
    Id: '<missing>',
    Created: entry.createdAt === undefined ? 0 : Number(entry.createdAt / 1_000_000_000n),
    CreatedBy: entry.createdBy,
    Tags: null as readonly string[] | null,
    Size: entry.emptyLayer ? 0 : (image.layers[layer++]?.sizeBytes ?? 0),
    Comment: entry.comment,
  }));
  const newest = rows.at(-1);
  if (newest !== undefined) {
    newest.Id = image.id;
    newest.Tags = image.references.length > 0 ? image.references : null;
  }
  return rows.toReversed();
}
