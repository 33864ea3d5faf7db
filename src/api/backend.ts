// What the API needs of the engine: the contract, written by its user. The engine's stores fit these shapes.
// References are what a person may write: a name, an id, a unique beginning of an id. All reject with HolmError.
import type { Duplex, Readable } from 'node:stream';
import type { Limits } from '../cgroups/controller.ts';
import type {
  Container,
  ContainerConfig,
  Exec,
  ExecConfig,
  RestartPolicy,
  Size,
  Usage,
} from '../containers/container.ts';
import type { AttachOptions, LogOptions, PathStat } from '../containers/requests.ts';
import type { EngineEvent } from '../engine/events.ts';
import type { Explanation } from '../engine/explain.ts';
import type { Health } from '../engine/health.ts';
import type { HostFacts } from '../engine/host.ts';
import type { MachineView } from '../engine/machines-door.ts';
import type { DebianRequest } from '../images/from-debian.ts';
import type { Image } from '../images/image.ts';
import type { MachineFiles } from '../images/machine/machine-files.ts';
import type { MachineConfig } from '../machines/machine.ts';
import type { Network } from '../networks/network.ts';
import type { Volume } from '../volumes/volume.ts';

export type { AttachOptions, EngineEvent, Health, HostFacts, LogOptions, PathStat };

/** A guest's streams as a client sees them. Reading gives output until its end; writing is standard input, ending it half-closes. */
export type AttachedStream = Duplex;

