// A decoded instruction as the interpreter reads it, and a page of them. A record stands for a half-word of the guest's page,
// so the address of one follows from the other: record = page + offset * 4.

import type { Instruction } from './instruction.ts';

/** Byte offsets in a record of eight bytes. */
export const record = {
  /** Which case of the interpreter runs it: one of `handler`, or `handler.rows` + its row in the table. */
  handler: 0,
  /** Bytes to the next record: 8 or 16. */
  step: 1,
  /**
   * Registers as byte offsets in their file: number times 8. Formats without rd (S, B) have rs2 in its place, the others in
   * byte 4. Whatever writes x0 clears it again, but for what `isPure` tells: that is a `nop`.
   */
  rd: 2,
  rs1: 3,
  imm: 4,
  rs2: 4,
  rs3: 5,
  rounding: 6,
  bytes: 8,
} as const;

/** Bytes of a register: what its number is multiplied by. */
export const registerBytes = 8;

export const handler = {
  /** Not decoded yet (all of the record is 0). */
  none: 0,
  /** Look the next instruction up by its address: behind the page's end, and everywhere in the scratch page. */
  next: 1,
  illegal: 2,
  /** Enter the translated region in slot `imm`. */
  region: 3,
  /** Its second half lies in the next page, which may be anywhere. */
  crossing: 4,
  /** Look up state.pc. */
  enter: 5,
  /** Without effect: computes into x0. */
  nop: 6,
  rows: 7,
} as const;

/** Whether an instruction does nothing but write rd: with x0 there it does nothing at all. */
export function isPure({ extension, format, match, ends }: Instruction): boolean {
  const computes = /^(I|M|Zb.)$/.test(extension) && /^(R|unary|I|U|shift.)$/.test(format);
  return computes && ends === undefined && (match & 0x7f) !== loadOpcode;
}

const loadOpcode = 0x03;

/**
 * A page: 2,048 records, two that say `next` behind them, and a counter of 16 bits a half-word for how often it was jumped to. Page 0
 * of a hart's room is the scratch page, in which single instructions are run out of their place: those that cross pages,
 * and those that a region's entry replaced.
 */
export const decodedPage = {
  records: 0x4000,
  /** In the scratch page: a record that says `enter`. */
  enter: 0x4010,
  counters: 0x4020,
  bytes: 0x5040,
} as const;
