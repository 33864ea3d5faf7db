// A hart: one virtual CPU, run by the thread that made it. All of its state is in its area of the shared memory (hart-state.ts);
// decoded and translated code is a cache beside it.
import { control, hartWord, type Layout } from '../memory/layout.ts';
import { interrupt } from '../memory/signals.ts';
import { withClint } from './clint.ts';
import { csrByName, csrPlace, csrs, menvcfg, mstatus, supervisorInterrupts } from './csr.ts';
import { DecodedPages } from './decoded-pages.ts';
import { routines } from './float/routines.ts';
import { state, tables } from './hart-state.ts';
import { createInterpreter, type Interpreter } from './interpreter.ts';
import { type Clock, type Mmio, timebaseHertz } from './mmio.ts';
import { protectedRanges } from './protection.ts';
import { Requests, request } from './requests.ts';
import { after } from './runtime-system.ts';
import { Translator } from './translator.ts';

export interface HartOptions {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly index: number;
  readonly mmio: Mmio;
  readonly clock: Clock;
  /** Who answers an ecall of S mode: the monitor (`run` returns 'sbi'), or firmware in M mode (an ordinary trap). */
  readonly supervisorCalls: 'monitor' | 'firmware';
  /** Where a CLINT is, for firmware in M mode; none if absent. */
  readonly clintStart?: number;
  /** Which engine runs guest code; 'translator' starts in the interpreter and translates what is hot. */
  readonly engine: 'interpreter' | 'translator';
  /** Told when translated code was not valid WebAssembly; such code stays with the interpreter. */
  readonly invalidCode?: (error: unknown) => void;
  /** Jumps to an instruction after which it is translated, below 65,536. Tests take few. */
  readonly hotCount?: number;
}

/**
 * Why `run` returned: 'sbi' an ecall of S mode (a7, a6, a0… hold it; pc is still at the ecall, the monitor moves it on),
 * 'wfi' nothing to do until an interrupt, 'budget' the instructions asked for have run, 'attention' someone asks for the
 * thread itself (control.stop).
 */
export type Leave = 'sbi' | 'wfi' | 'budget' | 'attention';

/** `bytes` may be Infinity; `asid` undefined means every address space. */
export type RemoteFence =
  | { readonly of: 'instructions' }
  | { readonly of: 'addresses'; readonly start: number; readonly bytes: number; readonly asid: number | undefined };

export interface Hart {
  /** Runs at most about `instructions` instructions. */
  run(instructions: number): Leave;
  /** Sets a hart's registers for a start in the given mode (SBI HSM, or reset): translation off, interrupts off. */
  reset(pc: number, privilege: 1 | 3, a0: number, a1: number): void;
  x(register: number): bigint;
  setX(register: number, value: bigint): void;
  pc(): bigint;
  setPc(value: bigint): void;
  /** By name of src/vcpu/csr.ts: mstatus, stimecmp, … */
  csr(name: string): bigint;
  setCsr(name: string, value: bigint): void;
  /** Ticks until the timer (stimecmp, mtimecmp) would wake this hart from WFI; Infinity if none is set. */
  ticksToTimer(): number;
  /**
   * Has other harts (and this one) drop translations or decoded code, and returns when all have: SBI's RFENCE. A hart that is
   * asked while it waits here serves the request, so that two harts cannot wait for each other for ever.
   */
  remoteFence(harts: readonly number[], fence: RemoteFence): void;
  /** Serves what other harts ask for; `run` does so by itself, a stopped hart's thread calls this. */
  serveRequests(): void;
}

/**
 * Guest instructions between two looks at the clock and at what is to be translated: as many as take about so long, for some take
 * a thousand times as long as others (devices' registers).
 */
const sliceInstructions = { least: 0x400, most: 0x4_0000 } as const;
const sliceTicks = 2e-3 * timebaseHertz;
/** Where interpreting an instruction and what follows it has cost about as much as translating it would. */
const usualHotCount = 16_000;
/** Slots of the table of regions; slot 0 stays empty. */
const regionSlots: number = tables.maxRegions / 4;
/** Pages above which a fence for a range of addresses is one for all. */
const fencePages = 64;
const pageBytes = 4096;

/** Makes a hart in its area of the shared memory, which keeps what it held; `reset` starts it. */
export function createHart(options: HartOptions): Hart {
  return new SoftwareHart(options);
}

