// Rows of the bit-manipulation extensions Zba, Zbb and Zbs (unprivileged architecture, chapter 28).
import { i64 } from './code.ts';
import type { Extension, Format, Instruction } from './instruction.ts';
import type { Meaning } from './meaning.ts';

const immediate = 0x13;
const immediateW = 0x1b;
const register = 0x33;
const registerW = 0x3b;

export const bitInstructions: readonly Instruction[] = [
  row('Zba', 'sh1add', 'R', register, 2, 0x10, (m) => m.rs1().i64Const(1).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'sh2add', 'R', register, 4, 0x10, (m) => m.rs1().i64Const(2).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'sh3add', 'R', register, 6, 0x10, (m) => m.rs1().i64Const(3).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'add.uw', 'R', registerW, 0, 0x04, (m) => unsignedWord(m).rs2().i64Add().toRd()),
  row('Zba', 'sh1add.uw', 'R', registerW, 2, 0x10, (m) => unsignedWord(m).i64Const(1).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'sh2add.uw', 'R', registerW, 4, 0x10, (m) => unsignedWord(m).i64Const(2).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'sh3add.uw', 'R', registerW, 6, 0x10, (m) => unsignedWord(m).i64Const(3).i64Shl().rs2().i64Add().toRd()),
  row('Zba', 'slli.uw', 'shift6', immediateW, 1, 0x04, (m) => unsignedWord(m).imm().i64Shl().toRd()),

  row('Zbb', 'andn', 'R', register, 7, 0x20, (m) => m.rs1().rs2().i64Const(-1).i64Xor().i64And().toRd()),
  row('Zbb', 'orn', 'R', register, 6, 0x20, (m) => m.rs1().rs2().i64Const(-1).i64Xor().i64Or().toRd()),
  row('Zbb', 'xnor', 'R', register, 4, 0x20, (m) => m.rs1().rs2().i64Xor().i64Const(-1).i64Xor().toRd()),
  unary('clz', immediate, 1, 0x600, (m) => m.rs1().i64Clz().toRd()),
  unary('ctz', immediate, 1, 0x601, (m) => m.rs1().i64Ctz().toRd()),
  unary('cpop', immediate, 1, 0x602, (m) => m.rs1().i64Popcnt().toRd()),
  unary('sext.b', immediate, 1, 0x604, (m) => m.rs1().i64Extend8S().toRd()),
  unary('sext.h', immediate, 1, 0x605, (m) => m.rs1().i64Extend16S().toRd()),
  unary('clzw', immediateW, 1, 0x600, (m) => m.rs1().i32WrapI64().i32Clz().i64ExtendI32U().toRd()),
  unary('ctzw', immediateW, 1, 0x601, (m) => m.rs1().i32WrapI64().i32Ctz().i64ExtendI32U().toRd()),
  unary('cpopw', immediateW, 1, 0x602, (m) => m.rs1().i32WrapI64().i32Popcnt().i64ExtendI32U().toRd()),
  unary('zext.h', registerW, 4, 0x080, (m) => m.rs1().i64Const(0xffff).i64And().toRd()),
  unary('orc.b', immediate, 5, 0x287, orCombine),
  unary('rev8', immediate, 5, 0x6b8, reverseBytes),
  row('Zbb', 'min', 'R', register, 4, 0x05, (m) => m.rs1().rs2().rs1().rs2().i64LtS().select().toRd()),
  row('Zbb', 'minu', 'R', register, 5, 0x05, (m) => m.rs1().rs2().rs1().rs2().i64LtU().select().toRd()),
  row('Zbb', 'max', 'R', register, 6, 0x05, (m) => m.rs1().rs2().rs1().rs2().i64GtS().select().toRd()),
  row('Zbb', 'maxu', 'R', register, 7, 0x05, (m) => m.rs1().rs2().rs1().rs2().i64GtU().select().toRd()),
  row('Zbb', 'rol', 'R', register, 1, 0x30, (m) => m.rs1().rs2().i64Rotl().toRd()),
  row('Zbb', 'ror', 'R', register, 5, 0x30, (m) => m.rs1().rs2().i64Rotr().toRd()),
  row('Zbb', 'rori', 'shift6', immediate, 5, 0x30, (m) => m.rs1().imm().i64Rotr().toRd()),
  row('Zbb', 'rolw', 'R', registerW, 1, 0x30, (m) => words(m).i32Rotl().i64ExtendI32S().toRd()),
  row('Zbb', 'rorw', 'R', registerW, 5, 0x30, (m) => words(m).i32Rotr().i64ExtendI32S().toRd()),
  row('Zbb', 'roriw', 'shift5', immediateW, 5, 0x30, (m) =>
    m.rs1().i32WrapI64().imm().i32WrapI64().i32Rotr().i64ExtendI32S().toRd(),
  ),

  row('Zbs', 'bclr', 'R', register, 1, 0x24, (m) => bit(m.rs1(), 'rs2').i64Const(-1).i64Xor().i64And().toRd()),
  row('Zbs', 'bext', 'R', register, 5, 0x24, (m) => m.rs1().rs2().i64ShrU().i64Const(1).i64And().toRd()),
  row('Zbs', 'binv', 'R', register, 1, 0x34, (m) => bit(m.rs1(), 'rs2').i64Xor().toRd()),
  row('Zbs', 'bset', 'R', register, 1, 0x14, (m) => bit(m.rs1(), 'rs2').i64Or().toRd()),
  row('Zbs', 'bclri', 'shift6', immediate, 1, 0x24, (m) => bit(m.rs1(), 'imm').i64Const(-1).i64Xor().i64And().toRd()),
  row('Zbs', 'bexti', 'shift6', immediate, 5, 0x24, (m) => m.rs1().imm().i64ShrU().i64Const(1).i64And().toRd()),
  row('Zbs', 'binvi', 'shift6', immediate, 1, 0x34, (m) => bit(m.rs1(), 'imm').i64Xor().toRd()),
  row('Zbs', 'bseti', 'shift6', immediate, 1, 0x14, (m) => bit(m.rs1(), 'imm').i64Or().toRd()),
];

