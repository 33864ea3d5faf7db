// The root of a container as others than its own processes see it: for copying files, exporting, comparing. A child of the
// keeper enters a view of it, in a mount namespace of its own, so no mount is ever left on the host and no path leads out.
import { mkdirSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Image } from '../images/image.ts';
import { CLONE_NEWNS } from '../kernel/constants.ts';
import { connection, type Program, Registers, step } from '../kernel/steps.ts';
import { confine, dropArchiveCapabilities } from '../layers/confine.ts';
import { type BindMount, isolateMounts, openBindSource, placeBind } from '../mounts/mount.ts';
import { mountOverlay, type Overlay } from '../mounts/overlay.ts';
import { pivotRoot } from '../mounts/pivot.ts';
import { joinMounts } from '../namespaces/namespaces.ts';
import { becomeRootInside } from '../namespaces/user.ts';
import type { Container } from './container.ts';
import { type Facilities, guestDirectory } from './facilities.ts';

/** The unpacked layers of an image, lowest first. An image without layers has one that is empty. */
export function layerPaths(facilities: Pick<Facilities, 'layers' | 'stateDirectory'>, image: Image): string[] {
  if (image.layers.length > 0) return image.layers.map(({ chainId }) => facilities.layers.pathOf(chainId));
  const empty = `${facilities.stateDirectory}/empty`;
  mkdirSync(empty, { recursive: true });
  return [empty];
}

const mountPointDirectories = ['dev/pts', 'dev/shm', 'dev/mqueue', 'proc', 'sys', 'etc'];
const mountPointFiles = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf', '.dockerenv'];

/**
 * Makes the layer that lies between every image and its containers: the mount points that the engine needs, so that they
 * are not a container's changes.
 */
export function prepareMountPoints(stateDirectory: string): void {
  const layer = mountPointLayer(stateDirectory);
  for (const directory of mountPointDirectories) mkdirSync(`${layer}/${directory}`, { recursive: true, mode: 0o755 });
  for (const file of mountPointFiles) writeFileSync(`${layer}/${file}`, '', { mode: 0o644 });
}

/** Where roots are mounted: in mount namespaces of their own, so that one directory serves all. */
function viewDirectory({ runDirectory }: Pick<Facilities, 'runDirectory'>): string {
  return `${runDirectory}/view`;
}

function mountPointLayer(stateDirectory: string): string {
  return `${stateDirectory}/mount-points`;
}

/** The overlay of a container: its layers, its own changes, its mount point. */
export function overlayOf(facilities: Facilities, container: Container): Overlay {
  const directory = facilities.layers.directory;
  const layers = [...container.lowerDirectories.toReversed(), mountPointLayer(facilities.stateDirectory)];
  return {
    layersDirectory: directory,
    layers: layers.map((path) => relative(directory, path)),
    upper: { directory: container.upperDirectory, work: container.workDirectory },
    target: viewDirectory(facilities),
  };
}

/** A view that changes nothing, and may be taken while the container runs: its changes count as one more layer. */
function readOnlyView(facilities: Facilities, container: Container): Overlay {
  const { upper, ...overlay } = overlayOf(facilities, container);
  return { ...overlay, layers: [...overlay.layers, ...(upper === undefined ? [] : [upper.directory])] };
}

/** Steps that make a container's root, with its volumes, the root of the child: the live one if `pid` is given. */
export function enterRoot(
  facilities: Facilities,
  container: Container,
  pid: number | undefined,
  volumes: readonly BindMount[],
): Program {
  const registers = new Registers(1);
  if (pid !== undefined) {
    const hasOwnUsers = container.idMapping !== undefined;
    return [
      ...joinMounts({ pid, guard: guestDirectory(facilities, container.id) }, registers.acquire(), hasOwnUsers),
      // Files get the owners that their archive names, as the inside sees them.
      ...(hasOwnUsers ? becomeRootInside() : []),
      ...dropArchiveCapabilities(),
    ];
  }
  const root = registers.acquire();
  return [
    step('unshare', [CLONE_NEWNS], 'make a mount namespace'),
    isolateMounts('private'),
    ...mountOverlay(overlayOf(facilities, container), root),
    ...volumes.flatMap((volume) => {
      const source = registers.acquire();
      const steps = [...openBindSource(volume, source, registers), ...placeBind(root, volume, source, registers)];
      registers.release(source);
      return steps;
    }),
    ...pivotRoot(root),
    ...dropArchiveCapabilities(),
  ];
}

/** Steps that make a read-only view of layers the root of the child. */
function enterView(view: Overlay): Program {
  const registers = new Registers(1);
  const root = registers.acquire();
  return [
    step('unshare', [CLONE_NEWNS], 'make a mount namespace'),
    isolateMounts('private'),
    ...mountOverlay(view, root),
    ...pivotRoot(root),
    ...dropArchiveCapabilities(),
  ];
}

export const packFlags = { ociWhiteouts: 1, namedByLastComponent: 2, oneFileSystem: 4, hardLinks: 8 } as const;
export const unpackFlags = { overlayWhiteouts: 1, keepKinds: 2, callerOwns: 4 } as const;

/** A container's whole root as a tar, without what is mounted in it. */
export function exportRoot(facilities: Facilities, container: Container): Readable {
  const program = [
    ...enterView(readOnlyView(facilities, container)),
    step('pack', [connection, '/', packFlags.oneFileSystem | packFlags.hardLinks, -1], 'read the root file system'),
  ];
  return facilities.kernel.fork(program).output as Readable;
}

/** Copies a directory of an image into a new volume. */
export async function copyImageContent(
  facilities: Facilities,
  image: Image,
  path: string,
  target: string,
): Promise<void> {
  const directory = facilities.layers.directory;
  const layers = layerPaths(facilities, image).map((layer) => relative(directory, layer));
  const view = { layersDirectory: directory, layers, target: viewDirectory(facilities) };
  const from = facilities.kernel.fork([
    ...enterView(view),
    step('pack', [connection, path, packFlags.hardLinks, -1], `read "${path}" of the image`),
  ]);
  const into = facilities.kernel.fork(unpackInto(target, 0));
  try {
    await pipeline(from.output, into.input);
    await from.outcome;
    await into.outcome;
  } finally {
    from.close();
    into.close();
    await Promise.allSettled([from.outcome, into.outcome]);
  }
}

/** Unpacks into a directory of the host, confined to it. */
function unpackInto(directory: string, flags: number): Program {
  return [
    ...confine(directory),
    step('unpack', [connection, flags, mostUnpackedBytes, mostUnpackedEntries], `fill "${directory}"`),
  ];
}

export const mostUnpackedBytes: number = 2 ** 40;
export const mostUnpackedEntries = 10_000_000;
