// What a region keeps while it runs, and how it is entered and left: guest registers in locals, the count of instructions, the
// ways out. Class RegionCode adds the meanings.
// The rule to keep: at every way out all of the hart's state is in memory, as it is before the instruction at pc.
import { hartWord } from '../memory/layout.ts';
import { type Code, f64, i32, i64 } from './code.ts';
import { csrPlace, mstatus } from './csr.ts';
import type { Decoded } from './decode.ts';
import { state } from './hart-state.ts';
import { Meaning } from './meaning.ts';
import type { Registers } from './region-flow.ts';

const floatDirty = Number(mstatus.fs);

export abstract class RegionState extends Meaning {
  /** Types of the locals behind the parameter. */
  locals: number[] = [];
  /** Instructions carried out since `fuel` was last counted down, without the one being emitted. */
  pending = 0;
  /** Registers that memory does not have yet; only in lazy loops (region-flow.ts). */
  readonly dirty: Registers = { x: 0, f: 0 };
  /** Whether written registers stay in their locals for now. */
  lazy = false;
  /** Locals: what is left of the budget, the virtual address of the page, and where in it (or beyond) to go on. */
  fuel = 0;
  base = 0;
  target = 0;

  /** Where the hart's area begins: part of each access's constant offset, so that no register holds it. */
  protected readonly hart: number;
  /** The local with the accrued floating-point flags, 0 if the region has no floating point. */
  protected flags = 0;
  /** Some instruction rounds as frm says. */
  protected usesFrm = false;
  protected decoded!: Decoded;
  protected at = 0;
  readonly #x = new Int32Array(32);
  readonly #f = new Int32Array(32);
  readonly #free = new Map<number, { locals: number[]; next: number }>();
  #wayOut = 0;

  constructor(hart: number) {
    super(16384);
    this.hart = hart;
  }

  /** Begins a new region; whether it has floating-point instructions must be known before its first way out is emitted. */
  reset(usesFloat: boolean): void {
    this.length = 0;
    this.depth = 0;
    this.locals = [];
    this.pending = 0;
    this.dirty.x = 0;
    this.dirty.f = 0;
    this.usesFrm = false;
    this.#x.fill(0);
    this.#f.fill(0);
    this.#free.clear();
    this.fuel = this.newLocal(i32);
    this.base = this.newLocal(i64);
    this.target = this.newLocal(i64);
    this.flags = usesFloat ? this.newLocal(i32) : 0;
    this.block(i32);
    this.#wayOut = this.depth;
  }

  /** The end of all ways out, to which they bring the instructions still to be counted times two plus the result. */
  finishBody(): void {
    const code = this.newLocal(i32);
    this.unreachable().end().localSet(code);
    this.i32Const(0).localGet(this.fuel).localGet(code).i32Const(1).i32ShrU().i32Sub();
    this.i64ExtendI32S().i64Store(this.hart + state.budget);
    this.i32Const(0)
      .localGet(this.base)
      .localGet(this.target)
      .i64Add()
      .i64Store(this.hart + state.pc);
    this.localGet(code).i32Const(1).i32And().end();
  }

