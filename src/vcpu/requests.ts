// What harts ask of each other: bits in hartWord.requests. Only a hart that executes guest code is waited for; another serves its
// requests before it does so again. Who waits serves its own requests meanwhile, so two harts cannot wait for each other for ever.
import { hartWord, type Layout } from '../memory/layout.ts';
import { Signals } from '../memory/signals.ts';
import { state } from './hart-state.ts';

export const request = {
  /** Forget all translations. */
  flushTlb: 1,
  /** Forget the tags of the store TLB: a page has instructions now. */
  flushStores: 2,
  /** Look for changed code: fence.i. */
  fenceInstructions: 4,
} as const;

/** How long a look at a busy hart may take before the next. */
const waitMs = 5;

export class Requests {
  readonly #words: Int32Array;
  readonly #layout: Layout;
  readonly #index: number;
  readonly #signals: Signals;
  readonly #serve: (bits: number) => void;

  /** `serve` carries out the requests of hart `index`, whose thread this is. */
  constructor(buffer: ArrayBufferLike, layout: Layout, index: number, serve: (bits: number) => void) {
    this.#words = new Int32Array(buffer);
    this.#layout = layout;
    this.#index = index;
    this.#signals = new Signals(buffer, layout);
    this.#serve = serve;
  }

  /** Carries out what others ask, or only some of it, then tells them. */
  serve(which = -1): void {
    const word = this.#word(this.#index, hartWord.requests);
    const bits = Atomics.load(this.#words, word) & which;
    if (bits === 0) return;
    this.#serve(bits);
    Atomics.and(this.#words, word, ~bits);
    Atomics.notify(this.#words, word);
  }

  /**
   * Asks other harts, and returns when each has served or executes nothing. Between two instructions a hart serves anything
   * meanwhile; in the midst of one only what that instruction does not rest on (`meanwhile`), such as a translation it just made.
   */
  ask(harts: readonly number[], bits: number, meanwhile = -1): void {
    const others = harts.filter((hart) => hart !== this.#index);
    for (const hart of others) this.#signals.request(hart, bits);
    for (const hart of others) this.#waitFor(hart, bits, meanwhile);
  }

  /** Says that the hart begins or ends executing guest code. */
  setRunning(running: boolean): void {
    Atomics.store(this.#words, this.#word(this.#index, state.running), running ? 1 : 0);
    if (!running) Atomics.notify(this.#words, this.#word(this.#index, hartWord.requests));
  }

  #waitFor(hart: number, bits: number, meanwhile: number): void {
    const word = this.#word(hart, hartWord.requests);
    const running = this.#word(hart, state.running);
    for (;;) {
      const pending = Atomics.load(this.#words, word);
      if ((pending & bits) === 0 || Atomics.load(this.#words, running) === 0) return;
      this.serve(meanwhile);
      Atomics.wait(this.#words, word, pending, waitMs);
    }
  }

  #word(hart: number, offset: number): number {
    return (this.#layout.hart(hart) + offset) >> 2;
  }
}
