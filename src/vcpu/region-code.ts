// The meaning of instructions inside a region: guest registers are locals, an access is checked against the TLB inline, and
// whatever is not plain leaves the region with all state in memory and pc at that instruction.
// The rule to keep: before anything of an instruction is visible, every way it can leave has been taken.
import { hartWord } from '../memory/layout.ts';
import { type Code, f64, i32, i64 } from './code.ts';
import { csrPlace, mstatus } from './csr.ts';
import type { Decoded } from './decode.ts';
import { state, tlb } from './hart-state.ts';
import { type AtomicOperation, type LoadKind, Meaning } from './meaning.ts';
import { type Registers, writes } from './region-flow.ts';
import type { SoftRoutines } from './translator.ts';

/** The only import of a module of regions. */
const softFunction = 0;
/** An address that no TLB ever holds: above all physical ones, and no virtual one. */
const nowhere = 1n << 62n;
const floatDirty = Number(mstatus.fs);
const canonicalF32 = 0x7fc0_0000;
const boxed = -0x1_0000_0000n;

const loadBytes: Record<LoadKind, 1 | 2 | 4 | 8> = { i8: 1, u8: 1, i16: 2, u16: 2, i32: 4, u32: 4, i64: 8 };

/** Locals with the page that an access by some base register was found in last, and what to add for its offset in memory. */
interface Seen {
  readonly page: number;
  readonly addend: number;
}

/** Base registers, one bit each, whose page of a load or a store was seen on every way here and is likely to be the same. */
export interface Known {
  loads: number;
  stores: number;
}

export class RegionCode extends Meaning {
  /** Types of the locals behind the parameter. */
  locals: number[] = [];
  /** Instructions carried out since `fuel` was last counted down, without the one being emitted. */
  pending = 0;
  /** Registers that memory does not have yet; only in lazy loops (region-flow.ts). */
  readonly dirty: Registers = { x: 0, f: 0 };
  /** Whether written registers stay in their locals for now. */
  lazy = false;
  readonly known: Known = { loads: 0, stores: 0 };
  /** Base registers that a loop is likely to leave in their page. */
  steady = 0;
  usesSoft = false;
  /** Some instruction rounds as frm says. */
  #usesFrm = false;
  fuel = 0;
  base = 0;
  target = 0;

  /** Where the hart's area begins: part of each access's constant offset, so that no register holds it. */
  readonly #hart: number;
  readonly #soft: SoftRoutines;
  readonly #x = new Int32Array(32);
  readonly #f = new Int32Array(32);
  readonly #seen: (Seen | undefined)[] = [];
  #context = 0;
  #flags = 0;
  readonly #free = new Map<number, { locals: number[]; next: number }>();
  #wayOut = 0;
  #decoded!: Decoded;
  #at = 0;

  constructor(hart: number, soft: SoftRoutines) {
    super(16384);
    this.#hart = hart;
    this.#soft = soft;
  }

  /** Begins a new region; whether it has floating-point instructions must be known before its first way out is emitted. */
  reset(usesFloat: boolean): void {
    this.length = 0;
    this.depth = 0;
    this.locals = [];
    this.pending = 0;
    this.dirty.x = 0;
    this.dirty.f = 0;
    this.usesSoft = false;
    this.#usesFrm = false;
    this.#x.fill(0);
    this.#f.fill(0);
    this.#context = 0;
    this.#free.clear();
    this.#seen.length = 0;
    this.known.loads = 0;
    this.known.stores = 0;
    this.steady = 0;
    this.fuel = this.#local(i32);
    this.base = this.#local(i64);
    this.target = this.#local(i64);
    this.#flags = usesFloat ? this.#local(i32) : 0;
    this.block(i32);
    this.#wayOut = this.depth;
  }

