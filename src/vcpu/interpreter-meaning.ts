// The meaning of instructions as the interpreter runs them: operands come from the decoded record that `at.record` points to,
// registers live in the hart's area. One case of the interpreter's loop is written at a time, between `begin` and the next.
import { i32, i64 } from './code.ts';
import { mstatus } from './csr.ts';
import { fieldsOf } from './decode.ts';
import { decodedPage, isPure, record } from './decoded-record.ts';
import { state, tlb } from './hart-state.ts';
import type { Instruction } from './instruction.ts';
import { type AtomicOperation, type LoadKind, Meaning } from './meaning.ts';
import { accessKind, cause, type Runtime } from './runtime.ts';
import { type Accesses, loadKinds } from './runtime-access.ts';
import { after } from './runtime-system.ts';

/** Locals of the interpreter's function. */
export const local = {
  /** Address of the record in execution, of its page, and that page's virtual address. */
  record: 0,
  page: 1,
  virtualPage: 2,
  /** Instructions that may still run. */
  left: 3,
} as const;
const firstTemporary = 4;
export const fixedLocals: readonly number[] = [i32, i32, i64, i32];

/** Nesting depths of the labels that a case may go to. */
export interface Labels {
  /** Run `local.record`. */
  readonly next: number;
  /** Look at counters, the budget and `attention`, then run `local.record`. */
  readonly looked: number;
  /** Go on from state.pc. */
  readonly enter: number;
}

export interface Functions {
  readonly runtime: Runtime;
  readonly accesses: Accesses;
  readonly system: ReadonlyMap<string, number>;
  /** () -> i32: a floating-point instruction while mstatus.FS is not Dirty; not 0 if it trapped. */
  readonly enableFloat: number;
  /** (): the trap of the instruction at state.pc, which is illegal as things stand. */
  readonly illegal: number;
  /** (routine: i32, rounding: i32): operands in state.call, the result too. */
  readonly soft: number;
  readonly softRoutines: readonly { readonly name: string; readonly operands: 1 | 2 | 3 }[];
}

const bytesOf: Readonly<Record<LoadKind, 1 | 2 | 4 | 8>> = { i8: 1, u8: 1, i16: 2, u16: 2, i32: 4, u32: 4, i64: 8 };

export class InterpreterMeaning extends Meaning {
  readonly knownRounding: undefined = undefined;
  readonly #f: Functions;
  readonly #temporaries: number[] = [];
  #used: boolean[] = [];
  #row: Instruction | undefined;
  #labels: Labels | undefined;

  constructor(functions: Functions) {
    super(0x1_0000);
    this.#f = functions;
  }

  /** Types of all locals, once everything is written. */
  get locals(): readonly number[] {
    return [...fixedLocals, ...this.#temporaries];
  }

  /** Begins the case of a row; temporaries are free again. */
  begin(row: Instruction | undefined, labels: Labels): void {
    this.#row = row;
    this.#labels = labels;
    this.#used = [];
  }

  temp(type: number): number {
    let index = this.#temporaries.findIndex((each, i) => each === type && !this.#used[i]);
    if (index < 0) index = this.#temporaries.push(type) - 1;
    this.#used[index] = true;
    return firstTemporary + index;
  }

  goto(label: keyof Labels): this {
    return this.br(this.depth - this.#labels![label]);
  }

  /** Pushes a byte, or the whole immediate, of the record. */
  field(offset: number): this {
    return this.localGet(local.record).i32Load8U(offset);
  }

  imm32(): this {
    return this.localGet(local.record).i32Load(record.imm);
  }

  rs1(): this {
    return this.field(record.rs1).#register(state.x);
  }

  rs2(): this {
    return this.#rs2Number().#register(state.x);
  }

  toRd(): this {
    this.#intoRegister(state.x);
    return this.#clearZero();
  }

  imm(): this {
    return this.localGet(local.record).i64Load32S(record.imm);
  }

  pc(): this {
    this.localGet(local.record).localGet(local.page).i32Sub().i32Const(2).i32ShrU().i64ExtendI32U();
    return this.localGet(local.virtualPage).i64Add();
  }

  nextPc(): this {
    return this.pc().localGet(local.record).i64Load8U(record.step).i64Const(2).i64ShrU().i64Add();
  }

  load(kind: LoadKind): this {
    const place = (): this => this.field(record.rd).i32Const(this.#at(state.x)).i32Add();
    this.#loadTo(bytesOf[kind], loadKinds.indexOf(kind), place, () => {
      this.#narrowLoad(kind);
      this.#intoRegister(state.x);
    });
    return this.#clearZero();
  }

  loadFloat(bytes: 4 | 8): this {
    const place = (): this => this.field(record.rd).i32Const(this.#at(state.f)).i32Add();
    return this.#loadTo(bytes, loadKinds.indexOf(bytes === 4 ? 'float' : 'i64'), place, () => {
      if (bytes === 4) this.i64Load32U().i64Const(0xffff_ffff_0000_0000n).i64Or();
      else this.i64Load();
      this.toFbits();
    });
  }

