// The platform-level interrupt controller (RISC-V PLIC specification 1.0.0), wholly in shared memory: harts claim and
// complete, and devices raise lines, without asking another thread. Contexts: 2 h is hart h's M mode, 2 h + 1 its S mode.
// Every change of a source is one compare-and-exchange; a context's pin is set again until it agrees with the sources.
import type { Layout } from '../memory/layout.ts';
import { interrupt, type Signals } from '../memory/signals.ts';
import { plic } from './address-map.ts';
import type { DeviceState, InterruptLine } from './device.ts';
import { plicWords } from './shared-map.ts';

/** Bits of a source's word. A gateway forwards (pends) a request unless its last one is still claimed. */
const level = 1;
const pending = 2;
const claimed = 4;

const maxPriority = 7;

export class Plic {
  readonly name = 'plic';
  readonly #words: Int32Array;
  readonly #signals: Signals;
  readonly #contexts: number;
  readonly #sources: number;
  readonly #priorities: number;
  readonly #enables: number;
  readonly #thresholds: number;

  constructor(buffer: ArrayBufferLike, layout: Layout, signals: Signals) {
    this.#words = new Int32Array(buffer);
    this.#signals = signals;
    this.#contexts = layout.harts * 2;
    this.#sources = (layout.devices + plicWords.sources) >> 2;
    this.#priorities = (layout.devices + plicWords.priorities) >> 2;
    this.#enables = (layout.devices + plicWords.enables) >> 2;
    this.#thresholds = (layout.devices + plicWords.thresholds) >> 2;
  }

