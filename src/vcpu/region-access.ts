// Memory inside a region: an access is checked against the TLB inline, and what misses, is misaligned or is no RAM leaves the region
// with pc at that instruction.
import { type Code, i32, i64 } from './code.ts';
import type { Decoded } from './decode.ts';
import { state, tlb } from './hart-state.ts';
import type { AtomicOperation, LoadKind } from './meaning.ts';
import type { Registers } from './region-flow.ts';
import { RegionState } from './region-state.ts';

/** An address that no TLB ever holds: above all physical ones, and no virtual one. */
const nowhere = 1n << 62n;
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

export abstract class RegionAccess extends RegionState {
  readonly known: Known = { loads: 0, stores: 0 };
  /** Base registers that a loop is likely to leave in their page. */
  steady = 0;
  readonly #seen: (Seen | undefined)[] = [];
  #context = 0;

  override reset(usesFloat: boolean): void {
    super.reset(usesFloat);
    this.#seen.length = 0;
    this.#context = 0;
    this.known.loads = 0;
    this.known.stores = 0;
    this.steady = 0;
  }

  override prologue(out: Code, live: Registers): void {
    super.prologue(out, live);
    for (const seen of this.#seen) if (seen) out.i64Const(nowhere).localSet(seen.page);
    if (this.#context === 0) return;
    out
      .i32Const(0)
      .i64Load(this.hart + state.dataContext)
      .localSet(this.#context);
  }

  load(kind: LoadKind): this {
    const host = this.check(tlb.load, loadBytes[kind], this.decoded.imm);
    if (this.decoded.rd === 0) return this;
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
    const host = this.check(tlb.store, bytes, this.decoded.imm);
    this.localGet(host).rs2();
    if (bytes === 1) return this.i64Store8();
    if (bytes === 2) return this.i64Store16();
    return bytes === 4 ? this.i64Store32() : this.i64Store();
  }

  loadFloat(bytes: 4 | 8): this {
    const host = this.check(tlb.load, bytes, this.decoded.imm);
    this.localGet(host);
    if (bytes === 8) return this.f64Load().toF64();
    return this.i64Load32U().i64Const(boxed).i64Or().toFbits();
  }

  storeFloat(bytes: 4 | 8): this {
    const host = this.check(tlb.store, bytes, this.decoded.imm);
    this.localGet(host).pushF(2);
    return bytes === 8 ? this.f64Store() : this.i64ReinterpretF64().i64Store32();
  }

  atomic(operation: AtomicOperation, bytes: 4 | 8): this {
    const host = this.check(tlb.store, bytes, 0);
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
    const host = this.check(tlb.load, bytes, 0);
    const value = this.temp(i64);
    this.localGet(host);
    if (bytes === 8) this.i64AtomicLoad();
    else this.i32AtomicLoad().i64ExtendI32S();
    this.localSet(value);
    this.i32Const(0)
      .rs1()
      .i64Store(this.hart + state.reservation);
    this.i32Const(0)
      .localGet(value)
      .i64Store(this.hart + state.reservedValue);
    this.i32Const(0)
      .i32Const(1)
      .i32Store(this.hart + state.reserved);
    return this.localGet(value).toRd();
  }

  storeConditional(bytes: 4 | 8): this {
    const failed = this.temp(i64);
    this.i64Const(1).localSet(failed);
    this.i32Const(0).i32Load(this.hart + state.reserved);
    this.i32Const(0)
      .i64Load(this.hart + state.reservation)
      .rs1()
      .i64Eq()
      .i32And();
    this.if_();
    const host = this.check(tlb.store, bytes, 0);
    this.localGet(host).i32Const(0);
    if (bytes === 8) {
      this.i64Load(this.hart + state.reservedValue)
        .rs2()
        .i64AtomicRmwCmpxchg();
      this.i32Const(0)
        .i64Load(this.hart + state.reservedValue)
        .i64Ne();
    } else {
      this.i32Load(this.hart + state.reservedValue)
        .rs2()
        .i32WrapI64()
        .i32AtomicRmwCmpxchg();
      this.i32Const(0)
        .i32Load(this.hart + state.reservedValue)
        .i32Ne();
    }
    this.i64ExtendI32U().localSet(failed);
    this.end();
    this.i32Const(0)
      .i32Const(0)
      .i32Store(this.hart + state.reserved);
    return this.localGet(failed).toRd();
  }

  /**
   * Leaves the region unless the access of `bytes` bytes at X[rs1] + offset hits in the TLB at `kind`; gives the local (i32) that
   * then holds its offset in the shared memory. Where a base register is likely to stay in its page, the page it was found in
   * last is compared first: this is right as long as the region runs, as the hart's TLBs change only outside of it.
   */
  protected check(kind: number, bytes: 1 | 2 | 4 | 8, offset: number): number {
    const base = this.decoded.rs1;
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
    if (this.#context === 0) this.#context = this.newLocal(i64);
    this.localGet(low)
      .i32Const(8)
      .i32ShrU()
      .i32Const((tlb.entries - 1) * tlb.entryBytes)
      .i32And()
      .localSet(slot);
    this.localGet(address).i64Const(mask).i64And().localTee(page).localGet(this.#context).i64Xor();
    this.localGet(slot)
      .i64Load(this.hart + kind)
      .i64Xor()
      .i64Const(0)
      .i64Ne();
    this.if_();
    this.leave(this.at, 1);
    this.end();
    this.localGet(page).localSet(seen.page);
    this.localGet(slot)
      .i32Load(this.hart + kind + 8)
      .localSet(seen.addend);
  }

  #lastPage(kind: number, base: number): Seen {
    const index = kind === tlb.load ? base : 32 + base;
    let seen = this.#seen[index];
    if (seen === undefined) {
      seen = { page: this.newLocal(i64), addend: this.newLocal(i32) };
      this.#seen[index] = seen;
    }
    return seen;
  }

  /** Forgets pages of base registers that `decoded`, which writes `registers`, has made point elsewhere. */
  protected forgetPages(decoded: Decoded, registers: number): void {
    if (registers === 0 || staysNear(decoded)) return;
    this.known.loads &= ~registers;
    this.known.stores &= ~registers;
  }
}

/** Whether what is written is likely to lie in the same page as a register it is made from. */
function staysNear(decoded: Decoded): boolean {
  const { name } = decoded.instruction;
  return (
    (name === 'addi' && decoded.rs1 === decoded.rd) ||
    (name === 'add' && (decoded.rs1 === decoded.rd || decoded.rs2 === decoded.rd))
  );
}
