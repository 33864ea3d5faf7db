// For tests: a hart with a little RAM, into which programs are put as instruction words. It starts in S mode at the start of RAM
// with its ecalls answered by the test (`run` ends with 'sbi'), or in M mode.
import { GuestMemory } from '../memory/guest-memory.ts';
import { type Layout, layout, ramStart, wasmPageBytes } from '../memory/layout.ts';
import { encode } from './encode.ts';
import { createHart, type Hart, type HartOptions } from './hart.ts';
import type { Mmio } from './mmio.ts';

export const ecall: number = encode('ecall');
export const codeAt: number = ramStart;
export const dataAt: number = ramStart + 0x10_0000;

export interface TestMachine {
  readonly hart: Hart;
  readonly memory: WebAssembly.Memory;
  readonly guest: GuestMemory;
  readonly layout: Layout;
  /** Ticks of the clock; a test sets them. */
  readonly clock: { ticks: number };
  /** Puts instructions at a guest-physical address, as firmware does before the hart runs. */
  put(address: number, words: readonly number[]): void;
  /** Runs from `pc` to the next ecall of S mode; fails if that does not come soon. */
  call(pc: number): void;
}

export interface TestOptions {
  readonly privilege?: 1 | 3;
  readonly engine?: HartOptions['engine'];
  readonly mmio?: Mmio;
  readonly supervisorCalls?: HartOptions['supervisorCalls'];
  readonly ramMiB?: number;
  readonly clintStart?: number;
}

const noDevices: Mmio = { has: () => false, read: () => 0, write: () => {} };

export function createTestMachine({
  privilege = 1,
  engine = 'interpreter',
  mmio = noDevices,
  supervisorCalls = 'monitor',
  ramMiB = 4,
  clintStart,
}: TestOptions = {}): TestMachine {
  const map = layout(1, ramMiB * 2 ** 20);
  const pages = map.totalBytes / wasmPageBytes;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const guest = new GuestMemory(memory.buffer, map);
  const clock = { ticks: 0 };
  const hart = createHart({
    memory,
    layout: map,
    index: 0,
    mmio,
    clock: () => clock.ticks,
    supervisorCalls,
    engine,
    ...(clintStart !== undefined && { clintStart }),
  });
  hart.reset(codeAt, privilege, 0, 0);
  return {
    ...{ hart, memory, guest, layout: map, clock },
    put: (address, words) => {
      for (const [i, word] of words.entries()) guest.setU32(address + i * 4, word);
    },
    call: (pc) => {
      hart.setPc(BigInt(pc));
      const leave = hart.run(10_000);
      if (leave !== 'sbi') throw new Error(`the hart left with ${leave} at 0x${hart.pc().toString(16)}`);
    },
  };
}
