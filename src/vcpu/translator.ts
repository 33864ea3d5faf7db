// The translator: hot guest code becomes WebAssembly modules at run time, one function a region (src/vcpu/region.ts). Regions
// are keyed by the *physical* page of their code, so aliases and context switches invalidate nothing. All of it is a
// cache: it may be thrown away at any moment between two regions.
//
// The contract with the interpreter:
// - A region is a function `(hart: i32) -> i32` in a slot of the table that the interpreter calls through. It runs from state.pc,
//   which the interpreter has stored, as it has stored everything else of the hart. It returns with all of the hart's
//   state in memory, state.pc at the next instruction, and state.budget exact. Result 0: go on from state.pc as usual.
//   Result 1: the instruction at state.pc is one the region leaves to the interpreter (a miss in the TLB, a misaligned access,
//   floating point that is not plain): carry out this one by its own meaning even if a region begins there, else nothing would
//   ever move.
// - The interpreter looks at `attention` and state.budget before it enters a region; a region looks at both at each of its
//   back-edges, and so may take the budget below 0 by less than `maxRegionInstructions`. Whoever sets `attention` stores 1.
// - state.budget must fit in 31 bits; and V8 has no on-stack replacement, so the caller of wasm gives it slices of about
//   2^20 instructions and calls `work` between two slices.
// - A tag of a store TLB is never held for a page that has regions or decoded instructions (pageFlag.code), and this hart's TLBs
//   change only while it is outside of regions: a request of another hart waits for `attention`.
import { pageBytes } from '../memory/layout.ts';
import { i32 } from './code.ts';
import type { Decoded } from './decode.ts';
import { Module } from './module.ts';
import { emitRegion, type RegionBody } from './region.ts';
import { RegionCode } from './region-code.ts';
import { findRegion } from './region-graph.ts';

/** What the translator asks of the interpreter of its hart. A page is an index into RAM, an offset is in bytes. */
export interface RegionEntries {
  /**
   * From now on the instruction at `offset` of RAM page `page` is entered by `call_indirect` of table slot `slot`. False if the page
   * is not decoded: then nobody would notice a store to it, and the region must go.
   */
  setRegion(page: number, offset: number, slot: number): boolean;
  /** Undoes setRegion: the instruction has its own meaning again. No harm if the page is not decoded any more. */
  clearRegion(page: number, offset: number): void;
}

/** What the interpreter asks of the translator. None of these is called while a region is on the stack. */
export interface RegionTranslator {
  /** The instruction at `offset` of `page` was begun often (a target of branches, jumps or calls): translate it soon. */
  hot(page: number, offset: number): void;
  /** Compiles what is waiting. To be called between slices; true if anything was installed. */
  work(): boolean;
  /** The bytes of `page` have changed or are about to: its regions are gone. The interpreter forgets its records itself. */
  dropPage(page: number): void;
  /** Everything is gone (fence.i with unknown writers, a restored checkpoint). */
  dropAll(): void;
  /** `page` was decoded anew with its bytes unchanged: regions that still stand are set again. */
  decoded(page: number): void;
}

/** Exact floating-point routines that a region may call, in the order of their numbers. */
export type SoftRoutines = readonly { readonly name: string; readonly operands: 1 | 2 | 3 }[];

export interface TranslatorOptions {
  /** Told of WebAssembly that is not valid: a mistake of the translator, which tests must not pass over. */
  readonly invalid?: (error: unknown) => void;
  readonly memory: WebAssembly.Memory;
  /** Where the hart's area begins. */
  readonly hart: number;
  readonly table: WebAssembly.Table;
  /** Slots of `table` that are the translator's: from here on to its end. */
  readonly firstSlot: number;
  readonly entries: RegionEntries;
  /** The instruction at `offset` of RAM page `page`; undefined if it is illegal or crosses the page's end. */
  readonly decodeAt: (page: number, offset: number) => Decoded | undefined;
  readonly soft: SoftRoutines;
  /**
   * Carries routine `routine` out for the hart: operands are in its area at state.call, the result goes to the first of these,
   * flags are accrued in state.fflags.
   */
  readonly callSoft: (routine: number, rounding: number) => void;
}

interface Region {
  readonly page: number;
  readonly offset: number;
  readonly slot: number;
  readonly bytes: number;
}

/** Regions compiled together at most: what a module costs beside its functions is shared (20 KB alone, 5 KB each of fifty). */
const batchRegions = 50;
/** WebAssembly code, in bytes, above which the oldest half is thrown away. Machine code is some five times as large. */
const codeBytesLimit = 16 * 2 ** 20;

/** What a translator has done, for the monitor and for measurements. */
export interface Translated {
  regions: number;
  modules: number;
  bytes: number;
  dropped: number;
  microseconds: number;
}

export class Translator implements RegionTranslator {
  readonly statistics: Translated = { regions: 0, modules: 0, bytes: 0, dropped: 0, microseconds: 0 };
  readonly #options: TranslatorOptions;
  readonly #code: RegionCode;
  readonly #freeSlots: number[] = [];
  /** Regions by page, then by offset; the pages in the order of their first region. */
  readonly #pages = new Map<number, Map<number, Region>>();
  /** The same in the order of translation: the oldest is evicted first. */
  readonly #regions = new Set<Region>();
  readonly #waiting = new Set<number>();
  /** Entries that cannot be translated, until their page changes. */
  readonly #refused = new Set<number>();
  #bytes = 0;

