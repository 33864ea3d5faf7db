// For tests: a hart in a worker. It runs from the program counter it was given until its first ecall.
import { workerData } from 'node:worker_threads';
import { layout } from '../memory/layout.ts';
import { createHart } from './hart.ts';

export interface TestHartStart {
  readonly memory: WebAssembly.Memory;
  readonly harts: number;
  readonly ramBytes: number;
  readonly index: number;
  readonly pc: number;
  readonly engine: 'interpreter' | 'translator';
}

const { memory, harts, ramBytes, index, pc, engine } = workerData as TestHartStart;
const hart = createHart({
  ...{ memory, layout: layout(harts, ramBytes), index, engine },
  mmio: { has: () => false, read: () => 0, write: () => {} },
  clock: () => 0,
  supervisorCalls: 'monitor',
});
hart.reset(pc, 1, index, 0);
const deadline = performance.now() + 20_000;
while (performance.now() < deadline) if (hart.run(1_000_000) === 'sbi') process.exit(0);
throw new Error(`hart ${index} goes on for ever at 0x${hart.pc().toString(16)}`);
