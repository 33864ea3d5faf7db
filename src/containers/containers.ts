// The life of containers: create, start, stop, pause, wait, rename, remove. One writer a container: all that changes one
// holds its lock, except the guest's own end, which is put on record at once and cleaned up after.
import type { DatabaseSync } from 'node:sqlite';
import { fullMessageOf, HolmError } from '../base/error.ts';
import { log } from '../base/log.ts';
import { parseSignal } from '../base/signals.ts';
import type { Limits } from '../cgroups/controller.ts';
import { freezeSteps, thawSteps, updateSteps } from '../cgroups/group.ts';
import { killCgroup, waitFrozen } from '../cgroups/kill.ts';
import { checkLimits, readHostCpus } from '../cgroups/limits.ts';
import type { Image } from '../images/image.ts';
import { type Container, type ContainerConfig, isUp, type RestartPolicy, type Size } from './container.ts';
import { ContainerRecords } from './container-records.ts';
import { checkName, createContainer, makeDirectories } from './creation.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { cgroupOf, type Facilities } from './facilities.ts';
import { LateStream } from './late-stream.ts';
import { removeFilesOf, sweep } from './removal.ts';
import type { AttachOptions, StopOptions, WaitCondition, WaitResult } from './requests.ts';
import { Restarts } from './restarts.ts';
import type { Running } from './running.ts';
import { Runs } from './runs.ts';
import { Waiting } from './waiting.ts';

const defaultStopSeconds = 10;
const killWaitMs = 10_000;

export class Containers {
  readonly records: ContainerRecords;
  readonly runs: Runs;
  readonly #facilities: Facilities;
  readonly #waiting = new Waiting();
  readonly #restarts = new Restarts((id) => this.#startAgain(id));

  /** Keeps up to `warmSlots` containers prepared. */
  constructor(facilities: Facilities, database: DatabaseSync, warmSlots: number) {
    this.#facilities = facilities;
    this.records = new ContainerRecords(database);
    const onEnd = (id: string) => {
      this.#afterEnd(id).catch((error) =>
        log('error', 'Cannot go on after an end', { id, error: fullMessageOf(error) }),
      );
    };
    this.runs = new Runs(facilities, this.records, warmSlots, { waiting: this.#waiting, onEnd });
  }

  list(): readonly Container[] {
    return this.records.list();
  }

  get(reference: string): Container {
    return this.records.get(reference);
  }

  async create(
    config: ContainerConfig,
    name: string | undefined,
    image: Image = this.#facilities.images.get(config.image),
  ): Promise<{ id: string; warnings: readonly string[] }> {
    const { container, warnings } = await createContainer(this.#facilities, this.records, this.runs.slots, {
      config,
      image,
      name,
    });
    this.runs.noteCreated(container);
    this.#facilities.tell(container, 'create');
    return { id: container.id, warnings };
  }

