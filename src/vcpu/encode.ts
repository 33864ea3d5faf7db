// Operands back to instruction bits: the inverse of decode.ts, for tests, random programs and little assembled ones.
import type { Format, Instruction } from './instruction.ts';
import { instructions } from './instructions.ts';

export interface Operands {
  readonly rd?: number;
  readonly rs1?: number;
  readonly rs2?: number;
  readonly rs3?: number;
  readonly imm?: number;
  /** Rounding mode, for instructions that have one. */
  readonly rounding?: number;
}

const byName: ReadonlyMap<string, Instruction> = new Map(instructions.map((row) => [row.name, row]));

/** The 32 bits of an instruction of the table, unsigned; operands that its format lacks are ignored. */
export function encode(instruction: Instruction | string, operands: Operands = {}): number {
  const row = typeof instruction === 'string' ? byName.get(instruction) : instruction;
  if (row === undefined) throw new Error(`Cannot encode "${String(instruction)}": no such instruction`);
  const { rd = 0, rs1 = 0, rs2 = 0, rs3 = 0, imm = 0, rounding = 0 } = operands;
  const fields = (rd << 7) | (rounding << 12) | (rs1 << 15) | (rs2 << 20) | (rs3 << 27);
  // What the row itself says wins over whatever an operand left in its fixed bits.
  return ((((fields & maskOf[row.format]) | immediateBits(row.format, imm)) & ~row.mask) | row.match) >>> 0;
}

const rd = 0xf80;
const rounding = 0x7000;
const rs1 = 0xf_8000;
const rs2 = 0x1f0_0000;

/** The bits that register fields and the rounding mode may set. */
const maskOf: Readonly<Record<Format, number>> = {
  R: rd | rounding | rs1 | rs2,
  unary: rd | rounding | rs1,
  R4: rd | rounding | rs1 | rs2 | (31 << 27),
  I: rd | rs1,
  shift6: rd | rs1,
  shift5: rd | rs1,
  S: rs1 | rs2,
  B: rs1 | rs2,
  U: rd,
  J: rd,
  csr: rd | rs1,
  csrImmediate: rd | rs1,
  atomic: rd | rs1 | rs2,
  fence: 0,
  addressFence: rs1 | rs2,
  none: 0,
};

function immediateBits(format: Format, imm: number): number {
  switch (format) {
    case 'I':
    case 'shift6':
    case 'shift5':
    case 'csr':
    case 'csrImmediate':
    case 'fence':
      return imm << 20;
    case 'S':
      return ((imm >> 5) << 25) | ((imm & 31) << 7);
    case 'B':
      return ((imm & 0x1000) << 19) | ((imm & 0x7e0) << 20) | ((imm & 0x1e) << 7) | ((imm & 0x800) >>> 4);
    case 'U':
      return imm & 0xffff_f000;
    case 'J':
      return ((imm & 0x10_0000) << 11) | ((imm & 0x7fe) << 20) | ((imm & 0x800) << 9) | (imm & 0xf_f000);
    default:
      return 0;
  }
}
