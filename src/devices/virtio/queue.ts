// A split virtqueue, device side (virtio 1.2, section 2.7). The ring is the guest's and may be hostile: every index is
// masked, every address checked, every walk bounded; what is wrong ends in `fail`, never in an exception.
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { DeviceState } from '../device.ts';
import { Chain } from './chain.ts';
import { collect, descriptorBytes } from './descriptors.ts';

/** Section 2.7.6 and 2.7.8. */
const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
const VIRTQ_USED_F_NO_NOTIFY = 1;

/** What a queue needs of its transport. */
export interface QueueOwner {
  /** Used buffers are to be told to the driver. */
  interrupt(): void;
  fail(why: string): void;
  /** Whether the driver said DRIVER_OK and nothing broke since: no buffer is used otherwise. */
  readonly running: boolean;
  /** Negotiated VIRTIO_F_EVENT_IDX. */
  readonly eventIndex: boolean;
}

export class Virtqueue {
  readonly index: number;
  readonly maxSize: number;
  /** Set by the driver before `ready`; addresses are guest-physical. */
  size: number;
  descriptors = 0;
  available = 0;
  used = 0;
  readonly #memory: GuestMemory;
  readonly #owner: QueueOwner;
  #ready = false;
  #generation = 0;
  /** Next entry of the available ring, next of the used ring, and the used index of the last `signal`; all modulo 65536. */
  #nextAvailable = 0;
  #nextUsed = 0;
  #signalled = 0;
  #quiet = false;
  /** How many chains `pop` still gives in this notification. */
  #budget = Number.POSITIVE_INFINITY;
  /** Popped and not yet pushed; and what a load has to pop again. */
  readonly #held = new Set<number>();
  #again: number[] = [];

