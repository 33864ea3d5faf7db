// Containers as the doors see them: one object over their life, their execs, logs and files.
import type { Readable } from 'node:stream';
import { HolmError } from '../base/error.ts';
import type { Limits } from '../cgroups/controller.ts';
import {
  type ChangeKind,
  changesOf,
  readArchive,
  statPath,
  writableBytes,
  writeArchive,
} from '../containers/archives.ts';
import { commitContainer } from '../containers/commit.ts';
import type {
  Container,
  ContainerConfig,
  Exec,
  ExecConfig,
  RestartPolicy,
  Size,
  Usage,
} from '../containers/container.ts';
import { isUp } from '../containers/container.ts';
import type { Containers } from '../containers/containers.ts';
import type { ExecStartOptions, Execs } from '../containers/execs.ts';
import type { Facilities } from '../containers/facilities.ts';
import { topOf, usageOf } from '../containers/inspection.ts';
import type { LateStream } from '../containers/late-stream.ts';
import { readLog } from '../containers/log-file.ts';
import type {
  AttachOptions,
  CommitOptions,
  LogOptions,
  PathStat,
  StopOptions,
  WaitCondition,
  WaitResult,
} from '../containers/requests.ts';
import { exportRoot } from '../containers/roots.ts';
import { machineLabel } from '../machines/soft/confinement.ts';
import type { Health } from './health.ts';
import type { HealthChecks } from './health-checks.ts';

export class ContainersDoor {
  readonly #facilities: Facilities;
  readonly #containers: Containers;
  readonly #execs: Execs;
  readonly #healthChecks: HealthChecks;

  constructor(facilities: Facilities, containers: Containers, execs: Execs, healthChecks: HealthChecks) {
    this.#facilities = facilities;
    this.#containers = containers;
    this.#execs = execs;
    this.#healthChecks = healthChecks;
  }