  /** Reads the aligned word at `offset` of the window; reading a context's claim register claims. */
  read(offset: number): number {
    if (offset < 0x1000) return this.#load(this.#priorities, offset >> 2, plic.sources);
    if (offset < 0x2000) return offset === 0x1000 ? this.#pendingBits() : 0;
    if (offset < 0x20_0000) {
      const at = offset - 0x2000;
      return (at & 0x7f) === 0 ? this.#load(this.#enables, at >> 7, this.#contexts) : 0;
    }
    const context = (offset - 0x20_0000) >> 12;
    if (context >= this.#contexts) return 0;
    if ((offset & 0xfff) === 0) return Atomics.load(this.#words, this.#thresholds + context);
    return (offset & 0xfff) === 4 ? this.#claim(context) : 0;
  }

  /** Writes the aligned word at `offset`; writing a context's claim register completes. */
  write(offset: number, value: number): void {
    if (offset < 0x1000) {
      const source = offset >> 2;
      if (source === 0 || source >= plic.sources) return;
      Atomics.store(this.#words, this.#priorities + source, value & maxPriority);
      this.#updateAll();
      return;
    }
    if (offset < 0x2000) return;
    if (offset < 0x20_0000) {
      const context = (offset - 0x2000) >> 7;
      if (((offset - 0x2000) & 0x7f) !== 0 || context >= this.#contexts) return;
      // Source 0 does not exist.
      Atomics.store(this.#words, this.#enables + context, value & ~1);
      this.#update(context);
      return;
    }
    const context = (offset - 0x20_0000) >> 12;
    if (context >= this.#contexts) return;
    if ((offset & 0xfff) === 0) {
      Atomics.store(this.#words, this.#thresholds + context, value & maxPriority);
      this.#update(context);
    } else if ((offset & 0xfff) === 4) this.#complete(context, value);
  }

  /** A device's wire to `source`. */
  line(source: number): InterruptLine {
    return { set: (on) => this.setLevel(source, on) };
  }

  setLevel(source: number, on: boolean): void {
    const at = this.#sources + source;
    for (;;) {
      const before = Atomics.load(this.#words, at);
      let after = on ? before | level : before & ~level;
      if (on && (before & claimed) === 0) after |= pending;
      if (after === before) return;
      if (Atomics.compareExchange(this.#words, at, before, after) !== before) continue;
      if ((after & pending) !== (before & pending)) this.#updateSource(source);
      return;
    }
  }

  save(): DeviceState {
    const copy = (at: number, count: number): number[] =>
      Array.from({ length: count }, (_, i) => Atomics.load(this.#words, at + i));
    return {
      sources: copy(this.#sources, plic.sources),
      priorities: copy(this.#priorities, plic.sources),
      enables: copy(this.#enables, this.#contexts),
      thresholds: copy(this.#thresholds, this.#contexts),
    };
  }

  /** Restores, and sets or clears every hart's MEIP and SEIP accordingly. */
  load(state: DeviceState): void {
    const put = (at: number, values: readonly number[]): void => {
      values.forEach((value, i) => {
        Atomics.store(this.#words, at + i, value);
      });
    };
    put(this.#sources, state.sources as number[]);
    put(this.#priorities, state.priorities as number[]);
    put(this.#enables, state.enables as number[]);
    put(this.#thresholds, state.thresholds as number[]);
    this.#updateAll();
  }

  #load(base: number, index: number, count: number): number {
    return index < count ? Atomics.load(this.#words, base + index) >>> 0 : 0;
  }

  #pendingBits(): number {
    let bits = 0;
    for (let source = 1; source < plic.sources; source++) {
      if ((Atomics.load(this.#words, this.#sources + source) & pending) !== 0) bits |= 1 << source;
    }
    return bits >>> 0;
  }

  /** The pending source of highest priority enabled for `context`, the lowest number among equals; 0 is none. */
  #best(context: number, above: number): number {
    let left = Atomics.load(this.#words, this.#enables + context);
    let best = 0;
    let priority = above;
    while (left !== 0) {
      const source = 31 - Math.clz32(left & -left);
      left &= left - 1;
      if ((Atomics.load(this.#words, this.#sources + source) & pending) === 0) continue;
      const its = Atomics.load(this.#words, this.#priorities + source);
      if (its > priority) {
        best = source;
        priority = its;
      }
    }
    return best;
  }

  /** Claims regardless of the threshold, as the specification says. */
  #claim(context: number): number {
    for (;;) {
      const source = this.#best(context, 0);
      if (source === 0) {
        this.#update(context);
        return 0;
      }
      const at = this.#sources + source;
      const before = Atomics.load(this.#words, at);
      // Another hart may have been faster.
      if ((before & pending) === 0) continue;
      if (Atomics.compareExchange(this.#words, at, before, (before & ~pending) | claimed) !== before) continue;
      this.#updateSource(source);
      return source;
    }
  }

  #complete(context: number, source: number): void {
    if (source <= 0 || source >= plic.sources) return;
    // A source that is not enabled for the context cannot be completed by it.
    if ((Atomics.load(this.#words, this.#enables + context) & (1 << source)) === 0) return;
    const at = this.#sources + source;
    for (;;) {
      const before = Atomics.load(this.#words, at);
      if ((before & claimed) === 0) return;
      const after = (before & level) !== 0 ? level | pending : before & ~claimed;
      if (Atomics.compareExchange(this.#words, at, before, after) !== before) continue;
      if ((after & pending) !== 0) this.#updateSource(source);
      return;
    }
  }

  #updateSource(source: number): void {
    for (let context = 0; context < this.#contexts; context++) {
      if ((Atomics.load(this.#words, this.#enables + context) & (1 << source)) !== 0) this.#update(context);
    }
  }

  #updateAll(): void {
    for (let context = 0; context < this.#contexts; context++) this.#update(context);
  }

  /** Makes the context's pin agree: whoever changed a source last looks last, so that no rise is lost. */
  #update(context: number): void {
    const bit = (context & 1) === 0 ? interrupt.meip : interrupt.seip;
    for (;;) {
      const wanted = this.#wanted(context);
      if (wanted) this.#signals.raise(context >> 1, bit);
      else this.#signals.lower(context >> 1, bit);
      if (this.#wanted(context) === wanted) return;
    }
  }

  #wanted(context: number): boolean {
    return this.#best(context, Atomics.load(this.#words, this.#thresholds + context)) !== 0;
  }
}