  constructor(options: TranslatorOptions) {
    this.#options = options;
    this.#code = new RegionCode(options.hart, options.soft);
    for (let slot = options.table.length - 1; slot >= options.firstSlot; slot--) this.#freeSlots.push(slot);
  }

  hot(page: number, offset: number): void {
    const place = page * pageBytes + offset;
    if (!this.#refused.has(place) && !this.#pages.get(page)?.has(offset)) this.#waiting.add(place);
  }

  work(): boolean {
    if (this.#waiting.size === 0) return false;
    const started = performance.now();
    const batch: { page: number; offset: number; body: RegionBody }[] = [];
    for (const place of this.#waiting) {
      this.#waiting.delete(place);
      const offset = place % pageBytes;
      const page = (place - offset) / pageBytes;
      const graph = findRegion(this.#options.decodeAt, page, offset);
      if (graph === undefined) {
        this.#refused.add(place);
        continue;
      }
      batch.push({ page, offset, body: emitRegion(graph, this.#code) });
      // The rest waits for the next slice: the guest's interrupts should not.
      if (batch.length === batchRegions) break;
    }
    if (batch.length > 0) this.#compile(batch);
    this.statistics.microseconds += (performance.now() - started) * 1000;
    return true;
  }

  dropPage(page: number): void {
    const regions = this.#pages.get(page);
    for (const region of regions?.values() ?? []) this.#drop(region);
    for (const places of [this.#waiting, this.#refused]) {
      if (places.size === 0) continue;
      for (const place of places) if (Math.floor(place / pageBytes) === page) places.delete(place);
    }
  }

  dropAll(): void {
    for (const region of this.#regions) this.#drop(region);
    this.#waiting.clear();
    this.#refused.clear();
  }

  decoded(page: number): void {
    for (const region of this.#pages.get(page)?.values() ?? []) {
      this.#options.entries.setRegion(page, region.offset, region.slot);
    }
  }

  #compile(batch: readonly { page: number; offset: number; body: RegionBody }[]): void {
    const { memory, table, entries, callSoft } = this.#options;
    const module = new Module();
    const soft = batch.some((one) => one.body.usesSoft);
    if (soft) module.importFunction('hart', 'soft', module.type([i32, i32]));
    module.importMemory('hart', 'memory', memory.buffer.byteLength / 0x1_0000);
    const type = module.type([i32], [i32]);
    batch.forEach(({ body }, index) => {
      const func = module.declare(type);
      module.define(func, body.locals, body.body);
      module.exportFunction(String(index), func);
    });
    const compiled = this.#tryCompile(module.encode());
    if (compiled === undefined) {
      // A mistake of the translator must cost speed, not the guest: what does not compile alone stays with the interpreter.
      if (batch.length > 1) for (const one of batch) this.#compile([one]);
      else for (const { page, offset } of batch) this.#refused.add(page * pageBytes + offset);
      return;
    }
    const instance = new WebAssembly.Instance(compiled, { hart: { memory, soft: callSoft } });
    batch.forEach(({ page, offset, body }, index) => {
      const region = { page, offset, slot: this.#slot(), bytes: body.body.length };
      table.set(region.slot, instance.exports[String(index)]);
      let regions = this.#pages.get(page);
      if (regions === undefined) {
        regions = new Map();
        this.#pages.set(page, regions);
      }
      regions.set(offset, region);
      this.#regions.add(region);
      this.#bytes += region.bytes;
      this.statistics.regions++;
      this.statistics.bytes += region.bytes;
      if (!entries.setRegion(page, offset, region.slot)) this.#drop(region);
    });
    this.statistics.modules++;
    if (this.#bytes > codeBytesLimit) this.#evict(codeBytesLimit / 2);
  }

  #tryCompile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined {
    try {
      return new WebAssembly.Module(bytes);
    } catch (error) {
      this.#options.invalid?.(error);
      return undefined;
    }
  }

  #slot(): number {
    if (this.#freeSlots.length === 0) this.#evict(this.#bytes / 2);
    return this.#freeSlots.pop()!;
  }

  /** Drops the oldest regions until no more than `keepBytes` are left; what is still hot is soon translated again. */
  #evict(keepBytes: number): void {
    for (const region of this.#regions) {
      if (this.#bytes <= keepBytes) return;
      this.#drop(region);
    }
  }

  #drop(region: Region): void {
    const regions = this.#pages.get(region.page);
    regions?.delete(region.offset);
    if (regions?.size === 0) this.#pages.delete(region.page);
    this.#regions.delete(region);
    this.#bytes -= region.bytes;
    this.#options.entries.clearRegion(region.page, region.offset);
    this.#options.table.set(region.slot, null);
    this.#freeSlots.push(region.slot);
    this.statistics.dropped++;
  }
}
