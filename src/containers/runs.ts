// The runs of containers: a start, warm or plain, its guard watched until the guest's end, and what a run leaves cleaned up.
// A guest's end is put on record at once, whatever else goes on with its container; only then is cleaned up.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { nowNanos } from '../base/clock.ts';
import { fullMessageOf, HolmError, hasCode } from '../base/error.ts';
import { log } from '../base/log.ts';
import { isFrozen } from '../cgroups/kill.ts';
import { wasOutOfMemory } from '../cgroups/usage.ts';
import { guardLeft, openAttachment, openControl, parentOf, readExit } from '../kernel/guard.ts';
import { StepError } from '../kernel/keeper.ts';
import type { Started } from '../kernel/kernel.ts';
import type { Connection } from '../networks/networks.ts';
import { type Container, type ContainerState, isUp, type Size } from './container.ts';
import type { ContainerRecords } from './container-records.ts';
import { describe, makeDirectories } from './creation.ts';
import { exitCodeOf } from './exit-code.ts';
import { cgroupOf, type Facilities, guestDirectory } from './facilities.ts';
import { followUsers } from './id-choice.ts';
import type { LateStream } from './late-stream.ts';
import { removeFilesOf, removeRun } from './removal.ts';
import type { AttachOptions } from './requests.ts';
import { exitOf, type Run, type Running, watched } from './running.ts';
import { type Slot, Slots } from './slots.ts';
import {
  joinNetwork,
  preparedStartOf,
  remainingStartOf,
  type StartOptions,
  startOf,
  writeNameFiles,
} from './starting.ts';
import type { Waiting } from './waiting.ts';

interface PendingAttachment {
  readonly options: AttachOptions;
  readonly stream: LateStream;
}

/** A guest that has just been started. */
interface Beginning {
  readonly started: Started;
  readonly connection: Connection | undefined;
}

/** Those who are told of an end: who waits, and the life of the container, once all of the run is cleaned up. */
interface Listeners {
  readonly waiting: Waiting;
  readonly onEnd: (id: string) => void;
}

export class Runs {
  readonly slots: Slots;
  readonly #facilities: Facilities;
  readonly #records: ContainerRecords;
  readonly #work: Listeners;
  readonly #running = new Map<string, Running>();
  /** Containers of which a run may have left something outside of its namespaces. */
  readonly #unclean = new Set<string>();
  /** The latest run of each: its guard may hold its root for a moment after its end. */
  readonly #latest = new Map<string, Run>();
  readonly #pending = new Map<string, PendingAttachment[]>();

  /** Keeps up to `warmSlots` containers prepared. */
  constructor(facilities: Facilities, records: ContainerRecords, warmSlots: number, listeners: Listeners) {
    this.#facilities = facilities;
    this.#records = records;
    this.#work = listeners;
    this.slots = new Slots(facilities, warmSlots, {
      copy: ({ config, imageId, name }, id) =>
        describe(facilities, records, config, facilities.images.get(imageId), id, name),
      makeDirectories: (container) => makeDirectories(facilities, container),
      join: (container) => joinNetwork(facilities, container),
      prepare: (container, connection) =>
        facilities.kernel.prepare(preparedStartOf(facilities, records, container, connection)),
      erase: async (container) => {
        await this.clean(container);
        await removeFilesOf(facilities, container);
      },
    });
  }

  find(id: string): Running | undefined {
    return this.#running.get(id);
  }

  /** The run of a container that runs; throws in docker's words. */
  get(container: Container): Running {
    const running = this.#running.get(container.id);
    if (running === undefined || !isUp(container))
      throw new HolmError('conflict', `container ${container.id} is not running`);
    return running;
  }

  /** To be told of a container that took a slot: it has a cgroup and an address before it ever runs. */
  noteCreated({ id }: Container): void {
    if (this.slots.has(id)) this.#unclean.add(id);
  }

  /** Joins a stream to a guest that runs, or to the one that the next start makes. */
  async join(container: Container, options: AttachOptions, stream: LateStream): Promise<void> {
    const running = this.#running.get(container.id);
    if (isUp(container) && running !== undefined) await joinGuard(running.directory, options, stream);
    else this.#pending.set(container.id, [...(this.#pending.get(container.id) ?? []), { options, stream }]);
  }

