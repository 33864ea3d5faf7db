// What a row of the instruction table says. From these rows come the decoder, the disassembler, the interpreter, the
// translator and the random programs of the tests.
import type { Meaning } from './meaning.ts';

/**
 * Which fields an instruction has and where its immediate lies (unprivileged architecture, section 2.3).
 * R4 has rs3; `float…` formats name f registers: see `registers`. `shift6`/`shift5` are I with a short immediate;
 * `unary` has rd and rs1, `addressFence` rs1 and rs2.
 */
export type Format =
  | 'R'
  | 'unary'
  | 'R4'
  | 'I'
  | 'shift6'
  | 'shift5'
  | 'S'
  | 'B'
  | 'U'
  | 'J'
  | 'csr'
  | 'csrImmediate'
  | 'atomic'
  | 'fence'
  | 'addressFence'
  | 'none';

export type Extension =
  | 'I'
  | 'M'
  | 'A'
  | 'F'
  | 'D'
  | 'Zicsr'
  | 'Zifencei'
  | 'Zba'
  | 'Zbb'
  | 'Zbs'
  | 'Svinval'
  | 'privileged';

export interface Instruction {
  readonly name: string;
  readonly extension: Extension;
  readonly format: Format;
  /** (bits & mask) == match, both as unsigned 32-bit numbers. */
  readonly mask: number;
  readonly match: number;
  /** Register files of rd, rs1, rs2, rs3 where they are not x: 'f' or 'x' each, e.g. 'fxx' for fcvt.d.w. */
  readonly files?: string;
  /** Has a rounding-mode field in bits 12 to 14. */
  readonly rounds?: true;
  /** Ends a block: control may not go on to the next instruction. */
  readonly ends?: 'branch' | 'jump' | 'indirect' | 'system';
  readonly meaning: (m: Meaning) => void;
}