  /** The end of all ways out, to which they bring the instructions still to be counted times two plus the result. */
  finishBody(): void {
    const code = this.#local(i32);
    this.unreachable().end().localSet(code);
    this.i32Const(0).localGet(this.fuel).localGet(code).i32Const(1).i32ShrU().i32Sub();
    this.i64ExtendI32S().i64Store(this.#hart + state.budget);
    this.i32Const(0)
      .localGet(this.base)
      .localGet(this.target)
      .i64Add()
      .i64Store(this.#hart + state.pc);
    this.localGet(code).i32Const(1).i32And().end();
  }

  /**
   * Emits the meaning of `decoded` at `offset` of the page. Afterwards a branch has its condition on the stack, an indirect
   * jump its target.
   */
  instruction(decoded: Decoded, offset: number): void {
    this.#decoded = decoded;
    this.#at = offset;
    for (const pool of this.#free.values()) pool.next = 0;
    decoded.instruction.meaning(this);
    this.pending++;
    const written = writes(decoded);
    if (this.lazy) {
      this.dirty.x |= written.x;
      this.dirty.f |= written.f;
    }
    if (written.x !== 0 && !staysNear(decoded)) {
      this.known.loads &= ~written.x;
      this.known.stores &= ~written.x;
    }
  }

  /** Loads what the region has been found to use and what `live` says, into `out`: this goes before all of the region's code. */
  prologue(out: Code, live: Registers): void {
    if (this.#flags !== 0) this.#refuseFloat(out);
    const load = (local: number, offset: number, bytes: 4 | 8): void => {
      out.i32Const(0);
      if (bytes === 4) out.i32Load(this.#hart + offset);
      else out.i64Load(this.#hart + offset);
      out.localSet(local);
    };
    load(this.fuel, state.budget, 4);
    out
      .i32Const(0)
      .i64Load(this.#hart + state.pc)
      .i64Const(-4096)
      .i64And()
      .localTee(this.base);
    out
      .i32Const(0)
      .i64Load(this.#hart + state.pc)
      .i64Xor()
      .localSet(this.target);
    for (const seen of this.#seen) if (seen) out.i64Const(nowhere).localSet(seen.page);
    if (this.#context !== 0) load(this.#context, state.dataContext, 8);
    if (this.#flags !== 0) load(this.#flags, state.fflags, 4);
    for (let i = 1; i < 32; i++) {
      if (this.#x[i] !== 0 && (live.x & (1 << i)) !== 0) load(this.#x[i]!, state.x + 8 * i, 8);
    }
    for (let i = 0; i < 32; i++) {
      if (this.#f[i] !== 0 && (live.f & (1 << i)) !== 0)
        out
          .i32Const(0)
          .f64Load(this.#hart + state.f + 8 * i)
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
      .i32Load(this.#hart + csrPlace('mstatus'))
      .i32Const(floatDirty)
      .i32And()
      .i32Const(floatDirty)
      .i32Ne();
    if (this.#usesFrm)
      out
        .i32Const(0)
        .i32Load(this.#hart + state.frm)
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
    for (let i = 1; i < 32; i++) if ((this.dirty.x & (1 << i)) !== 0) this.#storeX(i);
    for (let i = 0; i < 32; i++) if ((this.dirty.f & (1 << i)) !== 0) this.#storeF(i);
    if (this.#flags !== 0) this.#storeFlags();
  }

  #storeX(register: number): this {
    return this.i32Const(0)
      .localGet(this.#xLocal(register))
      .i64Store(this.#hart + state.x + 8 * register);
  }

  #storeF(register: number): this {
    return this.i32Const(0)
      .localGet(this.#fLocal(register))
      .f64Store(this.#hart + state.f + 8 * register);
  }

  #storeFlags(): this {
    return this.i32Const(0)
      .localGet(this.#flags)
      .i32Store(this.#hart + state.fflags);
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
      .i32Load(this.#hart + hartWord.attention)
      .i32Const(30)
      .i32Shl()
      .i32LeS();
    this.if_();
    this.leave(offset, 0);
    this.end();
  }

  rs1(): this {
    return this.#pushX(this.#decoded.rs1);
  }

  rs2(): this {
    return this.#pushX(this.#decoded.rs2);
  }

  toRd(): this {
    const rd = this.#decoded.rd;
    if (rd === 0) return this.drop();
    this.localSet(this.#xLocal(rd));
    return this.lazy ? this : this.#storeX(rd);
  }

  imm(): this {
    return this.i64Const(this.#decoded.imm);
  }

  pc(): this {
    return this.#address(this.#at);
  }

  nextPc(): this {
    return this.#address(this.#at + this.#decoded.bytes);
  }

  temp(type: number): number {
    let pool = this.#free.get(type);
    if (pool === undefined) {
      pool = { locals: [], next: 0 };
      this.#free.set(type, pool);
    }
    if (pool.next === pool.locals.length) pool.locals.push(this.#local(type));
    return pool.locals[pool.next++]!;
  }

  load(kind: LoadKind): this {
    const host = this.#check(tlb.load, loadBytes[kind], this.#decoded.imm);
    if (this.#decoded.rd === 0) return this;
    this.localGet(host);
    switch (kind) {
      case 'i8':
        this.i64Load8S();
        break;
      case 'u8':
        this.i64Load8U();
        break;
      case 'i16':
        this.i64Load16S();
        break;
      case 'u16':
        this.i64Load16U();
        break;
      case 'i32':
        this.i64Load32S();
        break;
      case 'u32':
        this.i64Load32U();
        break;
      case 'i64':
        this.i64Load();
        break;
    }
    return this.toRd();
  }

  store(bytes: 1 | 2 | 4 | 8): this {
    const host = this.#check(tlb.store, bytes, this.#decoded.imm);
    this.localGet(host).rs2();
    if (bytes === 1) return this.i64Store8();
    if (bytes === 2) return this.i64Store16();
    return bytes === 4 ? this.i64Store32() : this.i64Store();
  }

  loadFloat(bytes: 4 | 8): this {
    const host = this.#check(tlb.load, bytes, this.#decoded.imm);
    this.localGet(host);
    if (bytes === 8) return this.f64Load().toF64();
    return this.i64Load32U().i64Const(boxed).i64Or().toFbits();
  }

  storeFloat(bytes: 4 | 8): this {
    const host = this.#check(tlb.store, bytes, this.#decoded.imm);
    this.localGet(host).#pushF(2);
    return bytes === 8 ? this.f64Store() : this.i64ReinterpretF64().i64Store32();
  }

  atomic(operation: AtomicOperation, bytes: 4 | 8): this {
    const host = this.#check(tlb.store, bytes, 0);
    const limit = operation.startsWith('m');
    if (limit) return this.#atomicLimit(operation, bytes, host);
    this.localGet(host).rs2();
    const wide = bytes === 8;
    if (!wide) this.i32WrapI64();
    if (operation === 'add') wide ? this.i64AtomicRmwAdd() : this.i32AtomicRmwAdd();
    else if (operation === 'swap') wide ? this.i64AtomicRmwXchg() : this.i32AtomicRmwXchg();
    else if (operation === 'and') wide ? this.i64AtomicRmwAnd() : this.i32AtomicRmwAnd();
    else if (operation === 'or') wide ? this.i64AtomicRmwOr() : this.i32AtomicRmwOr();
    else wide ? this.i64AtomicRmwXor() : this.i32AtomicRmwXor();
    if (!wide) this.i64ExtendI32S();
    return this.toRd();
  }

  /** The minima and maxima, that WebAssembly lacks: exchanged in a loop. */
  #atomicLimit(operation: AtomicOperation, bytes: 4 | 8, host: number): this {
    const wide = bytes === 8;
    const type = wide ? i64 : i32;
    const mine = this.temp(type);
    const old = this.temp(type);
    const seen = this.temp(type);
    this.rs2();
    if (!wide) this.i32WrapI64();
    this.localSet(mine).localGet(host);
    wide ? this.i64AtomicLoad() : this.i32AtomicLoad();
    this.localSet(old).loop();
    this.localGet(host).localGet(old);
    this.localGet(old).localGet(mine).localGet(old).localGet(mine);
    if (operation === 'min') wide ? this.i64LtS() : this.i32LtS();
    else if (operation === 'max') wide ? this.i64GtS() : this.i32GtS();
    else if (operation === 'minu') wide ? this.i64LtU() : this.i32LtU();
    else wide ? this.i64GtU() : this.i32GtU();
    this.select();
    wide ? this.i64AtomicRmwCmpxchg() : this.i32AtomicRmwCmpxchg();
    this.localTee(seen).localGet(old);
    wide ? this.i64Ne() : this.i32Ne();
    this.if_().localGet(seen).localSet(old).br(1).end().end();
    this.localGet(old);
    if (!wide) this.i64ExtendI32S();
    return this.toRd();
  }

  loadReserved(bytes: 4 | 8): this {
    const host = this.#check(tlb.load, bytes, 0);
    const value = this.temp(i64);
    this.localGet(host);
    if (bytes === 8) this.i64AtomicLoad();
    else this.i32AtomicLoad().i64ExtendI32S();
    this.localSet(value);
    this.i32Const(0)
      .rs1()
      .i64Store(this.#hart + state.reservation);
    this.i32Const(0)
      .localGet(value)
      .i64Store(this.#hart + state.reservedValue);
    this.i32Const(0)
      .i32Const(1)
      .i32Store(this.#hart + state.reserved);
    return this.localGet(value).toRd();
  }

  storeConditional(bytes: 4 | 8): this {
    const failed = this.temp(i64);
    this.i64Const(1).localSet(failed);
    this.i32Const(0).i32Load(this.#hart + state.reserved);
    this.i32Const(0)
      .i64Load(this.#hart + state.reservation)
      .rs1()
      .i64Eq()
      .i32And();
    this.if_();
    const host = this.#check(tlb.store, bytes, 0);
    this.localGet(host).i32Const(0);
    if (bytes === 8) {
      this.i64Load(this.#hart + state.reservedValue)
        .rs2()
        .i64AtomicRmwCmpxchg();
      this.i32Const(0)
        .i64Load(this.#hart + state.reservedValue)
        .i64Ne();
    } else {
      this.i32Load(this.#hart + state.reservedValue)
        .rs2()
        .i32WrapI64()
        .i32AtomicRmwCmpxchg();
      this.i32Const(0)
        .i32Load(this.#hart + state.reservedValue)
        .i32Ne();
    }
    this.i64ExtendI32U().localSet(failed);
    this.end();
    this.i32Const(0)
      .i32Const(0)
      .i32Store(this.#hart + state.reserved);
    return this.localGet(failed).toRd();
  }

  branch(condition: (m: this) => void): this {
    condition(this);
    return this;
  }

  jump(): this {
    if (this.#decoded.rd !== 0) this.nextPc().toRd();
    return this;
  }

  jumpIndirect(): this {
    const target = this.temp(i64);
    this.rs1();
    if (this.#decoded.imm !== 0) this.imm().i64Add();
    this.i64Const(-2).i64And().localSet(target);
    if (this.#decoded.rd !== 0) this.nextPc().toRd();
    return this.localGet(target);
  }

  system(): this {
    this.leave(this.#at, 1);
    return this;
  }

  illegal(): this {
    return this.system();
  }

  f64(source: 1 | 2 | 3): this {
    return this.#pushF(source);
  }

  f32(source: 1 | 2 | 3): this {
    const bits = this.temp(i64);
    this.fbits(source).localTee(bits).i32WrapI64().i32Const(canonicalF32);
    this.localGet(bits).i64Const(boxed).i64GeU().select();
    return this.f32ReinterpretI32();
  }

  fbits(source: 1 | 2 | 3): this {
    return this.#pushF(source).i64ReinterpretF64();
  }

  toF64(): this {
    const rd = this.#decoded.rd;
    this.localSet(this.#fLocal(rd));
    return this.lazy ? this : this.#storeF(rd);
  }

  toF32(): this {
    return this.i32ReinterpretF32().i64ExtendI32U().i64Const(boxed).i64Or().toFbits();
  }

  toFbits(): this {
    return this.f64ReinterpretI64().toF64();
  }

  raise(): this {
    this.localGet(this.#flags).i32Or().localSet(this.#flags);
    return this.lazy ? this : this.#storeFlags();
  }

  fflags(): this {
    return this.localGet(this.#flags);
  }

  rounding(): this {
    return this.i32Const(this.knownRounding);
  }

  get knownRounding(): number {
    const rounding = this.#decoded.rounding;
    if (rounding !== 7) return rounding;
    this.#usesFrm = true;
    return 0;
  }

  soft(name: string): this {
    const index = this.#soft.findIndex((routine) => routine.name === name);
    const routine = this.#soft[index];
    if (routine === undefined)
      throw new Error(`Cannot translate "${this.#decoded.instruction.name}": no soft "${name}"`);
    this.usesSoft = true;
    for (let i = routine.operands - 1; i >= 0; i--) {
      const operand = this.temp(i64);
      this.localSet(operand)
        .i32Const(0)
        .localGet(operand)
        .i64Store(this.#hart + state.call + 8 * i);
    }
    this.i32Const(0)
      .localGet(this.#flags)
      .i32Store(this.#hart + state.fflags);
    this.i32Const(index).rounding().call(softFunction);
    this.i32Const(0)
      .i32Load(this.#hart + state.fflags)
      .localSet(this.#flags);
    return this.i32Const(0).i64Load(this.#hart + state.call);
  }

  /**
   * Leaves the region unless the access of `bytes` bytes at X[rs1] + offset hits in the TLB at `kind`; gives the local (i32) that
   * then holds its offset in the shared memory. Where a base register is likely to stay in its page, the page it was found in
   * last is compared first: this is right as long as the region runs, as the hart's TLBs change only outside of it.
   */
  #check(kind: number, bytes: 1 | 2 | 4 | 8, offset: number): number {
    const base = this.#decoded.rs1;
    const low = this.temp(i32);
    const address = this.temp(i64);
    const mask = -4096 | (bytes - 1);
    this.rs1();
    if (offset !== 0) this.i64Const(offset).i64Add();
    this.localTee(address).i32WrapI64().localSet(low);
    const seen = this.#lastPage(kind, base);
    const known = kind === tlb.load ? this.known.loads : this.known.stores;
    const likely = ((known | this.steady) & (1 << base)) !== 0;
    if (likely) this.localGet(address).localGet(seen.page).i64Xor().i64Const(mask).i64And().i64Const(0).i64Ne().if_();
    this.#lookUp(kind, address, low, mask, seen);
    if (likely) this.end();
    if (kind === tlb.load) this.known.loads |= 1 << base;
    else this.known.stores |= 1 << base;
    this.localGet(low).localGet(seen.addend).i32Add().localSet(low);
    return low;
  }

  #lookUp(kind: number, address: number, low: number, mask: number, seen: Seen): void {
    const slot = this.temp(i32);
    const page = this.temp(i64);
    if (this.#context === 0) this.#context = this.#local(i64);
    this.localGet(low)
      .i32Const(8)
      .i32ShrU()
      .i32Const((tlb.entries - 1) * tlb.entryBytes)
      .i32And()
      .localSet(slot);
    this.localGet(address).i64Const(mask).i64And().localTee(page).localGet(this.#context).i64Xor();
    this.localGet(slot)
      .i64Load(this.#hart + kind)
      .i64Xor()
      .i64Const(0)
      .i64Ne();
    this.if_();
    this.leave(this.#at, 1);
    this.end();
    this.localGet(page).localSet(seen.page);
    this.localGet(slot)
      .i32Load(this.#hart + kind + 8)
      .localSet(seen.addend);
  }

  #lastPage(kind: number, base: number): Seen {
    const index = kind === tlb.load ? base : 32 + base;
    let seen = this.#seen[index];
    if (seen === undefined) {
      seen = { page: this.#local(i64), addend: this.#local(i32) };
      this.#seen[index] = seen;
    }
    return seen;
  }

  #address(offset: number): this {
    this.localGet(this.base);
    return offset === 0 ? this : this.i64Const(offset).i64Add();
  }

  #pushX(register: number): this {
    return register === 0 ? this.i64Const(0) : this.localGet(this.#xLocal(register));
  }

  #pushF(source: 1 | 2 | 3): this {
    const { rs1, rs2, rs3 } = this.#decoded;
    return this.localGet(this.#fLocal(source === 1 ? rs1 : source === 2 ? rs2 : rs3));
  }

  #xLocal(register: number): number {
    if (this.#x[register] === 0) this.#x[register] = this.#local(i64);
    return this.#x[register]!;
  }

  #fLocal(register: number): number {
    if (this.#f[register] === 0) this.#f[register] = this.#local(f64);
    return this.#f[register]!;
  }

  #local(type: number): number {
    return this.locals.push(type);
  }
}

/** Whether what is written is likely to lie in the same page as a register it is made from. */
export function staysNear(decoded: Decoded): boolean {
  const { name } = decoded.instruction;
  return (
    (name === 'addi' && decoded.rs1 === decoded.rd) ||
    (name === 'add' && (decoded.rs1 === decoded.rd || decoded.rs2 === decoded.rd))
  );
}
