// Rows of the A extension (unprivileged architecture, chapter 13). The acquire and release bits say nothing here: every
// atomic access of WebAssembly is sequentially consistent.
import type { Instruction } from './instruction.ts';
import type { AtomicOperation, Meaning } from './meaning.ts';

const atomic = 0x2f;

const operations: readonly (readonly [name: string, funct5: number, operation: AtomicOperation])[] = [
  ['amoadd', 0x00, 'add'],
  ['amoswap', 0x01, 'swap'],
  ['amoxor', 0x04, 'xor'],
  ['amoor', 0x08, 'or'],
  ['amoand', 0x0c, 'and'],
  ['amomin', 0x10, 'min'],
  ['amomax', 0x14, 'max'],
  ['amominu', 0x18, 'minu'],
  ['amomaxu', 0x1c, 'maxu'],
];

export const atomicInstructions: readonly Instruction[] = ([4, 8] as const).flatMap((bytes) => [
  row('lr', 0x02, bytes, 0xf9f0_707f, (m) => m.loadReserved(bytes)),
  row('sc', 0x03, bytes, 0xf800_707f, (m) => m.storeConditional(bytes)),
  ...operations.map(([name, funct5, operation]) =>
    row(name, funct5, bytes, 0xf800_707f, (m) => m.atomic(operation, bytes)),
  ),
]);

function row(name: string, funct5: number, bytes: 4 | 8, mask: number, meaning: (m: Meaning) => void): Instruction {
  const match = (atomic | ((bytes === 4 ? 2 : 3) << 12) | (funct5 << 27)) >>> 0;
  return { name: `${name}.${bytes === 4 ? 'w' : 'd'}`, extension: 'A', format: 'atomic', mask, match, meaning };
}