  async start(reference: string, options: { size?: Size } = {}): Promise<void> {
    const { id } = this.get(reference);
    this.#restarts.forget(id);
    await this.#facilities.locks.hold(id, async () => {
      const container = this.get(id);
      if (container.state.is === 'paused')
        throw new HolmError('conflict', 'cannot start a paused container, try unpause instead');
      if (container.state.is === 'creating' || container.state.is === 'removing')
        throw new HolmError(
          'conflict',
          `cannot start container ${id}: it is being ${container.state.is === 'creating' ? 'created' : 'removed'}`,
        );
      if (container.state.is === 'running') return;
      const begun = container.restartCount === 0 ? container : this.records.update(id, { restartCount: 0 });
      await this.runs.launch(begun, options.size);
    });
  }

  async #afterEnd(id: string): Promise<void> {
    const container = this.records.findById(id);
    if (container === undefined || container.state.is !== 'exited') return;
    if (this.#restarts.plan(container)) return;
    if (container.config.autoRemove) await this.#removeAutomatically(id);
  }

  async #startAgain(id: string): Promise<void> {
    await this.#facilities.locks.hold(id, async () => {
      const container = this.records.findById(id);
      if (container?.state.is !== 'exited' || container.stoppedByUser) return;
      const again = this.records.update(container.id, { restartCount: container.restartCount + 1 });
      await this.runs.launch(again, undefined);
    });
  }

  /** Without force: somebody may have started it again meanwhile. */
  async #removeAutomatically(id: string): Promise<void> {
    await this.remove(id, { force: false, volumes: true }).catch((error) => {
      if (!(error instanceof HolmError && (error.kind === 'notFound' || error.kind === 'conflict'))) {
        log('error', 'Cannot remove a container automatically', { id, error: fullMessageOf(error) });
      }
    });
  }

  async stop(reference: string, options: StopOptions): Promise<void> {
    const { id } = this.get(reference);
    this.#restarts.forget(id);
    await this.#facilities.locks.hold(id, async () => {
      const container = this.get(id);
      // Also while a restart is planned: it is not wanted any more.
      if (container.state.is === 'exited' || isUp(container))
        this.records.update(container.id, { stoppedByUser: true });
      if (isUp(container)) await this.#end(container, options);
    });
  }

  /** Ends a guest: by its stop signal, and by force after the time it is given. */
  async #end(container: Container, options: StopOptions): Promise<void> {
    if (container.state.is === 'paused') await this.#thaw(container);
    const signal = parseSignal(options.signal ?? container.config.stopSignal ?? 'SIGTERM');
    const seconds = options.timeoutSeconds ?? container.config.stopTimeoutSeconds ?? defaultStopSeconds;
    const running = this.runs.get(container);
    (await running.control)?.signal(signal);
    this.#facilities.tell(container, 'kill', { signal: String(signal) });
    if (!(await settlesWithin(running.ended, seconds < 0 ? undefined : seconds * 1000)))
      await this.#killAll(container, running);
    this.#facilities.tell(this.get(container.id), 'stop');
  }

  async restart(reference: string, options: StopOptions): Promise<void> {
    await this.stop(reference, options);
    await this.start(reference);
    this.#facilities.tell(this.get(reference), 'restart');
  }

  /** Ends a guest that is not well and starts it again, counted as a restart of its policy; not if a user was faster. */
  async replaceUnhealthy(id: string): Promise<void> {
    await this.#hold(id, async (container) => {
      if (container.state.is !== 'running') return;
      await this.#end(container, {});
      const again = this.records.update(container.id, { restartCount: container.restartCount + 1 });
      await this.runs.launch(again, undefined);
      this.#facilities.tell(this.get(id), 'restart');
    });
  }

  async kill(reference: string, signalText: string): Promise<void> {
    const container = this.get(reference);
    const signal = parseSignal(signalText || 'SIGKILL');
    const running = this.runs.get(container);
    const sigkill = 9;
    if (signal === sigkill || signal === parseSignal(container.config.stopSignal ?? 'SIGTERM')) {
      this.records.update(container.id, { stoppedByUser: true });
    }
    if (signal === sigkill) {
      if (container.state.is === 'paused') {
        (await running.control)?.signal(sigkill);
        await this.#thaw(container);
      }
      await this.#killAll(container, running);
    } else {
      (await running.control)?.signal(signal);
    }
    this.#facilities.tell(container, 'kill', { signal: String(signal) });
  }

  /** Kills every process of a guest and waits for its end. */
  async #killAll(container: Container, running: Running): Promise<void> {
    const sigkill = 9;
    (await running.control)?.signal(sigkill);
    // A pid namespace of its own dies with its first process; a shared one does not.
    if (container.config.namespaces.pid.from !== 'new') {
      await killCgroup(this.#facilities.hierarchies, cgroupOf(this.#facilities, container));
    }
    if (await settlesWithin(running.ended, killWaitMs)) return;
    throw new HolmError(
      'timeout',
      `Cannot kill container "${container.name}": it has not ended ${killWaitMs / 1000} s after SIGKILL`,
    );
  }

  async pause(reference: string): Promise<void> {
    await this.#hold(reference, async (container) => {
      if (container.state.is === 'paused') throw new HolmError('conflict', `Container ${reference} is already paused`);
      if (container.state.is !== 'running') throw new HolmError('conflict', `Container ${container.id} is not running`);
      const { kernel, hierarchies } = this.#facilities;
      const cgroup = cgroupOf(this.#facilities, container);
      await kernel.run(freezeSteps(hierarchies, cgroup));
      try {
        await waitFrozen(hierarchies, cgroup);
      } catch (error) {
        await kernel.run(thawSteps(hierarchies, cgroup));
        throw error;
      }
      this.records.update(container.id, { state: { ...container.state, is: 'paused' } });
      this.#facilities.tell(container, 'pause');
    });
  }

  async resume(reference: string): Promise<void> {
    await this.#hold(reference, async (container) => {
      if (container.state.is !== 'paused') throw new HolmError('conflict', `Container ${container.id} is not paused`);
      await this.#thaw(container);
      this.#facilities.tell(container, 'unpause');
    });
  }

  async #thaw(container: Container): Promise<void> {
    const { kernel, hierarchies } = this.#facilities;
    await kernel.run(thawSteps(hierarchies, cgroupOf(this.#facilities, container)));
    const now = this.get(container.id);
    if (now.state.is === 'paused') this.records.update(container.id, { state: { ...now.state, is: 'running' } });
  }

  #hold(reference: string, work: (container: Container) => Promise<void>): Promise<void> {
    const { id } = this.get(reference);
    return this.#facilities.locks.hold(id, () => work(this.get(id)));
  }

  async wait(reference: string, condition: WaitCondition, options: { signal: AbortSignal }): Promise<WaitResult> {
    const { id, state } = this.get(reference);
    if (condition === 'not-running' && state.is === 'exited') return { code: state.code, error: state.error };
    if (condition === 'not-running' && state.is === 'created') return { code: 0, error: '' };
    return this.#waiting.wait(id, condition, options.signal);
  }

  async remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void> {
    const { id } = this.get(reference);
    this.#restarts.forget(id);
    await this.#facilities.locks.hold(id, async () => {
      const container = this.get(id);
      if (isUp(container)) {
        if (!options.force) {
          const how =
            container.state.is === 'paused'
              ? 'paused and must be unpaused first'
              : 'running: stop the container before removing or force remove';
          throw new HolmError('conflict', `cannot remove container "/${container.name}": container is ${how}`);
        }
        this.records.update(id, { stoppedByUser: true });
        const running = this.runs.get(container);
        if (container.state.is === 'paused') {
          (await running.control)?.signal(9);
          await this.#thaw(container);
        }
        await this.#killAll(container, running);
      }
      await this.#erase(this.get(id), options.volumes);
    });
  }

  /** Removes a container that does not run, and all that belongs to it. Also finishes a removal that a crash cut short. */
  async #erase(container: Container, volumes: boolean): Promise<void> {
    const { id } = container;
    this.records.update(id, { state: { is: 'removing' } });
    try {
      await this.runs.leave(container);
      await removeFilesOf(this.#facilities, container);
    } catch (error) {
      // It can be asked for again.
      this.records.update(id, { state: container.state });
      throw error;
    }
    this.records.remove(id);
    const code = container.state.is === 'exited' ? container.state.code : 0;
    this.#waiting.tellRemoval(id, { code, error: '' });
    this.#facilities.tell(container, 'destroy');
    await this.#facilities.images.collect();
    if (volumes || container.config.autoRemove) await this.#removeAnonymousVolumes(container);
  }

  async #removeAnonymousVolumes(container: Container): Promise<void> {
    for (const point of container.mountPoints) {
      const volume = point.name === undefined ? undefined : this.#facilities.volumes.find(point.name);
      // Volumes that another container shares stay.
      if (volume?.anonymous) await this.#facilities.volumes.remove(volume.name, { force: true }).catch(() => undefined);
    }
  }

  async rename(reference: string, asked: string): Promise<void> {
    await this.#hold(reference, async (container) => {
      if (asked === '') throw new HolmError('invalid', 'Neither old nor new names may be empty');
      if (asked.replace(/^\//, '') === container.name) {
        throw new HolmError('invalid', 'Renaming a container with the same name as its current name');
      }
      const oldName = `/${container.name}`;
      const renamed = this.records.update(container.id, { name: checkName(this.records, asked) });
      this.#facilities.tell(renamed, 'rename', { oldName });
    });
  }

  async update(reference: string, resources: Limits, restart: RestartPolicy | undefined): Promise<readonly string[]> {
    let told: readonly string[] = [];
    await this.#hold(reference, async (container) => {
      const { kernel, hierarchies } = this.#facilities;
      const before = container.config.resources;
      const { limits, warnings } = checkLimits(
        mergeResources(before, resources),
        hierarchies,
        readHostCpus(hierarchies),
      );
      if (isUp(container))
        await kernel.run(updateSteps(hierarchies, cgroupOf(this.#facilities, container), before, limits));
      const config = { ...container.config, resources: limits, restart: restart ?? container.config.restart };
      this.#facilities.tell(this.records.update(container.id, { config }), 'update');
      told = warnings;
    });
    return told;
  }

  async resize(reference: string, size: Size): Promise<void> {
    (await this.runs.get(this.get(reference)).control)?.resize(size.rows, size.columns);
  }

  /** Attaches to a container that runs, or that is to run: then the stream begins to flow at its start. */
  async attach(reference: string, options: AttachOptions): Promise<LateStream> {
    const container = this.get(reference);
    if (container.state.is === 'paused')
      throw new HolmError('conflict', `container ${container.id} is paused, unpause the container before attach`);
    const keys = parseDetachKeys(options.detachKeys);
    const stream = new LateStream(container.config.terminal ? keys : undefined);
    this.#facilities.tell(container, 'attach');
    const wanted = { ...options, stdin: options.stdin && container.config.stdinOpen };
    await this.runs.join(container, wanted, stream);
    return stream;
  }

  /** Finds all guests again after a start of the daemon: takes up those that run, puts on record what ended, finishes removals. */
  async recover(): Promise<void> {
    await sweep(this.#facilities, new Set(this.list().map(({ id }) => id)));
    await Promise.all(
      this.list().map((container) =>
        this.#recoverOne(container).catch((error) =>
          log('error', 'Cannot recover a container', { id: container.id, error: fullMessageOf(error) }),
        ),
      ),
    );
  }

  async #recoverOne(container: Container): Promise<void> {
    const { is } = container.state;
    if (is === 'created') makeDirectories(this.#facilities, container);
    if (isUp(container) || !this.runs.isClean(container)) {
      this.runs.noteRecovered(container);
      if (is === 'removing' || is === 'creating') return this.#erase(container, false);
      await this.runs.recover(container);
    }
    const after = this.get(container.id);
    if (after.state.is === 'exited' && after.config.autoRemove) await this.#removeAutomatically(after.id);
  }

  /** After recovery: starts what its restart policy wants running. */
  async resumePolicies(): Promise<void> {
    for (const container of this.list()) {
      const { name } = container.config.restart;
      const isWanted = name === 'always' || (name === 'unless-stopped' && !container.stoppedByUser);
      if (container.state.is === 'exited' && isWanted) {
        await this.start(container.id).catch((error) =>
          log('warn', 'Cannot start a container again', { id: container.id, error: fullMessageOf(error) }),
        );
      }
    }
  }
}

/** Limits with some changed. A memory limit alone may not pass the limit of memory and swap that stands. */
function mergeResources(before: Limits, change: Limits): Limits {
  const swap = before.memorySwapBytes ?? 0;
  if (
    change.memoryBytes !== undefined &&
    change.memorySwapBytes === undefined &&
    swap > 0 &&
    change.memoryBytes > swap
  ) {
    throw new HolmError(
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
  return { ...before, ...change };
}

/** Whether a promise settles in time; undefined waits for ever. */
async function settlesWithin(promise: Promise<unknown>, ms: number | undefined): Promise<boolean> {
  if (ms === undefined) return promise.then(() => true);
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
