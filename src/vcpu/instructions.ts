// The one table of instructions: from it come the decoder, the disassembler, the interpreter and the translator. To add an
// instruction, add its row to the file of its extension.
import { atomicInstructions } from './atomic.ts';
import { bitInstructions } from './bits.ts';
import { floatInstructions } from './float/instructions.ts';
import type { Instruction } from './instruction.ts';
import { integerInstructions } from './integer.ts';
import { multiplyInstructions } from './multiply.ts';
import { systemInstructions } from './system.ts';

export const instructions: readonly Instruction[] = [
  ...integerInstructions,
  ...multiplyInstructions,
  ...atomicInstructions,
  ...bitInstructions,
  ...systemInstructions,
  ...floatInstructions,
];
