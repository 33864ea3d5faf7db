// What the meaning of an instruction is written against: WebAssembly's own instructions (class Code) and the hart's.
// The interpreter and the translator each carry it out, so a meaning is written once (src/vcpu/instructions.ts) and runs both
// ways. Stack order: what a method "pushes" is on WebAssembly's stack afterwards, what it "pops" was.
import { Code } from './code.ts';

/** Bytes of an access, and whether a narrow load is sign-extended to 64 bits. */
export type LoadKind = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64';
export type AtomicOperation = 'add' | 'swap' | 'and' | 'or' | 'xor' | 'min' | 'max' | 'minu' | 'maxu';

export abstract class Meaning extends Code {
  /** Push X[rs1], X[rs2]: i64. */
  abstract rs1(): this;
  abstract rs2(): this;
  /** Pops an i64 into X[rd]; into x0 it is dropped. */
  abstract toRd(): this;
  /** Pushes the immediate, sign-extended: i64. Shift amounts are immediates. */
  abstract imm(): this;
  /** Push the virtual address of this instruction and of the one behind it: i64. */
  abstract pc(): this;
  abstract nextPc(): this;
  /** A local of the given type (code.ts) that is free until this instruction ends. */
  abstract temp(type: number): number;

  /** X[rd] = the value at X[rs1] + imm. A fault or a miss in the TLB is the executor's concern. */
  abstract load(kind: LoadKind): this;
  /** The low `bytes` of X[rs2] to X[rs1] + imm. */
  abstract store(bytes: 1 | 2 | 4 | 8): this;
  /** F[rd] = the value at X[rs1] + imm (4 bytes are boxed), and F[rs2] to X[rs1] + imm. */
  abstract loadFloat(bytes: 4 | 8): this;
  abstract storeFloat(bytes: 4 | 8): this;
  /** The A extension at X[rs1]; a misaligned address is a fault. */
  abstract atomic(operation: AtomicOperation, bytes: 4 | 8): this;
  abstract loadReserved(bytes: 4 | 8): this;
  abstract storeConditional(bytes: 4 | 8): this;

  /** To pc + imm if the condition, which pushes an i32, holds; otherwise on. Ends a block. */
  abstract branch(condition: (m: this) => void): this;
  /** X[rd] = the next pc, then on to pc + imm. */
  abstract jump(): this;
  /** X[rd] = the next pc, then on to (X[rs1] + imm) & ~1. */
  abstract jumpIndirect(): this;
  /** What the hart's runtime does outside of compiled code: CSRs, traps, fences of translation. Ends a block. */
  abstract system(): this;
  abstract illegal(): this;

  /** Push F[rs1..3] as a number: f64, or f32 where a value that is not NaN-boxed reads as the canonical NaN. */
  abstract f64(source: 1 | 2 | 3): this;
  abstract f32(source: 1 | 2 | 3): this;
  /** Pushes the raw 64 bits of F[rs1..3]: i64. */
  abstract fbits(source: 1 | 2 | 3): this;
  /** Pop a number into F[rd]; a NaN must be canonical already. */
  abstract toF64(): this;
  /** Pops an f32 into F[rd], boxed. */
  abstract toF32(): this;
  /** Pops 64 raw bits into F[rd]. */
  abstract toFbits(): this;
  /** Pops an i32 of exception flags and accrues them. Pushes nothing. */
  abstract raise(): this;
  /** Pushes the accrued flags: i32. */
  abstract fflags(): this;
  /**
   * Pushes the rounding mode in force, i32 (0 RNE … 4 RMM). A reserved mode never gets here. The translator makes code
   * for mode 0 when the instruction says "dynamic", and leaves to the interpreter whatever runs while frm is another.
   */
  abstract rounding(): this;
  /** The rounding mode if it is known while emitting, else undefined. */
  abstract readonly knownRounding: number | undefined;
  /**
   * Calls the exact, slow floating-point routine `name` of src/vcpu/float/routines.ts: pops its i64 operands (raw bits, as many
   * as it has), pushes its i64 result; the rounding mode is that of this instruction, flags are accrued.
   */
  abstract soft(name: string): this;
}