  /** Loads what the region has been found to use and what `live` says, into `out`: this goes before all of the region's code. */
  prologue(out: Code, live: Registers): void {
    if (this.flags !== 0) this.#refuseFloat(out);
    const load = (local: number, offset: number, bytes: 4 | 8): void => {
      out.i32Const(0);
      if (bytes === 4) out.i32Load(this.hart + offset);
      else out.i64Load(this.hart + offset);
      out.localSet(local);
    };
    load(this.fuel, state.budget, 4);
    out
      .i32Const(0)
      .i64Load(this.hart + state.pc)
      .i64Const(-4096)
      .i64And()
      .localTee(this.base);
    out
      .i32Const(0)
      .i64Load(this.hart + state.pc)
      .i64Xor()
      .localSet(this.target);
    if (this.flags !== 0) load(this.flags, state.fflags, 4);
    for (let i = 1; i < 32; i++) {
      if (this.#x[i] !== 0 && (live.x & (1 << i)) !== 0) load(this.#x[i]!, state.x + 8 * i, 8);
    }
    for (let i = 0; i < 32; i++) {
      if (this.#f[i] !== 0 && (live.f & (1 << i)) !== 0)
        out
          .i32Const(0)
          .f64Load(this.hart + state.f + 8 * i)
          .localSet(this.#f[i]!);
    }
  }

  /**
   * Floating-point code is made for registers that are "dirty" already, so that nothing needs to be marked, and for the
   * rounding mode 0: all else is the interpreter's (privileged architecture, section 3.1.6.6).
   */
  #refuseFloat(out: Code): void {
    out
      .i32Const(0)
      .i32Load(this.hart + csrPlace('mstatus'))
      .i32Const(floatDirty)
      .i32And()
      .i32Const(floatDirty)
      .i32Ne();
    if (this.usesFrm)
      out
        .i32Const(0)
        .i32Load(this.hart + state.frm)
        .i32Or();
    out.if_().i32Const(1).return_().end();
  }

  /** Ends the region's run: pc is `offset` of its page, or base + the local `target` if `offset` is undefined. */
  leave(offset: number | undefined, result: 0 | 1): void {
    this.#storeDirty();
    if (offset !== undefined) this.i64Const(offset).localSet(this.target);
    this.i32Const(this.pending * 2 + result).br(this.depth - this.#wayOut);
  }

  /** Brings memory up to date where a lazy loop ends. */
  settle(): void {
    this.#storeDirty();
    this.dirty.x = 0;
    this.dirty.f = 0;
    this.lazy = false;
  }

  #storeDirty(): void {
    if (!this.lazy) return;
    for (let i = 1; i < 32; i++) if ((this.dirty.x & (1 << i)) !== 0) this.storeX(i);
    for (let i = 0; i < 32; i++) if ((this.dirty.f & (1 << i)) !== 0) this.storeF(i);
    if (this.flags !== 0) this.storeFlags();
  }

  protected storeX(register: number): this {
    return this.i32Const(0)
      .localGet(this.xLocal(register))
      .i64Store(this.hart + state.x + 8 * register);
  }

  protected storeF(register: number): this {
    return this.i32Const(0)
      .localGet(this.fLocal(register))
      .f64Store(this.hart + state.f + 8 * register);
  }

  protected storeFlags(): this {
    return this.i32Const(0)
      .localGet(this.flags)
      .i32Store(this.hart + state.fflags);
  }

  /** Counts what is pending down. */
  flush(): void {
    if (this.pending > 0) this.localGet(this.fuel).i32Const(this.pending).i32Sub().localSet(this.fuel);
    this.pending = 0;
  }

  /** Leaves if the budget is used up or someone asks for the hart; a back-edge to `offset` follows. */
  poll(offset: number | undefined): void {
    this.flush();
    // Others store 1: shifted, that is more than any budget. V8 keeps plain loads in loops where they are.
    this.localGet(this.fuel)
      .i32Const(0)
      .i32Load(this.hart + hartWord.attention)
      .i32Const(30)
      .i32Shl()
      .i32LeS();
    this.if_();
    this.leave(offset, 0);
    this.end();
  }

  rs1(): this {
    return this.#pushX(this.decoded.rs1);
  }

  rs2(): this {
    return this.#pushX(this.decoded.rs2);
  }

  toRd(): this {
    const rd = this.decoded.rd;
    if (rd === 0) return this.drop();
    this.localSet(this.xLocal(rd));
    return this.lazy ? this : this.storeX(rd);
  }

  imm(): this {
    return this.i64Const(this.decoded.imm);
  }

  pc(): this {
    return this.#address(this.at);
  }

  nextPc(): this {
    return this.#address(this.at + this.decoded.bytes);
  }

  temp(type: number): number {
    let pool = this.#free.get(type);
    if (pool === undefined) {
      pool = { locals: [], next: 0 };
      this.#free.set(type, pool);
    }
    if (pool.next === pool.locals.length) pool.locals.push(this.newLocal(type));
    return pool.locals[pool.next++]!;
  }

  #address(offset: number): this {
    this.localGet(this.base);
    return offset === 0 ? this : this.i64Const(offset).i64Add();
  }

  #pushX(register: number): this {
    return register === 0 ? this.i64Const(0) : this.localGet(this.xLocal(register));
  }

  protected pushF(source: 1 | 2 | 3): this {
    const { rs1, rs2, rs3 } = this.decoded;
    return this.localGet(this.fLocal(source === 1 ? rs1 : source === 2 ? rs2 : rs3));
  }

  protected xLocal(register: number): number {
    if (this.#x[register] === 0) this.#x[register] = this.newLocal(i64);
    return this.#x[register]!;
  }

  protected fLocal(register: number): number {
    if (this.#f[register] === 0) this.#f[register] = this.newLocal(f64);
    return this.#f[register]!;
  }

  protected newLocal(type: number): number {
    return this.locals.push(type);
  }

  /** From here on `decoded` at `offset` of the page is emitted; temporaries are free again. */
  protected begin(decoded: Decoded, offset: number): void {
    this.decoded = decoded;
    this.at = offset;
    for (const pool of this.#free.values()) pool.next = 0;
  }
}
