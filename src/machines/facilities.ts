// What machines need of the rest of the engine.
import type { Locks } from '../base/locks.ts';
import type { Container, ContainerConfig, Size } from '../containers/container.ts';
import type { StopOptions, WaitCondition, WaitResult } from '../containers/requests.ts';
import type { Image } from '../images/image.ts';
import type { DiskStore } from '../layers/disk-store.ts';
import type { LayerStore } from '../layers/layer-store.ts';
import type { Machine } from './machine.ts';

export interface MachineFacilities {
  readonly locks: Locks;
  readonly images: { get(reference: string): Image; list(): readonly Image[] };
  readonly layers: LayerStore;
  readonly disks: DiskStore;
  readonly stateDirectory: string;
  /** For what is costly to make and may be lost. */
  readonly cacheDirectory: string;
  /** The program of a machine's process, as one script. */
  readonly program: string;
  readonly containers: ProcessContainers;
  readonly tell: (machine: Machine, action: string) => void;
}

/** What machines need of containers: each machine's process is one. */
interface ProcessContainers {
  create(config: ContainerConfig, name: string | undefined, image: Image): Promise<{ id: string }>;
  find(id: string): Container | undefined;
  start(id: string, options: { size?: Size }): Promise<void>;
  wait(id: string, condition: WaitCondition, options: { signal: AbortSignal }): Promise<WaitResult>;
  stop(id: string, options: StopOptions): Promise<void>;
  kill(id: string, signal: string): Promise<void>;
  remove(id: string, options: { force: boolean; volumes: boolean }): Promise<void>;
}

/** Where a machine's own files are. */
export function directoryOf({ stateDirectory }: MachineFacilities, { id }: Machine): string {
  return `${stateDirectory}/machines/${id}`;
}

/** The name of the container that is a machine's process. */
export function processNameOf({ name }: Machine): string {
  return `machine.${name}`;
}
