// The part of the control page by which harts start, stop and reach each other (SBI's hart state management), shared by all
// their threads.
import { control, type Layout } from '../memory/layout.ts';

/** States of SBI's HSM extension (SBI 2.0, chapter 9). */
export const hartState = { started: 0, stopped: 1, startPending: 2, suspended: 4 } as const;

const blockStart = 0x400;
const blockBytes = 0x40;
const word = { state: 0, start: 4, opaque: 12, halted: 20, firmware: 24 } as const;

export class HartControl {
  readonly #words: Int32Array;
  readonly #harts: number;

  constructor(buffer: ArrayBufferLike, layout: Layout) {
    this.#words = new Int32Array(buffer);
    this.#harts = layout.harts;
  }

  get harts(): number {
    return this.#harts;
  }

  state(hart: number): number {
    return Atomics.load(this.#words, this.#at(hart, word.state));
  }

  setState(hart: number, state: number): void {
    Atomics.store(this.#words, this.#at(hart, word.state), state);
    Atomics.notify(this.#words, this.#at(hart, word.state));
  }

  /** Asks a stopped hart to begin at `pc` with a1 = `opaque` (and a2 = `firmware`, in M mode); false if it is not stopped. */
  start(hart: number, pc: bigint, opaque: bigint, firmware = 0n): boolean {
    const state = this.#at(hart, word.state);
    if (Atomics.load(this.#words, state) !== hartState.stopped) return false;
    this.#put(hart, word.start, pc);
    this.#put(hart, word.opaque, opaque);
    this.#put(hart, word.firmware, firmware);
    if (Atomics.compareExchange(this.#words, state, hartState.stopped, hartState.startPending) !== hartState.stopped)
      return false;
    Atomics.notify(this.#words, state);
    return true;
  }

  /** What a hart found in `startPending` must begin with. */
  begin(hart: number): { pc: number; opaque: number; firmware: number } {
    return {
      pc: this.#get(hart, word.start),
      opaque: this.#get(hart, word.opaque),
      firmware: this.#get(hart, word.firmware),
    };
  }

  /** Wakes a stopped hart's thread, to look whether the machine stops. */
  wake(hart: number): void {
    Atomics.notify(this.#words, this.#at(hart, word.state));
  }

  /** Sleeps while the hart is stopped, at most `timeoutMs`. */
  waitWhileStopped(hart: number, timeoutMs: number): void {
    Atomics.wait(this.#words, this.#at(hart, word.state), hartState.stopped, timeoutMs);
  }

  /** Says that a hart sleeps with interrupts off, or that it does so no more. */
  setHalted(hart: number, halted: boolean): void {
    Atomics.store(this.#words, this.#at(hart, word.halted), halted ? 1 : 0);
  }

  /** Whether no hart can ever wake: each is stopped, or sleeps with interrupts off. */
  allHalted(): boolean {
    for (let hart = 0; hart < this.#harts; hart++) {
      const halted = Atomics.load(this.#words, this.#at(hart, word.halted)) !== 0;
      if (!halted && this.state(hart) !== hartState.stopped) return false;
    }
    return true;
  }

  /** Whether the machine is to stop. */
  get stopping(): boolean {
    return Atomics.load(this.#words, control.stop >> 2) !== 0;
  }

  #put(hart: number, low: number, value: bigint): void {
    const bits = BigInt.asUintN(64, value);
    this.#words[this.#at(hart, low)] = Number(BigInt.asIntN(32, bits));
    this.#words[this.#at(hart, low + 4)] = Number(BigInt.asIntN(32, bits >> 32n));
  }

  #get(hart: number, low: number): number {
    const lowHalf = (this.#words[this.#at(hart, low)] ?? 0) >>> 0;
    const highHalf = (this.#words[this.#at(hart, low + 4)] ?? 0) >>> 0;
    return lowHalf + highHalf * 2 ** 32;
  }

  #at(hart: number, offset: number): number {
    return (blockStart + hart * blockBytes + offset) >> 2;
  }
}