  async create(
    config: ContainerConfig,
    name: string | undefined,
  ): Promise<{ id: string; warnings: readonly string[] }> {
    if (machineLabel in config.labels)
      throw new HolmError('invalid', `Cannot create the container: the label "${machineLabel}" is the engine's own`);
    return this.#containers.create(config, name);
  }
  list(): readonly Container[] {
    return this.#containers.list().filter((container) => !isMachine(container));
  }
  get(reference: string): Container {
    const container = this.#containers.get(reference);
    return isUp(container) ? { ...container, execIds: this.#execs.runningIn(container.id) } : container;
  }
  health(id: string): Health | undefined {
    return this.#healthChecks.find(id);
  }
  async start(reference: string, options: { size?: Size } = {}): Promise<void> {
    return this.#containers.start(this.#changeable(reference), options);
  }
  async stop(reference: string, options: StopOptions): Promise<void> {
    return this.#containers.stop(this.#changeable(reference), options);
  }
  async restart(reference: string, options: StopOptions): Promise<void> {
    return this.#containers.restart(this.#changeable(reference), options);
  }
  async kill(reference: string, signal: string): Promise<void> {
    return this.#containers.kill(this.#changeable(reference), signal);
  }
  async pause(reference: string): Promise<void> {
    return this.#containers.pause(this.#changeable(reference));
  }
  async resume(reference: string): Promise<void> {
    return this.#containers.resume(this.#changeable(reference));
  }
  wait(reference: string, condition: WaitCondition, options: { signal: AbortSignal }): Promise<WaitResult> {
    return this.#containers.wait(reference, condition, options);
  }
  async remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void> {
    await this.#containers.remove(this.#changeable(reference), options);
  }
  async rename(reference: string, name: string): Promise<void> {
    return this.#containers.rename(this.#changeable(reference), name);
  }
  update(reference: string, resources: Limits, restart: RestartPolicy | undefined): Promise<readonly string[]> {
    return this.#containers.update(reference, resources, restart);
  }
  resize(reference: string, size: Size): Promise<void> {
    return this.#containers.resize(reference, size);
  }
  attach(reference: string, options: AttachOptions): Promise<LateStream> {
    return this.#containers.attach(reference, options);
  }

  async logs(reference: string, options: LogOptions, signal: AbortSignal): Promise<Readable> {
    const container = this.#containers.get(reference);
    if (container.logPath === '')
      throw new HolmError('unsupported', 'configured logging driver does not support reading');
    const follow = options.follow && isUp(container) ? this.#containers.runs.find(container.id)?.ended : undefined;
    return readLog(container.logPath, options, follow, signal);
  }

  async usage(reference: string): Promise<Usage> {
    const container = this.#containers.get(reference);
    return usageOf(this.#facilities, container, this.#containers.runs.get(container).pid);
  }

  async top(
    reference: string,
    psArguments: string,
  ): Promise<{ titles: readonly string[]; processes: readonly (readonly string[])[] }> {
    const container = this.#containers.get(reference);
    this.#containers.runs.get(container);
    return topOf(this.#facilities, container, psArguments);
  }

  async changes(reference: string): Promise<readonly { path: string; kind: ChangeKind }[]> {
    return changesOf(this.#containers.get(reference));
  }
  async exportRoot(reference: string): Promise<Readable> {
    return exportRoot(this.#facilities, this.#containers.get(reference));
  }
  async statPath(reference: string, path: string): Promise<PathStat> {
    return statPath(this.#facilities, await this.#ownRoot(reference), path);
  }
  async readArchive(reference: string, path: string): Promise<{ stat: PathStat; tar: Readable }> {
    return readArchive(this.#facilities, await this.#ownRoot(reference), path);
  }
  async writeArchive(
    reference: string,
    path: string,
    tar: Readable,
    options: { noOverwriteDirNonDir: boolean; copyOwners: boolean },
  ): Promise<void> {
    return writeArchive(this.#facilities, await this.#ownRoot(this.#changeable(reference)), path, tar, options);
  }

  /** The id of a container that may be changed: a machine's process is the machine's alone. */
  #changeable(reference: string): string {
    const container = this.#containers.get(reference);
    if (isMachine(container))
      throw new HolmError('conflict', `Cannot change container "${container.name}": it is a machine's process`);
    return container.id;
  }

  /** A container whose files are about to be looked at: a slot that has its root mounted must not stand in the way. */
  async #ownRoot(reference: string): Promise<Container> {
    const container = this.#containers.get(reference);
    await this.#containers.runs.slots.discard(container.id);
    return container;
  }

  async commit(reference: string, options: CommitOptions): Promise<string> {
    const container = this.#containers.get(this.#changeable(reference));
    const pauses = options.pause && container.state.is === 'running';
    if (pauses) await this.#containers.pause(reference);
    try {
      const id = await commitContainer(this.#facilities, container, options);
      this.#facilities.tell(container, 'commit', { comment: options.comment, imageID: id });
      return id;
    } finally {
      if (pauses) await this.#containers.resume(reference);
    }
  }

  async prune(keep: (container: Container) => boolean): Promise<{ removed: readonly string[]; bytes: number }> {
    const removed: string[] = [];
    let bytes = 0;
    for (const container of this.list()) {
      if (isUp(container) || keep(container)) continue;
      bytes += await writableBytes(container);
      await this.#containers.remove(container.id, { force: false, volumes: false });
      removed.push(container.id);
    }
    return { removed, bytes };
  }

  async sizes(reference: string): Promise<{ writableBytes: number; rootBytes: number }> {
    const container = this.#containers.get(reference);
    const own = await writableBytes(container);
    const image = this.#facilities.images.find(container.imageId);
    return { writableBytes: own, rootBytes: own + (image?.sizeBytes ?? 0) };
  }

  async createExec(reference: string, config: ExecConfig): Promise<string> {
    return this.#execs.create(this.#changeable(reference), config);
  }
  getExec(id: string): Exec {
    return this.#execs.get(id);
  }
  startExec(id: string, options: ExecStartOptions): Promise<LateStream | undefined> {
    return this.#execs.start(id, options);
  }
  async resizeExec(id: string, size: Size): Promise<void> {
    await this.#execs.resize(id, size);
  }
}

/** No user's request can carry the label; what an image says does not count. */
function isMachine({ config }: Container): boolean {
  return machineLabel in config.labels;
}
