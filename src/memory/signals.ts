// How other threads reach a hart: bits of mip, and a nudge out of its loop or its sleep.
import { hartWord, type Layout } from './layout.ts';

/** Bits of mip and mie (privileged architecture, section 3.1.9). */
export const interrupt = {
  ssip: 0x2,
  msip: 0x8,
  stip: 0x20,
  mtip: 0x80,
  seip: 0x200,
  meip: 0x800,
} as const;

/** The words of each hart that devices, other harts and the monitor write. `words` covers the whole shared memory. */
export class Signals {
  readonly #words: Int32Array;
  readonly #layout: Layout;

  constructor(buffer: ArrayBufferLike, layout: Layout) {
    this.#words = new Int32Array(buffer);
    this.#layout = layout;
  }

  /** Sets bits of a hart's mip and wakes it. */
  raise(hart: number, bits: number): void {
    const before = Atomics.or(this.#words, this.#word(hart, hartWord.pending), bits);
    if ((before & bits) !== bits) this.nudge(hart);
  }

  lower(hart: number, bits: number): void {
    Atomics.and(this.#words, this.#word(hart, hartWord.pending), ~bits);
  }

  /** The bits of a hart's mip that are set from outside. */
  pending(hart: number): number {
    return Atomics.load(this.#words, this.#word(hart, hartWord.pending));
  }

  /** Adds bits to what a hart is asked to do (src/vcpu/requests.ts) and wakes it. */
  request(hart: number, bits: number): void {
    Atomics.or(this.#words, this.#word(hart, hartWord.requests), bits);
    this.nudge(hart);
  }

  /** Makes a hart look: at the next check if it runs, at once if it sleeps. */
  nudge(hart: number): void {
    Atomics.store(this.#words, this.#word(hart, hartWord.attention), 1);
    const wake = this.#word(hart, hartWord.wake);
    Atomics.store(this.#words, wake, 1);
    Atomics.notify(this.#words, wake);
  }

  #word(hart: number, word: number): number {
    return (this.#layout.hart(hart) + word) >> 2;
  }
}
