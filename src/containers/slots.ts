// Warm slots: containers prepared before anyone asks. A slot is a guest whose cgroup, namespaces, cable and root stand and whose
// first process waits; create takes its id, start sends it the rest. It is only a faster road to the same state: a container
// of another shape, or whose slot is gone, takes the plain one. What is ready is bounded, and refilled
// when nothing else is asked for.
import { mkdirSync } from 'node:fs';
import { fullMessageOf } from '../base/error.ts';
import { createId, type Id } from '../base/id.ts';
import { log } from '../base/log.ts';
import type { Prepared } from '../kernel/kernel.ts';
import type { Connection } from '../networks/networks.ts';
import type { Container } from './container.ts';
import { type Facilities, guestDirectory } from './facilities.ts';

/** A slot that a container has taken, ready to be started. */
export interface Slot {
  readonly id: Id;
  readonly shape: string;
  readonly container: Container;
  readonly connection: Connection | undefined;
  readonly prepared: Prepared;
}

/** What the slots need of the life of containers. */
export interface SlotWork {
  /** The record that a container of another id would have. */
  readonly copy: (container: Container, id: Id) => Container;
  readonly makeDirectories: (container: Container) => void;
  readonly join: (container: Container) => Connection | undefined;
  readonly prepare: (container: Container, connection: Connection | undefined) => Promise<Prepared>;
  /** Removes all that a container and its run left. */
  readonly erase: (container: Container) => Promise<void>;
}

/** How long a slot waits for its container's start, and a ready one for a container. */
const claimMs = 20_000;
const idleMs = 120_000;
/** So long nothing may have happened to a container before slots are refilled: what is asked for now comes first. */
const quietMs = 30;

export class Slots {
  readonly #facilities: Pick<Facilities, 'runDirectory'>;
  readonly #work: SlotWork;
  readonly #most: number;
  readonly #ready: Slot[] = [];
  readonly #claimed = new Map<string, { slot: Slot; timer: NodeJS.Timeout }>();
  #model: Container | undefined;
  #refilling: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #closed = false;

  /** Keeps up to `most` slots ready. */
  constructor(facilities: Pick<Facilities, 'runDirectory'>, most: number, work: SlotWork) {
    this.#facilities = facilities;
    this.#most = most;
    this.#work = work;
  }

  /** Takes a ready slot of the same shape; gives the id that the container is to have. */
  take(container: Container): Id | undefined {
    const shape = shapeOf(container);
    const at = this.#ready.findIndex((slot) => slot.shape === shape && slot.prepared.isWaiting);
    const slot = at === -1 ? undefined : this.#ready.splice(at, 1)[0];
    if (slot === undefined) return undefined;
    const timer = setTimeout(() => this.discard(slot.id).catch(warn), claimMs).unref();
    this.#claimed.set(slot.id, { slot, timer });
    return slot.id;
  }

  /** The slot of a container that starts now, unless it has none, or it is no longer of that shape. */
  async use(container: Container): Promise<Slot | undefined> {
    const claim = this.#claimed.get(container.id);
    if (claim === undefined) return undefined;
    if (!claim.slot.prepared.isWaiting || claim.slot.shape !== shapeOf(container)) {
      await this.discard(container.id);
      return undefined;
    }
    clearTimeout(claim.timer);
    this.#claimed.delete(container.id);
    return claim.slot;
  }

  /** Whether a container has taken a slot and not been started. */
  has(id: string): boolean {
    return this.#claimed.has(id);
  }

  /** Gives up the slot of a container that was not started; the container itself stays. */
  async discard(id: string): Promise<void> {
    const claim = this.#claimed.get(id);
    if (claim === undefined) return;
    clearTimeout(claim.timer);
    this.#claimed.delete(id);
    await claim.slot.prepared.close();
  }

  /** Makes ready what the container that was just started would have liked. */
  refill(model: Container): void {
    if (this.#most === 0 || this.#closed) return;
    if (shapeOf(model) !== undefined) this.#model = model;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#empty().catch(warn), idleMs).unref();
    this.#quiet ??= setTimeout(() => {
      this.#quiet = undefined;
      this.#refilling ??= this.#fill().finally(() => {
        this.#refilling = undefined;
      });
    }, quietMs).unref();
  }

  /** To be told of everything that happens to a container: a refill that waits begins to wait anew. */
  noteWork(): void {
    this.#quiet?.refresh();
  }

  async #fill(): Promise<void> {
    try {
      while (!this.#closed && this.#model !== undefined) {
        const shape = shapeOf(this.#model);
        for (const slot of this.#ready.filter((other) => other.shape !== shape || !other.prepared.isWaiting))
          await this.#remove(slot);
        if (this.#ready.length >= this.#most || shape === undefined) return;
        await this.#add(this.#model, shape);
      }
    } catch (error) {
      this.#model = undefined;
      warn(error);
    }
  }

  async #add(model: Container, shape: string): Promise<void> {
    const id = createId();
    const container = this.#work.copy(model, id);
    try {
      this.#work.makeDirectories(container);
      mkdirSync(guestDirectory(this.#facilities, id), { mode: 0o700 });
      const connection = this.#work.join(container);
      const prepared = await this.#work.prepare(container, connection);
      this.#ready.push({ id, shape, container, connection, prepared });
    } catch (error) {
      await this.#work.erase(container);
      throw error;
    }
  }

  async #remove(slot: Slot): Promise<void> {
    const at = this.#ready.indexOf(slot);
    if (at === -1) return;
    this.#ready.splice(at, 1);
    await slot.prepared.close();
    await this.#work.erase(slot.container);
  }

  async #empty(): Promise<void> {
    this.#model = undefined;
    await this.#refilling;
    for (const slot of [...this.#ready]) await this.#remove(slot);
  }

  /** Gives up what is ready of an image that goes. */
  async forgetImage(imageId: string): Promise<void> {
    if (this.#model?.imageId === imageId) this.#model = undefined;
    for (const slot of this.#ready.filter(({ container }) => container.imageId === imageId))
      await this.#remove(slot).catch(warn);
  }

  /** Ends everything that waits. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#quiet);
    await this.#empty();
    for (const id of [...this.#claimed.keys()]) await this.discard(id);
  }
}

function warn(error: unknown): void {
  log('warn', 'Cannot keep containers prepared', { error: fullMessageOf(error) });
}

/** All that decides what is done before the process is known; undefined for what is not worth preparing. */
function shapeOf({ config, imageId, mountPoints }: Container): string | undefined {
  const { network } = config;
  const { user, time, ...namespaces } = config.namespaces;
  const isPlain =
    mountPoints.length === 0 &&
    config.mounts.length + config.volumes.length + config.volumesFrom.length === 0 &&
    Object.values(namespaces).every(({ from }) => from === 'new') &&
    [user, time].every((mode) => mode === undefined || mode.from === 'host') &&
    (network.from === 'network' || network.from === 'none') &&
    config.macAddress === '' &&
    // Only the groups below holm's own parent are looked through when holmd starts again.
    config.cgroupParent === '';
  if (!isPlain) return undefined;
  return JSON.stringify([
    imageId,
    network,
    config.resources,
    config.devices,
    config.deviceCgroupRules,
    config.sysctls,
    config.oomScoreAdjust,
    config.shmBytes,
    config.privileged,
    config.securityOptions,
    config.readOnlyRoot,
    config.init,
    config.maskedPaths,
    config.readonlyPaths,
  ]);
}
