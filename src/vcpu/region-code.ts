// The meaning of instructions inside a region: class Meaning carried out, over region-state.ts and region-access.ts.
// The rule to keep: before anything of an instruction is visible, every way it can leave has been taken.
import { i64 } from './code.ts';
import type { Decoded } from './decode.ts';
import { state } from './hart-state.ts';
import { RegionAccess } from './region-access.ts';
import { writes } from './region-flow.ts';
import type { SoftRoutines } from './translator.ts';

/** The only import of a module of regions. */
const softFunction = 0;
const canonicalF32 = 0x7fc0_0000;
const boxed = -0x1_0000_0000n;

export class RegionCode extends RegionAccess {
  /** Whether an exact routine is called. */
  usesSoft = false;
  readonly #soft: SoftRoutines;

  constructor(hart: number, soft: SoftRoutines) {
    super(hart);
    this.#soft = soft;
  }

  override reset(usesFloat: boolean): void {
    super.reset(usesFloat);
    this.usesSoft = false;
  }

  /**
   * Emits the meaning of `decoded` at `offset` of the page. Afterwards a branch has its condition on the stack, an indirect
   * jump its target.
   */
  instruction(decoded: Decoded, offset: number): void {
    this.begin(decoded, offset);
    // Also where the result is exact and no mode is looked at: a reserved one in frm makes the instruction illegal.
    if (decoded.instruction.rounds && decoded.rounding === 7) this.usesFrm = true;
    decoded.instruction.meaning(this);
    this.pending++;
    const written = writes(decoded);
    if (this.lazy) {
      this.dirty.x |= written.x;
      this.dirty.f |= written.f;
    }
    this.forgetPages(decoded, written.x);
  }

  branch(condition: (m: this) => void): this {
    condition(this);
    return this;
  }

  jump(): this {
    if (this.decoded.rd !== 0) this.nextPc().toRd();
    return this;
  }

  jumpIndirect(): this {
    const target = this.temp(i64);
    this.rs1();
    if (this.decoded.imm !== 0) this.imm().i64Add();
    this.i64Const(-2).i64And().localSet(target);
    if (this.decoded.rd !== 0) this.nextPc().toRd();
    return this.localGet(target);
  }

  system(): this {
    this.leave(this.at, 1);
    return this;
  }

  illegal(): this {
    return this.system();
  }

  f64(source: 1 | 2 | 3): this {
    return this.pushF(source);
  }

  f32(source: 1 | 2 | 3): this {
    const bits = this.temp(i64);
    this.fbits(source).localTee(bits).i32WrapI64().i32Const(canonicalF32);
    this.localGet(bits).i64Const(boxed).i64GeU().select();
    return this.f32ReinterpretI32();
  }

  fbits(source: 1 | 2 | 3): this {
    return this.pushF(source).i64ReinterpretF64();
  }

  toF64(): this {
    const rd = this.decoded.rd;
    this.localSet(this.fLocal(rd));
    return this.lazy ? this : this.storeF(rd);
  }

  toF32(): this {
    return this.i32ReinterpretF32().i64ExtendI32U().i64Const(boxed).i64Or().toFbits();
  }

  toFbits(): this {
    return this.f64ReinterpretI64().toF64();
  }

  raise(): this {
    this.localGet(this.flags).i32Or().localSet(this.flags);
    return this.lazy ? this : this.storeFlags();
  }

  fflags(): this {
    return this.localGet(this.flags);
  }

  rounding(): this {
    return this.i32Const(this.knownRounding);
  }

  get knownRounding(): number {
    const { rounding } = this.decoded;
    return rounding === 7 ? 0 : rounding;
  }

  soft(name: string): this {
    const index = this.#soft.findIndex((routine) => routine.name === name);
    const routine = this.#soft[index];
    if (routine === undefined)
      throw new Error(`Cannot translate "${this.decoded.instruction.name}": no soft "${name}"`);
    this.usesSoft = true;
    for (let i = routine.operands - 1; i >= 0; i--) {
      const operand = this.temp(i64);
      this.localSet(operand)
        .i32Const(0)
        .localGet(operand)
        .i64Store(this.hart + state.call + 8 * i);
    }
    this.i32Const(0)
      .localGet(this.flags)
      .i32Store(this.hart + state.fflags);
    this.i32Const(index).rounding().call(softFunction);
    this.i32Const(0)
      .i32Load(this.hart + state.fflags)
      .localSet(this.flags);
    return this.i32Const(0).i64Load(this.hart + state.call);
  }
}
