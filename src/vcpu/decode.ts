// Instruction bits to a row of the table and its operands. Rows are found through short lists by opcode, funct3 and funct7,
// made when first asked for.
import { expandCompressed } from './compressed.ts';
import type { Format, Instruction } from './instruction.ts';
import { instructions } from './instructions.ts';

export interface Decoded {
  readonly instruction: Instruction;
  /** Register numbers; 0 where the format has no such field. With `csrImmediate`, rs1 is the value. */
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  /** Sign-extended from 32 bits; a shift amount; the number of a CSR; the fields of a fence. */
  readonly imm: number;
  /** Bits 12 to 14, the rounding mode of instructions that have one (7: as frm says). */
  readonly rounding: number;
  /** Length in memory: 2 for a compressed instruction, of which `bits` is then the expansion. */
  readonly bytes: 2 | 4;
  /** The 32-bit instruction, unsigned. */
  readonly bits: number;
}

/** Bits of a 32-bit instruction that choose its list: opcode without its low ones (5 bits), funct3, funct7. */
const keyMask = 0xfe00_707c;
const lists: (readonly Instruction[] | undefined)[] = new Array(0x8000);

/** The row that `bits`, a 32-bit instruction, is an instance of. */
export function findInstruction(bits: number): Instruction | undefined {
  const key = ((bits >>> 2) & 0x1f) | ((bits >>> 7) & 0xe0) | ((bits >>> 17) & 0x7f00);
  const list = lists[key] ?? makeList(key, bits);
  for (const row of list) if ((bits & row.mask) >>> 0 === row.match) return row;
  return undefined;
}

function makeList(key: number, bits: number): readonly Instruction[] {
  const list = instructions.filter((row) => ((row.match ^ bits) & row.mask & keyMask) === 0);
  lists[key] = list;
  return list;
}

/**
 * Decodes the instruction in the low bits of `memory`: its first 16 bits, and if these say so (isCompressed) all 32. Undefined
 * if it is illegal or of an extension that the hart lacks.
 */
export function decode(memory: number): Decoded | undefined {
  if (!isCompressed(memory)) return decodeBits(memory >>> 0, 4);
  const low = memory & 0xffff;
  let decoded = compressedDecoded[low];
  if (decoded === undefined) {
    decoded = decodeBits(expandCompressed(low), 2) ?? null;
    compressedDecoded[low] = decoded;
  }
  return decoded ?? undefined;
}

/** What 16-bit instructions decode to, once asked for: more than half of all code is of these. */
const compressedDecoded: (Decoded | null | undefined)[] = new Array(0x1_0000);

function decodeBits(bits: number, bytes: 2 | 4): Decoded | undefined {
  const instruction = findInstruction(bits);
  if (instruction === undefined) return undefined;
  const rounding = (bits >>> 12) & 7;
  if (instruction.rounds && (rounding === 5 || rounding === 6)) return undefined;
  const fields = fieldsOf[instruction.format];
  return {
    instruction,
    rd: fields & rdField ? (bits >>> 7) & 31 : 0,
    rs1: fields & rs1Field ? (bits >>> 15) & 31 : 0,
    rs2: fields & rs2Field ? (bits >>> 20) & 31 : 0,
    rs3: fields & rs3Field ? bits >>> 27 : 0,
    imm: immediateOf(instruction.format, bits),
    rounding,
    bytes,
    bits,
  };
}

/** Whether an instruction whose first half-word is in the low bits of `memory` is 16 bits long. */
export function isCompressed(memory: number): boolean {
  return (memory & 3) !== 3;
}

export const rdField = 1;
export const rs1Field = 2;
export const rs2Field = 4;
export const rs3Field = 8;

/** Which register fields each format has. */
export const fieldsOf: Readonly<Record<Format, number>> = {
  R: rdField | rs1Field | rs2Field,
  unary: rdField | rs1Field,
  R4: rdField | rs1Field | rs2Field | rs3Field,
  I: rdField | rs1Field,
  shift6: rdField | rs1Field,
  shift5: rdField | rs1Field,
  S: rs1Field | rs2Field,
  B: rs1Field | rs2Field,
  U: rdField,
  J: rdField,
  csr: rdField | rs1Field,
  csrImmediate: rdField | rs1Field,
  atomic: rdField | rs1Field | rs2Field,
  fence: 0,
  addressFence: rs1Field | rs2Field,
  none: 0,
};

/** The immediate of a format (unprivileged architecture, section 2.3), as a signed 32-bit number. */
function immediateOf(format: Format, bits: number): number {
  switch (format) {
    case 'I':
      return bits >> 20;
    case 'shift6':
      return (bits >>> 20) & 63;
    case 'shift5':
      return (bits >>> 20) & 31;
    case 'S':
      return ((bits >> 25) << 5) | ((bits >>> 7) & 31);
    case 'B':
      return ((bits >> 31) << 12) | ((bits & 0x80) << 4) | ((bits >>> 20) & 0x7e0) | ((bits >>> 7) & 0x1e);
    case 'U':
      return bits & 0xffff_f000;
    case 'J':
      return ((bits >> 31) << 20) | (bits & 0xf_f000) | ((bits >>> 9) & 0x800) | ((bits >>> 20) & 0x7fe);
    case 'csr':
    case 'csrImmediate':
    case 'fence':
      return bits >>> 20;
    default:
      return 0;
  }
}