  constructor(memory: GuestMemory, index: number, maxSize: number, owner: QueueOwner) {
    this.#memory = memory;
    this.#owner = owner;
    this.index = index;
    this.maxSize = maxSize;
    this.size = maxSize;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** The driver's QueueReady: checks size, alignment and place of the three areas; wrong ones break the device. */
  setReady(ready: boolean): void {
    if (!ready) {
      this.#forget();
      return;
    }
    const why = this.#wrong();
    if (why === undefined) this.#ready = true;
    else this.#fail(why);
  }

  reset(): void {
    this.#forget();
    this.size = this.maxSize;
    this.descriptors = this.available = this.used = 0;
  }

  /** Whether `pop` would give a chain; asks for no notification. */
  get pending(): boolean {
    if (!this.#ready || !this.#owner.running) return false;
    return this.#again.length > 0 || this.#memory.loadU16(this.available + 2) !== this.#nextAvailable;
  }

  /**
   * The next request of the driver. When there is none: `undefined`, and the driver will notify at its next one. A ring
   * that breaks the protocol gives `undefined` too, and the device needs a reset.
   */
  pop(): Chain | undefined {
    if (!this.#ready || !this.#owner.running || this.#budget <= 0) return undefined;
    this.#budget--;
    const again = this.#again.shift();
    if (again !== undefined) return this.#chain(again);
    let available = this.#memory.loadU16(this.available + 2);
    if (available === this.#nextAvailable) {
      this.#listen();
      available = this.#memory.loadU16(this.available + 2);
      if (available === this.#nextAvailable) return undefined;
    }
    if (((available - this.#nextAvailable) & 0xffff) > this.size) {
      this.#fail('more requests than entries');
      return undefined;
    }
    if (!this.#quiet && !this.#owner.eventIndex) {
      this.#memory.setU16(this.used, VIRTQ_USED_F_NO_NOTIFY);
      this.#quiet = true;
    }
    const head = this.#memory.u16(this.available + 4 + (this.#nextAvailable & (this.size - 1)) * 2);
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    if (this.#held.has(head)) {
      this.#fail(`descriptor ${head} twice`);
      return undefined;
    }
    return this.#chain(head);
  }

  /**
   * Does a notification's work with at most a ring's worth of chains: a driver that adds as fast as the device takes must not
   * hold the device thread for ever. Returns whether more may be left.
   */
  turn(work: () => void): boolean {
    this.#budget = this.size;
    work();
    const more = this.#budget <= 0;
    this.#budget = Number.POSITIVE_INFINITY;
    return more;
  }

  /** Gives the chain popped last back to the ring, untouched: the next `pop` gives it again. */
  putBack(chain: Chain): void {
    if (chain.generation !== this.#generation || !this.#held.delete(chain.head)) return;
    this.#again.unshift(chain.head);
  }

  /**
   * Returns a chain to the driver, the first `writtenBytes` of its writable part having been written. Call `signal` after the
   * last of several, unless within `notify`.
   */
  push(chain: Chain, writtenBytes: number): void {
    if (this.fill(chain, writtenBytes)) this.#memory.storeU16(this.used + 2, this.#nextUsed);
  }

  /** As `push`, but the driver sees it with the next `push` only: for chains that belong together. */
  fill(chain: Chain, writtenBytes: number): boolean {
    if (chain.generation !== this.#generation || !this.#owner.running || !this.#held.delete(chain.head)) return false;
    chain.written(this.#memory, writtenBytes);
    const entry = this.used + 4 + (this.#nextUsed & (this.size - 1)) * 8;
    this.#memory.setU32(entry, chain.head);
    this.#memory.setU32(entry + 4, writtenBytes);
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    return true;
  }

  /** Interrupts the driver if something was pushed since the last time, and it wants to know. */
  signal(): void {
    if (!this.#ready || !this.#owner.running || this.#signalled === this.#nextUsed) return;
    const before = this.#signalled;
    this.#signalled = this.#nextUsed;
    if (this.#owner.eventIndex) {
      const event = this.#memory.loadU16(this.available + 4 + this.size * 2);
      // vring_need_event of section 2.7.10.
      if (((this.#nextUsed - event - 1) & 0xffff) >= ((this.#nextUsed - before) & 0xffff)) return;
    } else if ((this.#memory.loadU16(this.available) & VIRTQ_AVAIL_F_NO_INTERRUPT) !== 0) return;
    this.#owner.interrupt();
  }

  save(): DeviceState {
    return {
      size: this.size,
      ready: this.#ready,
      descriptors: this.descriptors,
      available: this.available,
      used: this.used,
      nextAvailable: this.#nextAvailable,
      nextUsed: this.#nextUsed,
      signalled: this.#signalled,
      // In flight first: they were popped before those put back.
      again: [...this.#held, ...this.#again],
    };
  }

  load(state: DeviceState): void {
    this.reset();
    this.size = state.size as number;
    this.descriptors = state.descriptors as number;
    this.available = state.available as number;
    this.used = state.used as number;
    if (state.ready === true) this.setReady(true);
    this.#nextAvailable = state.nextAvailable as number;
    this.#nextUsed = state.nextUsed as number;
    this.#signalled = state.signalled as number;
    this.#again = [...(state.again as number[])];
  }

  /** What is wrong with the place of the ring. */
  #wrong(): string | undefined {
    const { size } = this;
    if (size === 0 || size > this.maxSize || (size & (size - 1)) !== 0) return `size ${size}`;
    if (this.descriptors % 16 !== 0 || this.available % 2 !== 0 || this.used % 4 !== 0) return 'not aligned';
    const inside =
      this.#memory.contains(this.descriptors, size * descriptorBytes) &&
      this.#memory.contains(this.available, 6 + size * 2) &&
      this.#memory.contains(this.used, 6 + size * 8);
    return inside ? undefined : 'not in RAM';
  }

  #forget(): void {
    this.#ready = false;
    this.#generation++;
    this.#nextAvailable = this.#nextUsed = this.#signalled = 0;
    this.#quiet = false;
    this.#held.clear();
    this.#again = [];
  }

  /** Asks the driver to notify at its next request. The caller looks once more afterwards. */
  #listen(): void {
    if (this.#owner.eventIndex) this.#memory.storeU16(this.used + 4 + this.size * 8, this.#nextAvailable);
    else if (this.#quiet) {
      this.#memory.storeU16(this.used, 0);
      this.#quiet = false;
    }
  }

  #chain(head: number): Chain | undefined {
    const chain = new Chain(head, this.#generation);
    const why = collect(chain, this.#memory, this.descriptors, this.size);
    if (why !== undefined) {
      this.#fail(why);
      return undefined;
    }
    this.#held.add(head);
    return chain;
  }

  #fail(why: string): void {
    this.#owner.fail(`queue ${this.index}: ${why}`);
  }
}
