// What the rooms of containers need of the rest of the engine; the engine builds it once.
import type { Locks } from '../base/locks.ts';
import type { Hierarchies } from '../cgroups/hierarchy.ts';
import type { Images } from '../images/images.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { LayerStore } from '../layers/layer-store.ts';
import type { IdPool } from '../namespaces/id-pool.ts';
import type { Networks } from '../networks/networks.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { Container } from './container.ts';

export interface Facilities {
  readonly kernel: Kernel;
  readonly locks: Locks;
  readonly images: Images;
  readonly layers: LayerStore;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly hierarchies: Hierarchies;
  /** Name of the cgroup that holds all guests, relative to the hierarchies' roots. */
  readonly cgroupParent: string;
  readonly stateDirectory: string;
  readonly runDirectory: string;
  readonly initBinary: string;
  readonly availableCapabilities: bigint;
  /** The user namespace of containers that do not say, and the ids that `auto` takes from. */
  readonly users: { readonly byDefault: 'host' | 'auto'; readonly pool: IdPool };
  /** Tells what happened to a container. */
  readonly tell: (container: Container, action: string, attributes?: Readonly<Record<string, string>>) => void;
}

/** Digits of an id in the names of run directories: a socket's path is at most 107 bytes long (unix(7)). */
const idDigits = 24;

/** Where a running container's guard lives. */
export function guestDirectory(facilities: Pick<Facilities, 'runDirectory'>, id: string): string {
  return `${facilities.runDirectory}/guests/${id.slice(0, idDigits)}`;
}

/** Where an exec's guard lives. */
export function execDirectory(facilities: Pick<Facilities, 'runDirectory'>, id: string): string {
  return `${facilities.runDirectory}/execs/${id.slice(0, idDigits)}`;
}

/** Where a container's own files are kept. */
export function containerDirectory(facilities: Pick<Facilities, 'stateDirectory'>, id: string): string {
  return `${facilities.stateDirectory}/containers/${id}`;
}

/** A guest's cgroup, relative to the hierarchies' roots; docker's --cgroup-parent may say the parent with a slash before it. */
export function cgroupOf(facilities: Pick<Facilities, 'cgroupParent'>, container: Container): string {
  const parent = container.config.cgroupParent || facilities.cgroupParent;
  return [...parent.split('/').filter((name) => name !== ''), container.id].join('/');
}