function row(
  extension: Extension,
  name: string,
  format: Format,
  opcode: number,
  funct3: number,
  funct7: number,
  meaning: (m: Meaning) => void,
): Instruction {
  const mask = format === 'shift6' ? 0xfc00_707f : 0xfe00_707f;
  return { name, extension, format, mask, match: (opcode | (funct3 << 12) | (funct7 << 25)) >>> 0, meaning };
}

/** An instruction of Zbb with one operand: bits 20 to 31 tell which it is. */
function unary(
  name: string,
  opcode: number,
  funct3: number,
  funct12: number,
  meaning: (m: Meaning) => void,
): Instruction {
  const match = (opcode | (funct3 << 12) | (funct12 << 20)) >>> 0;
  return { name, extension: 'Zbb', format: 'unary', mask: 0xfff0_707f, match, meaning };
}

function unsignedWord(m: Meaning): Meaning {
  return m.rs1().i32WrapI64().i64ExtendI32U();
}

function words(m: Meaning): Meaning {
  return m.rs1().i32WrapI64().rs2().i32WrapI64();
}

/** Pushes 1 << the low six bits of the operand. */
function bit(m: Meaning, operand: 'rs2' | 'imm'): Meaning {
  return m.i64Const(1)[operand]().i64Shl();
}

/** Each byte that is not 0 becomes 0xff: its top bit is found without carries into the next byte, then spread. */
function orCombine(m: Meaning): void {
  const low = 0x7f7f_7f7f_7f7f_7f7fn;
  m.rs1().i64Const(low).i64And().i64Const(low).i64Add().rs1().i64Or();
  m.i64Const(7).i64ShrU().i64Const(0x0101_0101_0101_0101n).i64And().i64Const(0xff).i64Mul().toRd();
}

/** Swaps bytes, then half-words, then words. */
function reverseBytes(m: Meaning): void {
  const value = m.temp(i64);
  m.rs1().localSet(value);
  for (const [shift, mask] of [
    [8n, 0x00ff_00ff_00ff_00ffn],
    [16n, 0x0000_ffff_0000_ffffn],
  ] as const) {
    m.localGet(value).i64Const(shift).i64ShrU().i64Const(mask).i64And();
    m.localGet(value).i64Const(mask).i64And().i64Const(shift).i64Shl().i64Or().localSet(value);
  }
  m.localGet(value).i64Const(32).i64Rotl().toRd();
}
