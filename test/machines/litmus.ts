// Litmus programs of RISC-V's memory model (RVWMO) as data: what each hart does, and what must never come out. In every round x
// and y of a place get that round's number as their new value, so "old" is any other.
import { encode } from '../../src/vcpu/encode.ts';
import { reg } from './bare-kernel.ts';

/** What a hart saw: its first and its second read, whether new. */
export type Seen = readonly [first: boolean, second: boolean];

export interface Litmus {
  readonly name: string;
  /** Instructions of each hart. s2 and s3 point to x and y, s4 holds the new value; reads go to a2 and a3. */
  readonly harts: readonly (readonly number[])[];
  readonly forbidden: (seen: readonly Seen[]) => boolean;
}

const [x, y, value] = [reg.s2, reg.s3, reg.s4] as const;
const write = (to: number): number => encode('sd', { rs1: to, rs2: value });
const first = (from: number): number => encode('ld', { rd: reg.a2, rs1: from });
const second = (from: number): number => encode('ld', { rd: reg.a3, rs1: from });
const fence = encode('fence', { imm: 0x33 });
const writesFence = encode('fence', { imm: 0x11 });
const readsFence = encode('fence', { imm: 0x22 });
const aquire = 1 << 26;
const release = 1 << 25;
const swap = (to: number, order: number): number => (encode('amoswap.d', { rs1: to, rs2: value }) | order) >>> 0;
const readAtomically = (from: number, order: number): number =>
  (encode('amoor.d', { rd: reg.a2, rs1: from, rs2: 0 }) | order) >>> 0;
const reserve = (from: number, order: number): number => (encode('lr.d', { rd: reg.a2, rs1: from }) | order) >>> 0;

export const litmusPrograms: readonly Litmus[] = [
  {
    name: 'MP: message passing',
    harts: [
      [write(x), writesFence, write(y)],
      [first(y), readsFence, second(x)],
    ],
    forbidden: ([, reader]) => reader![0] && !reader![1],
  },
  {
    name: 'MP with a release and an acquire by AMO',
    harts: [
      [write(x), swap(y, release)],
      [readAtomically(y, aquire), second(x)],
    ],
    forbidden: ([, reader]) => reader![0] && !reader![1],
  },
  {
    name: 'MP with an acquire by LR',
    harts: [
      [write(x), swap(y, release)],
      [reserve(y, aquire), second(x)],
    ],
    forbidden: ([, reader]) => reader![0] && !reader![1],
  },
  {
    name: 'SB: store buffering',
    harts: [
      [write(x), fence, first(y)],
      [write(y), fence, first(x)],
    ],
    forbidden: ([a, b]) => !a![0] && !b![0],
  },
  {
    name: 'SB with AMOs that acquire and release',
    harts: [
      [swap(x, aquire | release), readAtomically(y, aquire | release)],
      [swap(y, aquire | release), readAtomically(x, aquire | release)],
    ],
    forbidden: ([a, b]) => !a![0] && !b![0],
  },
  {
    name: 'LB: load buffering',
    harts: [
      [first(x), fence, write(y)],
      [first(y), fence, write(x)],
    ],
    forbidden: ([a, b]) => a![0] && b![0],
  },
  {
    name: 'CoRR: two reads of one place',
    harts: [[write(x)], [first(x), second(x)]],
    forbidden: ([, reader]) => reader![0] && !reader![1],
  },
  {
    name: 'CoWR: a read of what the hart itself wrote',
    harts: [[write(x), first(x)], [write(y)]],
    forbidden: ([writer]) => !writer![0],
  },
  {
    name: 'WRC: a write, read, then passed on',
    harts: [[write(x)], [first(x), fence, write(y)], [first(y), readsFence, second(x)]],
    forbidden: ([, middle, last]) => middle![0] && last![0] && !last![1],
  },
  {
    name: 'IRIW: independent reads of independent writes',
    harts: [[write(x)], [write(y)], [first(x), readsFence, second(y)], [first(y), readsFence, second(x)]],
    forbidden: ([, , a, b]) => a![0] && !a![1] && b![0] && !b![1],
  },
];