  /** Settles when nothing of the container's runs is left; those who wait for one that will not come are let go. */
  async leave(container: Container): Promise<void> {
    await this.#running.get(container.id)?.cleaned;
    await this.slots.discard(container.id);
    if (this.#unclean.has(container.id)) await this.clean(container);
    for (const { stream } of this.#pending.get(container.id) ?? []) stream.abandon();
    this.#pending.delete(container.id);
    this.#latest.delete(container.id);
  }

  async launch(container: Container, size: Size | undefined): Promise<void> {
    await this.#running.get(container.id)?.cleaned;
    const pending = (this.#pending.get(container.id) ?? []).filter(({ stream }) => !stream.destroyed);
    this.#pending.delete(container.id);
    const last = await this.#latest.get(container.id)?.end;
    if (last?.guardPid !== undefined) await guardLeft(last.guardPid);
    this.#latest.delete(container.id);
    const directory = guestDirectory(this.#facilities, container.id);
    this.#unclean.add(container.id);
    const slot = await this.slots.use(container);
    if (slot === undefined) makeEmpty(directory);
    try {
      const options = { awaitClients: pending.length, ...(size === undefined ? {} : { size }) };
      const { started: guest, connection } =
        slot === undefined
          ? await this.#startPlainly(container, options)
          : await this.#startWarm(container, slot, options).catch((error) => {
              // What the guest's own steps say is said; a slot that could not serve is passed over.
              if (error instanceof StepError && error.phase === 'stage') throw error;
              makeEmpty(directory);
              return this.#startPlainly(container, options);
            });
      const joined = pending.map(({ options, stream }) => joinGuard(directory, options, stream));
      await Promise.all(joined);
      const { pid, end } = guest;
      const state: ContainerState = { is: 'running', pid, startedAt: nowNanos() };
      const started = this.#records.update(container.id, {
        state,
        endpoints: connection === undefined ? [] : [connection.endpoint],
        stoppedByUser: false,
      });
      this.#facilities.tell(started, 'start');
      this.#watch(started, { pid, directory, end });
      this.slots.refill(started);
    } catch (error) {
      for (const { stream } of pending) stream.abandon();
      await endGuest(directory);
      await this.clean(container);
      this.#recordFailure(container, error);
      throw error;
    }
  }