export interface ContainersBackend {
  create(config: ContainerConfig, name: string | undefined): Promise<{ id: string; warnings: readonly string[] }>;
  list(): readonly Container[];
  get(reference: string): Container;
  /** Of a container by its whole id; undefined where nothing is checked, and before the first start. */
  health(id: string): Health | undefined;
  start(reference: string, options?: { size?: Size; detachKeys?: string }): Promise<void>;
  stop(reference: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  restart(reference: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  kill(reference: string, signal: string): Promise<void>;
  pause(reference: string): Promise<void>;
  resume(reference: string): Promise<void>;
  /** Resolves at the next or present end; `removed` waits for the removal too. */
  wait(
    reference: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    options: { signal: AbortSignal },
  ): Promise<{ code: number; error: string }>;
  remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void>;
  rename(reference: string, name: string): Promise<void>;
  update(reference: string, resources: Limits, restart: RestartPolicy | undefined): Promise<readonly string[]>;
  resize(reference: string, size: Size): Promise<void>;
  attach(reference: string, options: AttachOptions): Promise<AttachedStream>;
  logs(reference: string, options: LogOptions, signal: AbortSignal): Promise<Readable>;
  usage(reference: string): Promise<Usage>;
  /** The processes of a guest as `ps` on the host prints them, the pids being the host's. */
  top(
    reference: string,
    psArguments: string,
  ): Promise<{ titles: readonly string[]; processes: readonly (readonly string[])[] }>;
  changes(reference: string): Promise<readonly { path: string; kind: 'modified' | 'added' | 'deleted' }[]>;
  exportRoot(reference: string): Promise<Readable>;
  statPath(reference: string, path: string): Promise<PathStat>;
  readArchive(reference: string, path: string): Promise<{ stat: PathStat; tar: Readable }>;
  writeArchive(
    reference: string,
    path: string,
    tar: Readable,
    options: { noOverwriteDirNonDir: boolean; copyOwners: boolean },
  ): Promise<void>;
  commit(
    reference: string,
    options: {
      repository?: string;
      tag?: string;
      comment: string;
      author: string;
      pause: boolean;
      changes: readonly string[];
    },
  ): Promise<string>;
  prune(keep: (container: Container) => boolean): Promise<{ removed: readonly string[]; bytes: number }>;
  sizes(reference: string): Promise<{ writableBytes: number; rootBytes: number }>;
  createExec(reference: string, config: ExecConfig): Promise<string>;
  getExec(id: string): Exec;
  startExec(
    id: string,
    options: { detach: boolean; terminal: boolean; size?: Size; framed: boolean },
  ): Promise<AttachedStream | undefined>;
  resizeExec(id: string, size: Size): Promise<void>;
}

/** A step of long work, for progress bars. */
export interface Progress {
  readonly id: string;
  readonly status: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

export interface ImagesBackend {
  list(): readonly Image[];
  get(reference: string): Image;
  /** Reads a docker archive or an OCI layout as a tar, plain or compressed; gives what was loaded ("debian:bookworm" or a digest). */
  load(archive: Readable, onProgress: (progress: Progress) => void): Promise<readonly string[]>;
  /** Writes a docker archive, which is an OCI layout too. */
  save(references: readonly string[]): Promise<Readable>;
  /** Makes an image of one layer from a tar of a root file system; gives its id. */
  importRoot(
    tar: Readable,
    options: { reference?: string; message: string; changes: readonly string[]; platform?: string },
  ): Promise<string>;
  tag(reference: string, target: string): Promise<void>;
  remove(
    reference: string,
    options: { force: boolean; prune: boolean },
  ): Promise<readonly ({ untagged: string } | { deleted: string })[]>;
  prune(
    options: { danglingOnly: boolean },
    keep: (image: Image) => boolean,
  ): Promise<{ removed: readonly ({ untagged: string } | { deleted: string })[]; bytes: number }>;
}

export interface VolumesBackend {
  list(): readonly Volume[];
  get(name: string): Volume;
  create(request: {
    name: string;
    driver: string;
    options: Readonly<Record<string, string>>;
    labels: Readonly<Record<string, string>>;
  }): Promise<Volume>;
  remove(name: string, options: { force: boolean }): Promise<void>;
  prune(
    options: { all: boolean },
    keep: (volume: Volume) => boolean,
  ): Promise<{ removed: readonly string[]; bytes: number }>;
  /** Bytes on disk. */
  sizeBytes(name: string): Promise<number>;
}

export interface NetworksBackend {
  list(): readonly Network[];
  get(reference: string): Network;
}

export interface MachinesBackend {
  create(
    config: MachineConfig,
    name: string | undefined,
    onProgress: (what: string) => void,
    signal: AbortSignal,
  ): Promise<{ id: string }>;
  list(): readonly MachineView[];
  get(reference: string): MachineView;
  start(reference: string): Promise<void>;
  /** Asks the guest to power off; ends it after the time. */
  stop(reference: string, options: { timeoutSeconds?: number }): Promise<void>;
  kill(reference: string): Promise<void>;
  /** The id of the container whose streams are the console. */
  console(reference: string): string;
  remove(reference: string, options: { force: boolean }): Promise<void>;
}

export interface EventsBackend {
  /** Past events since `since`, then those to come until `until` or the signal. */
  subscribe(range: { since?: bigint; until?: bigint }, signal: AbortSignal): AsyncIterable<EngineEvent>;
}

/** The engine as the doors see it. */
export interface Backend {
  readonly version: string;
  readonly startedAt: bigint;
  readonly containers: ContainersBackend;
  readonly images: ImagesBackend;
  readonly volumes: VolumesBackend;
  readonly networks: NetworksBackend;
  readonly machines: MachinesBackend;
  readonly events: EventsBackend;
  host(): HostFacts;
  /** Makes an image from Debian's packages; gives its id. */
  createDebianImage(request: DebianRequest, onProgress: (status: string) => void, signal: AbortSignal): Promise<string>;
  /** Where an image's kernel and initial RAM disk are. Throws `invalid` when it has no kernel. */
  machineFiles(reference: string): Promise<MachineFiles>;
  /** The program that starting this container would give to the kernel, with the reason of each step; runs nothing. */
  explain(config: ContainerConfig): Promise<Explanation>;
}