  store(bytes: 1 | 2 | 4 | 8): this {
    return this.#storeFrom(bytes, () => this.rs2());
  }

  storeFloat(bytes: 4 | 8): this {
    return this.#storeFrom(bytes, () => this.fbits(2));
  }

  atomic(operation: AtomicOperation, bytes: 4 | 8): this {
    const written = this.temp(i32);
    const offset = this.#resolve(bytes, accessKind.store, written);
    const wide = bytes === 8;
    if (operation === 'min' || operation === 'max' || operation === 'minu' || operation === 'maxu') {
      this.#extreme(operation, offset, wide);
    } else {
      this.localGet(offset).rs2();
      if (!wide) this.i32WrapI64();
      const emit = {
        add: () => (wide ? this.i64AtomicRmwAdd() : this.i32AtomicRmwAdd()),
        swap: () => (wide ? this.i64AtomicRmwXchg() : this.i32AtomicRmwXchg()),
        and: () => (wide ? this.i64AtomicRmwAnd() : this.i32AtomicRmwAnd()),
        or: () => (wide ? this.i64AtomicRmwOr() : this.i32AtomicRmwOr()),
        xor: () => (wide ? this.i64AtomicRmwXor() : this.i32AtomicRmwXor()),
      };
      emit[operation]();
    }
    if (!wide) this.i64ExtendI32S();
    return this.#note(offset, bytes, written).toRd();
  }