class SoftwareHart implements Hart {
  readonly #options: HartOptions;
  readonly #area: number;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #pages: DecodedPages;
  readonly #requests: Requests;
  readonly #translator: Translator | undefined;
  readonly #interpreter: Interpreter;
  #slice: number = sliceInstructions.most;

  constructor(options: HartOptions) {
    const { memory, layout, index, clock, clintStart } = options;
    const { buffer } = memory;
    const changed = (): void => this.#updateTimers();
    const mmio =
      clintStart === undefined ? options.mmio : withClint(options.mmio, clintStart, { buffer, layout, clock, changed });
    this.#options = options;
    this.#area = layout.hart(index);
    this.#view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#requests = new Requests(memory.buffer, layout, index, (bits) => this.#serve(bits));
    this.#pages = new DecodedPages({
      ...{ buffer: memory.buffer, layout, index },
      // A fetch asks this: its translation must not be fenced away under it. Who waits here serves the same, so all go on.
      askForStores: (harts) => this.#requests.ask(harts, request.flushStores, request.flushStores),
      dropped: (page) => this.#translator?.dropPage(page),
      placed: (page) => this.#translator?.decoded(page),
    });
    const translates = options.engine === 'translator';
    const table = translates ? new WebAssembly.Table({ element: 'anyfunc', initial: regionSlots }) : undefined;
    const soft = (routine: number, rounding: number): void => this.#soft(routine, rounding);
    this.#interpreter = createInterpreter(
      {
        ...{ memory, layout, index, softRoutines: routines },
        hotCount: options.hotCount ?? usualHotCount,
        callsLeave: options.supervisorCalls === 'monitor',
        scratchPage: this.#pages.scratchPage,
        regions: table,
      },
      {
        page: (ramPage) => this.#pages.page(ramPage),
        decode: (record) => this.#pages.decode(record),
        decodeCrossing: (record, offset) => this.#pages.decodeCrossing(record, offset),
        codeStore: (offset, bytes) => this.#pages.codeStore(offset, bytes),
        hot: (record) => {
          const { page, offset } = this.#pages.locate(record);
          // The scratch page's records belong to no page.
          if (page >= 0) this.#translator?.hot(page, offset);
        },
        soft,
        instructionBits: () => this.#pages.bitsAt(this.#words[this.#word(state.pc)]!),
        mmioHas: (address, bytes) => (mmio.has(address >>> 0, bytes) ? 1 : 0),
        mmioRead: (address, bytes) => mmio.read(address >>> 0, bytes as 1 | 2 | 4),
        mmioWrite: (address, bytes, value) => {
          const mask = bytes === 4 ? 0xffff_ffff : (1 << (bytes * 8)) - 1;
          mmio.write(address >>> 0, bytes as 1 | 2 | 4, (value & mask) >>> 0);
        },
        clock,
        timer: () => this.#updateTimers(),
        instructionFence: () => this.#pages.tidy(),
        protection: () => this.#updateProtection(),
      },
    );
    if (table) {
      this.#translator = new Translator({
        ...(options.invalidCode && { invalid: options.invalidCode }),
        ...{ memory, table, firstSlot: 1, entries: this.#pages, soft: routines, callSoft: soft, hart: this.#area },
        decodeAt: (page, offset) => this.#pages.decodeAt(page, offset),
      });
    }
    this.#fillCsrTable();
    this.#derive();
  }

  run(instructions: number): Leave {
    this.#requests.setRunning(true);
    try {
      return this.#runSlices(instructions);
    } finally {
      this.#requests.setRunning(false);
    }
  }

  #runSlices(instructions: number): Leave {
    let left = instructions;
    for (;;) {
      Atomics.store(this.#words, this.#word(hartWord.attention), 0);
      this.serveRequests();
      this.#pages.tidy();
      if (Atomics.load(this.#words, control.stop >> 2) !== 0) return 'attention';
      if (left <= 0) return 'budget';
      this.#translator?.work();
      this.#updateTimers();
      const slice = Math.min(left, this.#slice);
      this.#startSlice(slice);
      const startedAt = this.#options.clock();
      const why = this.#interpreter.run();
      this.#sizeSlice(this.#options.clock() - startedAt);
      left -= slice - this.#view.getInt32(this.#area + state.budget, true);
      if (why === after.supervisorCall) return 'sbi';
      if (why === after.wfi) return 'wfi';
    }
  }

  #sizeSlice(ticks: number): void {
    const { least, most } = sliceInstructions;
    if (ticks > sliceTicks) this.#slice = Math.max(least, Math.floor((this.#slice * sliceTicks) / ticks));
    else if (this.#slice < most) this.#slice = Math.min(most, this.#slice * 2);
  }

  reset(pc: number, privilege: 1 | 3, a0: number, a1: number): void {
    const area = this.#area;
    this.#bytes.fill(0, area + state.budget, area + state.running);
    this.#bytes.fill(0, area + state.pc, area + state.scratch);
    this.#bytes.fill(0, area + state.x, area + state.call);
    // Lines of the interrupt controller stay as they are.
    Atomics.and(this.#words, this.#word(hartWord.pending), interrupt.meip | interrupt.seip);
    this.#put(state.pc, BigInt(pc));
    this.#view.setInt32(area + state.privilege, privilege, true);
    this.setX(10, BigInt(a0));
    this.setX(11, BigInt(a1));
    this.#putCsr('misa', misa);
    this.#putCsr('mhartid', BigInt(this.#options.index));
    this.#putCsr('mstatus', mstatus.xl);
    this.#putCsr('stimecmp', 0xffff_ffff_ffff_ffffn);
    this.#put(state.mtimecmp, -1n);
    if (privilege === 1) {
      // What firmware would have set up: everything goes to S mode, which may use the counters, the timer and all of memory.
      this.#putCsr('medeleg', 0xb1ffn);
      this.#putCsr('mideleg', supervisorInterrupts);
      this.#putCsr('mcounteren', 0x7n);
      this.#putCsr('scounteren', 0x7n);
      this.#putCsr('menvcfg', menvcfg.stce | menvcfg.adue);
      this.#putCsr('pmpaddr0', 0x3f_ffff_ffff_ffffn);
      this.#putCsr('pmpcfg0', 0x1fn);
    }
    this.#derive();
  }

  /** Makes again what is derived from the state in memory. */
  #derive(): void {
    this.#startSlice(0);
    this.#updateProtection();
    this.#updateTimers();
  }

  x(register: number): bigint {
    return this.#get(state.x + register * 8);
  }

  setX(register: number, value: bigint): void {
    if (register !== 0) this.#put(state.x + register * 8, value);
  }

  pc(): bigint {
    return this.#get(state.pc);
  }

  setPc(value: bigint): void {
    this.#put(state.pc, value);
  }

  csr(name: string): bigint {
    const csr = csrByName.get(name);
    if (csr?.name === 'sstatus') return this.csr('mstatus') & 0x8000_0003_000d_e162n;
    if (name === 'mip' || name === 'sip') return this.#interpreter.pending();
    if (name === 'fflags' || name === 'frm') return BigInt(this.#view.getInt32(this.#area + state[name], true));
    if (name === 'instret' || name === 'minstret' || name === 'cycle' || name === 'mcycle') {
      return this.#get(state.retired) + this.#get(state.slice) - this.#get(state.budget);
    }
    if (name === 'time') return BigInt(this.#options.clock());
    return this.#get(csrPlace(name));
  }

  setCsr(name: string, value: bigint): void {
    this.#putCsr(name, value);
    if (name === 'stimecmp') this.#updateTimers();
    else this.#derive();
  }

  ticksToTimer(): number {
    const enabled = Number(this.#get(csrPlace('mie')));
    const at = Math.min(...this.#timers().map((timer) => (timer.bit & enabled ? timer.at : Number.POSITIVE_INFINITY)));
    return Math.max(0, at - this.#options.clock());
  }

  remoteFence(harts: readonly number[], fence: RemoteFence): void {
    if (fence.of === 'instructions') {
      this.#requests.ask(harts, request.fenceInstructions);
      if (harts.includes(this.#options.index)) this.#pages.tidy();
      return;
    }
    this.#requests.ask(harts, request.flushTlb);
    if (harts.includes(this.#options.index)) this.#fenceAddresses(fence.start, fence.bytes, fence.asid);
  }

  serveRequests(): void {
    this.#requests.serve();
  }

  #serve(bits: number): void {
    if (bits & request.flushTlb) this.#interpreter.flushAll();
    if (bits & request.flushStores) this.#pages.dropStoreTags();
    // fenceInstructions: `tidy` runs before the next guest instruction anyway.
  }

  #fenceAddresses(start: number, bytes: number, asid: number | undefined): void {
    const byAsid = asid === undefined ? 0 : 2;
    if (bytes > fencePages * pageBytes) {
      this.#interpreter.fenceAddresses(0n, asid ?? 0, byAsid);
      return;
    }
    const first = BigInt.asIntN(64, BigInt(start) & ~BigInt(pageBytes - 1));
    for (let va = first; va < BigInt.asIntN(64, BigInt(start)) + BigInt(bytes); va += BigInt(pageBytes)) {
      this.#interpreter.fenceAddresses(va, asid ?? 0, byAsid | 1);
    }
  }

  #startSlice(instructions: number): void {
    const spent = this.#get(state.slice) - this.#get(state.budget);
    this.#put(state.retired, this.#get(state.retired) + spent);
    this.#put(state.slice, BigInt(instructions));
    this.#put(state.budget, BigInt(instructions));
  }

  /** Sets or clears STIP and MTIP as time has reached their registers: chapter 13 (Sstc) and section 3.2.1. */
  #updateTimers(): void {
    const now = this.#options.clock();
    const word = this.#word(hartWord.pending);
    for (const { bit, at } of this.#timers()) {
      if (now >= at) Atomics.or(this.#words, word, bit);
      else if (this.#words[word]! & bit) Atomics.and(this.#words, word, ~bit);
    }
  }

  /** The timers that there are, with the ticks at which they interrupt. STIP is firmware's own without Sstc. */
  #timers(): readonly { readonly bit: number; readonly at: number }[] {
    const timers = [];
    if (this.#get(csrPlace('menvcfg')) & BigInt.asIntN(64, menvcfg.stce)) {
      timers.push({ bit: interrupt.stip, at: this.#ticks(csrPlace('stimecmp')) });
    }
    if (this.#options.clintStart !== undefined) timers.push({ bit: interrupt.mtip, at: this.#ticks(state.mtimecmp) });
    return timers;
  }

  #ticks(offset: number): number {
    const at = this.#area + offset;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  #updateProtection(): void {
    const configs = Array.from({ length: 16 }, (_, i) => this.#bytes[this.#area + csrPlace('pmpcfg0') + i]!);
    const addresses = configs.map((_, i) => BigInt.asUintN(64, this.#get(csrPlace(`pmpaddr${i}`))));
    const ranges = protectedRanges(configs, addresses);
    const at = this.#area + tables.protection;
    this.#view.setInt32(at, ranges.length, true);
    for (const [i, { start, end, bits }] of ranges.entries()) {
      const entry = at + 8 + i * 24;
      this.#view.setBigUint64(entry, start, true);
      this.#view.setBigUint64(entry + 8, end, true);
      this.#view.setInt32(entry + 16, bits, true);
    }
    this.#interpreter.flushAll();
  }

  #soft(routine: number, rounding: number): void {
    const at = this.#area + state.call;
    const operand = (i: number): bigint => this.#view.getBigUint64(at + i * 8, true);
    const { bits, flags } = routines[routine]!.run(rounding, operand(0), operand(1), operand(2));
    this.#view.setBigUint64(at, bits, true);
    this.#words[this.#word(state.fflags)]! |= flags;
  }

  #fillCsrTable(): void {
    for (const { number, kind, name, writable } of csrs) {
      const entry = this.#area + tables.csr + number * 16;
      this.#view.setInt32(entry, kind, true);
      this.#view.setInt32(entry + 4, this.#area + csrPlace(name), true);
      this.#view.setBigUint64(entry + 8, writable, true);
    }
  }

  #putCsr(name: string, value: bigint): void {
    if (name === 'fflags' || name === 'frm') this.#view.setInt32(this.#area + state[name], Number(value), true);
    else this.#put(csrPlace(name), value);
  }

  #get(offset: number): bigint {
    return this.#view.getBigInt64(this.#area + offset, true);
  }

  #put(offset: number, value: bigint): void {
    this.#view.setBigInt64(this.#area + offset, BigInt.asIntN(64, value), true);
  }

  #word(offset: number): number {
    return (this.#area + offset) >> 2;
  }
}

/** RV64 with A, C, D, F, I, M, S and U (section 3.1.1). */
const misa: bigint =
  (2n << 62n) | [...'ACDFIMSU'].reduce((bits, name) => bits | (1n << BigInt(name.charCodeAt(0) - 65)), 0n);