  async #startPlainly(container: Container, options: StartOptions): Promise<Beginning> {
    const followed = followUsers(this.#records, container);
    const connection = joinNetwork(this.#facilities, followed);
    const start = startOf(this.#facilities, this.#records, followed, connection, options);
    return { started: await this.#facilities.kernel.start(start), connection };
  }

  async #startWarm(container: Container, slot: Slot, options: StartOptions): Promise<Beginning> {
    const { prepared, connection } = slot;
    if (connection !== undefined) writeNameFiles(container, connection, this.#facilities.networks.hostGateway);
    return { started: await prepared.go(remainingStartOf(this.#facilities, container, options)), connection };
  }

  #recordFailure(container: Container, error: unknown): void {
    const startedAt = container.state.is === 'exited' ? container.state.startedAt : 0n;
    const code = exitCodeOf(error, 128);
    const state: ContainerState = {
      is: 'exited',
      startedAt,
      finishedAt: nowNanos(),
      code,
      outOfMemory: false,
      error: fullMessageOf(error),
    };
    const failed = this.#records.update(container.id, { state, endpoints: [] });
    this.#work.waiting.tellEnd(container.id, { code, error: '' });
    this.#facilities.tell(failed, 'die', { exitCode: String(code) });
    this.#work.onEnd(failed.id);
  }

  /** Remembers a run and awaits its end. */
  #watch(container: Container, run: Run): void {
    const exit = exitOf(run.end, () => readExit(run.directory));
    const ended = exit.then((record) => this.#recordEnd(container.id, record));
    const cleaned = ended.then(() => this.clean(container)).finally(() => this.#running.delete(container.id));
    cleaned
      .then(() => this.#work.onEnd(container.id))
      .catch((error) =>
        log('error', 'Cannot clean up after a container', { id: container.id, error: fullMessageOf(error) }),
      );
    this.#running.set(container.id, watched(run, ended, cleaned));
    this.#latest.set(container.id, run);
  }

  #recordEnd(id: string, exit: Awaited<ReturnType<typeof exitOf>>): void {
    const container = this.#records.findById(id);
    if (container === undefined || !isUp(container)) return;
    const outOfMemory = wasOutOfMemory(exit.files);
    const state: ContainerState = {
      is: 'exited',
      startedAt: container.state.startedAt,
      finishedAt: exit.at,
      code: exit.code,
      outOfMemory,
      error: '',
    };
    const after = this.#records.update(container.id, { state });
    if (outOfMemory) this.#facilities.tell(after, 'oom');
    this.#facilities.tell(after, 'die', {
      exitCode: String(exit.code),
      execDuration: String((exit.at - container.state.startedAt) / 1_000_000_000n),
    });
    this.#work.waiting.tellEnd(id, { code: exit.code, error: '' });
  }

  /** Removes what a run leaves outside of its namespaces: cgroups, addresses, its run directory. Safe to repeat. */
  async clean(container: Container): Promise<void> {
    const directory = guestDirectory(this.#facilities, container.id);
    const { networks } = this.#facilities;
    await removeRun(this.#facilities, container, directory);
    networks.disconnect(container.id);
    // A network namespace lives on in those who share it; its cable must not keep an address that is free again.
    if (this.#sharers(container).length > 0) await networks.removeLeftovers();
    this.#unclean.delete(container.id);
  }

  /** Running containers that joined this one's network namespace. */
  #sharers({ id, name }: Container): Container[] {
    return this.#records.list().filter((other) => {
      const { network } = other.config;
      if (!isUp(other) || network.from !== 'container') return false;
      return network.container === name || id.startsWith(network.container);
    });
  }

  /** Takes a container up that ran, or puts its end on record. */
  async recover(container: Container): Promise<void> {
    const directory = guestDirectory(this.#facilities, container.id);
    this.#unclean.add(container.id);
    const control = await openControl(directory);
    if (control !== undefined) {
      const { startedAt } = control;
      const guardPid = parentOf(control.pid);
      const is = isFrozen(this.#facilities.hierarchies, cgroupOf(this.#facilities, container)) ? 'paused' : 'running';
      this.#watch(this.#records.update(container.id, { state: { is, pid: control.pid, startedAt } }), {
        pid: control.pid,
        directory,
        end: control.exit.then((record) => record && { record, ...(guardPid !== undefined && { guardPid }) }),
        control,
      });
      return;
    }
    const exit = readExit(directory);
    if (!isUp(container) && exit === undefined) return this.clean(container);
    if (!isUp(container))
      this.#records.update(container.id, { state: { is: 'running', pid: 0, startedAt: exit?.at ?? nowNanos() } });
    this.#watch(this.#records.get(container.id), { pid: 0, directory, end: Promise.resolve(undefined) });
    await this.#running.get(container.id)?.cleaned;
  }

  /** Whether a run left nothing: its run directory is the last that goes. */
  isClean({ id, state }: Container): boolean {
    const isHalf = state.is === 'removing' || state.is === 'creating';
    return !isHalf && !existsSync(guestDirectory(this.#facilities, id));
  }

  /** To be told of a container on record that may have left something, when the daemon starts. */
  noteRecovered({ id }: Container): void {
    this.#unclean.add(id);
  }
}

/** Connects a stream to a guard; it ends at once if the guard has left. */
export async function joinGuard(directory: string, options: AttachOptions, stream: LateStream): Promise<void> {
  try {
    stream.join(await openAttachment(directory, options, options.framed));
  } catch {
    stream.abandon();
  }
}

/** Kills a guest that runs although its start could not be finished. */
async function endGuest(directory: string): Promise<void> {
  const sigkill = 9;
  const control = await openControl(directory).catch(() => undefined);
  control?.signal(sigkill);
  await control?.exit;
}

/** A fresh run directory, whatever an earlier run left. */
function makeEmpty(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    rmSync(directory, { recursive: true });
    mkdirSync(directory, { mode: 0o700 });
  }
}