  loadReserved(bytes: 4 | 8): this {
    const offset = this.#resolve(bytes, accessKind.load);
    const value = this.temp(i64);
    this.localGet(offset);
    if (bytes === 8) this.i64AtomicLoad();
    else this.i32AtomicLoad().i64ExtendI32S();
    this.localSet(value);
    this.i32Const(0).rs1().i64Store(this.#at(state.reservation));
    this.i32Const(0).localGet(value).i64Store(this.#at(state.reservedValue));
    this.i32Const(0).i32Const(1).i32Store(this.#at(state.reserved));
    return this.localGet(value).toRd();
  }

  /** The reservation holds as long as memory holds the value that was loaded. */
  storeConditional(bytes: 4 | 8): this {
    const failed = this.temp(i64);
    this.i64Const(1).localSet(failed);
    this.i32Const(0).i32Load(this.#at(state.reserved));
    this.rs1().i32Const(0).i64Load(this.#at(state.reservation)).i64Eq().i32And().if_();
    const written = this.temp(i32);
    const offset = this.#resolve(bytes, accessKind.store, written);
    this.localGet(offset).i32Const(0);
    if (bytes === 8) {
      this.i64Load(this.#at(state.reservedValue)).rs2().i64AtomicRmwCmpxchg();
      this.i32Const(0).i64Load(this.#at(state.reservedValue)).i64Ne();
    } else {
      this.i32Load(this.#at(state.reservedValue)).rs2().i32WrapI64().i32AtomicRmwCmpxchg();
      this.i32Const(0).i32Load(this.#at(state.reservedValue)).i32Ne();
    }
    this.i64ExtendI32U().localSet(failed).#note(offset, bytes, written).end();
    this.i32Const(0).i32Const(0).i32Store(this.#at(state.reserved));
    return this.localGet(failed).toRd();
  }

  branch(condition: (m: this) => void): this {
    condition(this);
    this.if_();
    this.#toTarget('backward');
    return this.end();
  }

  jump(): this {
    this.nextPc().toRd();
    return this.#toTarget('always');
  }

  jumpIndirect(): this {
    const target = this.temp(i64);
    this.rs1().imm().i64Add().i64Const(-2).i64And().localSet(target);
    this.nextPc().toRd();
    this.localGet(target).i64Const(-4096).i64And().localGet(local.virtualPage).i64Eq().if_();
    this.localGet(target).i32WrapI64().i32Const(0xffe).i32And().i32Const(2).i32Shl();
    this.localGet(local.page).i32Add().localSet(local.record).goto('looked').end();
    this.i32Const(0).localGet(target).i64Store(this.#at(state.pc));
    return this.goto('enter');
  }

  system(): this {
    const result = this.temp(i32);
    this.storePc();
    // The instruction itself has not retired yet.
    this.i32Const(0).localGet(local.left).i64ExtendI32S().i64Const(1).i64Add().i64Store(this.#at(state.budget));
    this.imm32().call(this.#f.system.get(this.#row!.name)!).localTee(result).if_();
    this.localGet(result).i32Const(after.enter).i32Eq().if_().goto('enter').end();
    this.#spillBudget();
    return this.localGet(result).return_().end();
  }

  illegal(): this {
    this.storePc();
    this.i32Const(cause.illegal).imm32().i64ExtendI32U().call(this.#f.runtime.trap);
    return this.goto('enter');
  }

  /** Floating-point instructions are illegal while mstatus.FS is Off, and make it Dirty otherwise. */
  requireFloat(): this {
    this.i32Const(0).i32Load(this.#f.runtime.csr('mstatus')).i32Const(Number(mstatus.fs)).i32And();
    this.i32Const(Number(mstatus.fs)).i32Ne().if_();
    this.storePc().call(this.#f.enableFloat).if_().goto('enter').end().end();
    if (!this.#row?.rounds) return this;
    const mode = this.temp(i32);
    this.rounding().localTee(mode).i32Const(4).i32GtU().if_();
    this.storePc().call(this.#f.illegal).goto('enter');
    return this.end();
  }

  f64(source: 1 | 2 | 3): this {
    return this.#fNumber(source).f64Load(this.#at(state.f));
  }

  f32(source: 1 | 2 | 3): this {
    const bits = this.temp(i64);
    this.fbits(source).localTee(bits).i32WrapI64().i32Const(0x7fc0_0000);
    this.localGet(bits).i64Const(32).i64ShrU().i32WrapI64().i32Const(-1).i32Eq().select();
    return this.f32ReinterpretI32();
  }

  fbits(source: 1 | 2 | 3): this {
    return this.#fNumber(source).#register(state.f);
  }

  toF64(): this {
    return this.i64ReinterpretF64().toFbits();
  }

  toF32(): this {
    return this.i32ReinterpretF32().i64ExtendI32U().i64Const(0xffff_ffff_0000_0000n).i64Or().toFbits();
  }

  toFbits(): this {
    return this.#intoRegister(state.f);
  }

  raise(): this {
    const flags = this.temp(i32);
    this.localSet(flags).i32Const(0).localGet(flags).fflags().i32Or();
    return this.i32Store(this.#at(state.fflags));
  }

  fflags(): this {
    return this.i32Const(0).i32Load(this.#at(state.fflags));
  }

  rounding(): this {
    const mode = this.temp(i32);
    this.field(record.rounding).localTee(mode).i32Const(7).i32Eq().if_(i32);
    return this.i32Const(0).i32Load(this.#at(state.frm)).else_().localGet(mode).end();
  }

  soft(name: string): this {
    const routine = this.#f.softRoutines.findIndex((each) => each.name === name);
    const operands = this.#f.softRoutines[routine]?.operands;
    if (operands === undefined) throw new Error(`Cannot call the floating-point routine "${name}": there is none`);
    const value = this.temp(i64);
    for (let i = operands - 1; i >= 0; i--) {
      this.localSet(value)
        .i32Const(0)
        .localGet(value)
        .i64Store(this.#at(state.call + i * 8));
    }
    this.i32Const(routine);
    if (this.#row?.rounds) this.rounding();
    else this.i32Const(0);
    return this.call(this.#f.soft).i32Const(0).i64Load(this.#at(state.call));
  }

  /** Stores the address of this instruction where traps and system instructions look for it. */
  storePc(): this {
    return this.i32Const(0).pc().i64Store(this.#at(state.pc));
  }

  spillBudget(): this {
    return this.#spillBudget();
  }

  /** Goes on to the record behind. */
  advance(): this {
    this.localGet(local.record).field(record.step).i32Add().localSet(local.record);
    return this.goto('next');
  }

  #spillBudget(): this {
    return this.i32Const(0).localGet(local.left).i64ExtendI32S().i64Store(this.#at(state.budget));
  }

  /** To the record at pc + imm if that is in the page, else by state.pc. Loops are found by their backward branches. */
  #toTarget(looks: 'backward' | 'always'): this {
    const distance = this.temp(i32);
    const target = this.temp(i32);
    this.imm32().i32Const(2).i32Shl().localTee(distance).localGet(local.record).i32Add().localTee(target);
    this.localGet(local.page).i32Sub().i32Const(decodedPage.records).i32LtU().if_();
    this.localGet(target).localSet(local.record);
    if (looks === 'always') this.goto('looked');
    else this.localGet(distance).i32Const(0).i32LtS().if_().goto('looked').end().goto('next');
    this.end();
    this.i32Const(0).pc().imm().i64Add().i64Store(this.#at(state.pc));
    return this.goto('enter');
  }

  #at(offset: number): number {
    return this.#f.runtime.at(offset);
  }

  /** x0 is 0 again, whatever was written. */
  #clearZero(): this {
    if (isPure(this.#row!)) return this;
    return this.i32Const(0).i64Const(0).i64Store(this.#at(state.x));
  }

  /** Takes a register's place in its file, pushes its 64 bits. */
  #register(file: number): this {
    return this.i64Load(this.#at(file));
  }

  #intoRegister(file: number): this {
    const value = this.temp(i64);
    this.localSet(value).field(record.rd);
    return this.localGet(value).i64Store(this.#at(file));
  }

  #rs2Number(): this {
    return this.field(hasNoRd(this.#row!) ? record.rd : record.rs2);
  }

  #fNumber(source: 1 | 2 | 3): this {
    if (source === 1) return this.field(record.rs1);
    return source === 2 ? this.#rs2Number() : this.field(record.rs3);
  }

  #narrowLoad(kind: LoadKind): void {
    if (kind === 'i8') this.i64Load8S();
    else if (kind === 'u8') this.i64Load8U();
    else if (kind === 'i16') this.i64Load16S();
    else if (kind === 'u16') this.i64Load16U();
    else if (kind === 'i32') this.i64Load32S();
    else if (kind === 'u32') this.i64Load32U();
    else this.i64Load();
  }

  /** Pushes the TLB entry of `address` as an offset in its TLB. */
  #entry(address: number): this {
    return this.localGet(address)
      .i32WrapI64()
      .i32Const(8)
      .i32ShrU()
      .i32Const((tlb.entries - 1) * tlb.entryBytes)
      .i32And();
  }

  /** Pushes whether `address` hits in the TLB `which` for an aligned access of `bytes`; `entry` is left for what follows. */
  #hits(address: number, entry: number, which: number, bytes: number): this {
    this.#entry(address).localSet(entry);
    this.localGet(address)
      .i64Const(-4096n | BigInt(bytes - 1))
      .i64And();
    this.i32Const(0).i64Load(this.#at(state.dataContext)).i64Xor();
    return this.localGet(entry).i64Load(this.#at(which)).i64Eq();
  }

  /** Pushes the offset in the shared memory of an address that hit. */
  #translated(address: number, entry: number, which: number): this {
    return this.localGet(address)
      .i32WrapI64()
      .localGet(entry)
      .i32Load(this.#at(which) + 8)
      .i32Add();
  }

  #loadTo(bytes: number, kind: number, place: () => void, hit: () => void): this {
    const address = this.temp(i64);
    const entry = this.temp(i32);
    this.rs1().imm().i64Add().localSet(address);
    this.#hits(address, entry, tlb.load, bytes).if_();
    this.#translated(address, entry, tlb.load);
    hit();
    this.else_().storePc().localGet(address).i32Const(bytes).i32Const(kind);
    place();
    return this.call(this.#f.accesses.load).if_().goto('enter').end().end();
  }

  #storeFrom(bytes: 1 | 2 | 4 | 8, value: () => void): this {
    const address = this.temp(i64);
    const entry = this.temp(i32);
    this.rs1().imm().i64Add().localSet(address);
    this.#hits(address, entry, tlb.store, bytes).if_();
    this.#translated(address, entry, tlb.store);
    value();
    if (bytes === 1) this.i64Store8();
    else if (bytes === 2) this.i64Store16();
    else if (bytes === 4) this.i64Store32();
    else this.i64Store();
    this.else_().storePc().localGet(address);
    value();
    return this.i32Const(bytes).call(this.#f.accesses.store).if_().goto('enter').end().end();
  }

  /** A local with the offset of the atomic access at X[rs1]; what traps does not come here. `slow` gets what `#note` needs. */
  #resolve(bytes: number, kind: number, slow?: number): number {
    const address = this.temp(i64);
    const entry = this.temp(i32);
    const offset = this.temp(i32);
    const which = kind === accessKind.store ? tlb.store : tlb.load;
    if (slow !== undefined) this.i32Const(0).localSet(slow);
    this.rs1().localSet(address).#hits(address, entry, which, bytes).if_(i32);
    this.#translated(address, entry, which).else_();
    this.storePc().localGet(address).i32Const(bytes).i32Const(kind).call(this.#f.accesses.resolve);
    if (slow !== undefined) this.i32Const(1).localSet(slow);
    this.end().localTee(offset).i32Eqz().if_().goto('enter').end();
    return offset;
  }

  /** After a write that did not hit in the TLB: its page may hold instructions. */
  #note(offset: number, bytes: number, slow: number): this {
    this.localGet(slow).if_().localGet(offset).i32Const(bytes).call(this.#f.accesses.note);
    return this.end();
  }

  /** Pushes the old value; the new one is the lesser or greater of it and X[rs2]. */
  #extreme(operation: 'min' | 'max' | 'minu' | 'maxu', offset: number, wide: boolean): void {
    const type = wide ? i64 : i32;
    const operand = this.temp(type);
    const old = this.temp(type);
    const compare = {
      min: () => (wide ? this.i64LtS() : this.i32LtS()),
      max: () => (wide ? this.i64GtS() : this.i32GtS()),
      minu: () => (wide ? this.i64LtU() : this.i32LtU()),
      maxu: () => (wide ? this.i64GtU() : this.i32GtU()),
    };
    this.rs2();
    if (!wide) this.i32WrapI64();
    this.localSet(operand).loop(type).localGet(offset);
    if (wide) this.i64AtomicLoad();
    else this.i32AtomicLoad();
    this.localSet(old).localGet(offset).localGet(old);
    this.localGet(operand).localGet(old).localGet(operand).localGet(old);
    compare[operation]();
    this.select();
    if (wide) this.i64AtomicRmwCmpxchg().localGet(old).i64Ne();
    else this.i32AtomicRmwCmpxchg().localGet(old).i32Ne();
    this.brIf(0).localGet(old).end();
  }
}

/** Formats without rd keep rs2 in its place in the record. */
export function hasNoRd(row: Instruction): boolean {
  return (fieldsOf[row.format] & 1) === 0;
}
