// For tests: one program run by two harts, a hart an engine, whose ends must be the same. Programs are assembled from rows of
// the table and end with a store to `finisher`.
import { control, hartWord, type Layout, layout, ramStart } from '../memory/layout.ts';
import { encode, type Operands } from './encode.ts';
import { createHart, type Hart } from './hart.ts';

/** An instruction by name; `to` is a label whose distance becomes the immediate. */
export type Line = { readonly label: string } | (Operands & { readonly name: string; readonly to?: string });

/** Where a store ends a program. */
export const finisher = 0x10_0000;
/** Jumps after which code is surely translated, and instructions between two chances for it. */
export const hotRounds = 1100;
const sliceInstructions = 1500;
const ramBytes = 8 * 2 ** 20;

export interface Machine {
  readonly hart: Hart;
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Runs until the program ends; fails after `limit` instructions. */
  finish(limit?: number): void;
}

export function machine(engine: 'interpreter' | 'translator'): Machine {
  const map = layout(1, ramBytes);
  const pages = map.totalBytes / 0x1_0000;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const words = new Int32Array(memory.buffer);
  const hart = createHart({
    ...{ memory, layout: map, index: 0, engine, supervisorCalls: 'firmware', clock: () => 0, hotCount: 1000 },
    mmio: {
      has: (address) => address === finisher,
      read: () => 0,
      write: () => {
        Atomics.store(words, control.stop >> 2, 1);
        Atomics.store(words, (map.hart(0) + hartWord.attention) >> 2, 1);
      },
    },
  });
  hart.reset(ramStart, 3, 0, 0);
  hart.setCsr('mstatus', hart.csr('mstatus') | 0x6000n);
  return {
    ...{ hart, layout: map },
    bytes: new Uint8Array(memory.buffer, map.ram, ramBytes),
    view: new DataView(memory.buffer, map.ram, ramBytes),
    finish(limit = 1e8) {
      for (let spent = 0; ; spent += sliceInstructions) {
        if (hart.run(sliceInstructions) === 'attention') return;
        if (spent > limit) throw new Error(`Cannot finish the program: pc is 0x${hart.pc().toString(16)}`);
      }
    },
  };
}

/** Puts a program into RAM at `offset`. */
export function place({ view }: Machine, offset: number, lines: readonly Line[]): void {
  assemble(lines).forEach((bits, i) => {
    view.setUint32(offset + 4 * i, bits, true);
  });
}

export function assemble(lines: readonly Line[]): number[] {
  const labels = new Map<string, number>();
  let at = 0;
  for (const line of lines) {
    if ('label' in line) labels.set(line.label, at);
    else at += 4;
  }
  const words: number[] = [];
  for (const line of lines) {
    if ('label' in line) continue;
    const { name, to, ...operands } = line;
    const target = to === undefined ? undefined : labels.get(to);
    if (to !== undefined && target === undefined) throw new Error(`Cannot assemble: no label "${to}"`);
    words.push(encode(name, target === undefined ? operands : { ...operands, imm: target - 4 * words.length }));
  }
  return words;
}

/** Lines that put a 32-bit number, sign-extended, into a register. */
export function set(rd: number, value: number): Line[] {
  const low = (value << 20) >> 20;
  return [
    { name: 'lui', rd, imm: (value - low) | 0 },
    { name: 'addiw', rd, rs1: rd, imm: low },
  ];
}

/** Lines that end a program; x31 is lost. */
export const end: readonly Line[] = [...set(31, finisher), { name: 'sw', rs1: 31, rs2: 0, imm: 0 }, { name: 'wfi' }];

/** The state of a hart that both engines must agree on. */
export function registers({ hart }: Machine): Record<string, string> {
  const values: Record<string, string> = {};
  for (let i = 1; i < 32; i++) values[`x${i}`] = hart.x(i).toString(16);
  for (const name of ['fflags', 'mcause', 'mepc', 'mtval', 'instret']) values[name] = hart.csr(name).toString(16);
  return values;
}

/** Numbers below 2^32, the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed * 0x9e37_79b9 + 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
