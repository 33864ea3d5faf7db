// A program for a bare machine that tries accesses through random page tables: from M mode by MPRV, and in S and U mode with
// fetches through the same tables; traps are taken in M mode or delegated. What every trial did is folded into one number.
import { encode } from '../../../src/vcpu/encode.ts';
import { Assembler } from './assembler.ts';
import { driver } from './paging-driver.ts';
import {
  accessed,
  csr,
  dataStart,
  dummy,
  field,
  floatRegister,
  imageBytes,
  operand,
  type PagingOptions,
  pageAt,
  pageBytes,
  pristineStart,
  result,
  status,
  stubBytes,
  stubStart,
  tablesStart,
  times,
  trialBytes,
  trialsStart,
} from './paging-layout.ts';
import { handlerStart, PagingTables, pagesOfZone, ramStart, spaces, zones } from './paging-tables.ts';
import { Random } from './random.ts';

export interface PagingProgram {
  readonly image: Uint8Array;
  /** What each trial is, in words. */
  readonly trials: readonly string[];
}

interface Operation {
  readonly name: string;
  readonly words: readonly number[];
  /** Alignment that it needs, 1 for none. */
  readonly align: number;
  /** Only where this holds: otherwise the machine would sleep, or go who knows where. */
  readonly only?: (mode: number, bits: number) => boolean;
}

const nop = encode('addi');
const operations: readonly Operation[] = [
  ...['lb', 'lbu', 'lh', 'lhu', 'lw', 'lwu', 'ld'].map((name) =>
    plain(name, encode(name, { rd: result, rs1: accessed })),
  ),
  ...['sb', 'sh', 'sw', 'sd'].map((name) => plain(name, encode(name, { rs1: accessed, rs2: operand }))),
  ...['flw', 'fld'].map((name) => plain(name, encode(name, { rd: floatRegister, rs1: accessed }))),
  ...['fsw', 'fsd'].map((name) => plain(name, encode(name, { rs1: accessed, rs2: floatRegister }))),
  ...['amoadd.w', 'amoadd.d', 'amoswap.d', 'amomaxu.w', 'amomin.d'].map((name) => ({
    ...plain(name, encode(name, { rd: result, rs1: accessed, rs2: operand })),
    align: name.endsWith('d') ? 8 : 4,
  })),
  ...['w', 'd'].map((width) => ({
    name: `lr.${width} sc.${width}`,
    words: [
      encode(`lr.${width}`, { rd: result, rs1: accessed }),
      encode(`sc.${width}`, { rd: result, rs1: accessed, rs2: operand }),
    ],
    align: width === 'd' ? 8 : 4,
  })),
  plain('read satp', encode('csrrs', { rd: result, imm: csr.satp })),
  plain('read sstatus', encode('csrrs', { rd: result, imm: csr.sstatus })),
  plain('read mstatus', encode('csrrs', { rd: result, imm: csr.mstatus })),
  plain('sfence.vma', encode('sfence.vma', { rs1: accessed })),
  { ...plain('wfi', encode('wfi')), only: (mode, bits) => mode < 3 && (bits & status.tw) !== 0 },
  { ...plain('sret', encode('sret')), only: (mode, bits) => mode === 0 || (mode === 1 && (bits & status.tsr) !== 0) },
  { ...plain('mret', encode('mret')), only: (mode) => mode < 3 },
];

function plain(name: string, word: number): Operation {
  return { name, words: [word], align: 1 };
}

export function pagingProgram(options: PagingOptions): PagingProgram {
  const random = new Random(options.seed);
  const a = new Assembler(imageBytes);
  driver(a, options);
  const tables = new PagingTables(random);
  for (const { at, pte } of tables.entries) a.double(at - tablesStart + pristineStart, pte);
  for (const zone of zones) for (let page = 0; page < pagesOfZone; page++) fillPage(a, random, pageAt(zone, page));
  const words: string[] = [];
  let last: Selected | undefined;
  for (let i = 0; i < options.trials; i++) {
    const { words: text, selected } = trial(a, random, tables, i, last);
    words.push(text);
    last = selected;
  }
  return { image: a.finish(), trials: words };
}

function fillPage(a: Assembler, random: Random, page: number): void {
  for (const [i, { words }] of operations.entries()) {
    a.at = page + stubStart + i * stubBytes;
    for (const word of [words[0]!, words[1] ?? nop]) a.word(word);
    a.emit('addi', { rd: times, rs1: times, imm: -1 });
    a.emit('bne', { rs1: times, imm: -12 });
    a.emit('ecall');
  }
  for (let at = dataStart; at < pageBytes; at += 8) a.double(page + at, random.bits64());
}

/** The address space that satp selects: its number, or none at all. */
type Selected = number | 'bare';

/** Writes a trial's record and says what it is; gives the address space that it leaves behind. */
function trial(
  a: Assembler,
  random: Random,
  tables: PagingTables,
  index: number,
  last: Selected | undefined,
): { words: string; selected: Selected } {
  const ignored = last !== undefined && random.chance(3);
  const selected = ignored ? last : random.chance(4) ? 'bare' : random.below(spaces);
  // Modes 1 to 7 are reserved: a write of one changes nothing.
  const satp = ignored ? BigInt(random.between(1, 7)) << 60n : selected === 'bare' ? 0n : tables.satp(selected);
  const mode = random.one([0, 1, 1, 3]);
  const bits =
    (random.chance(40) ? status.sum : 0) |
    (random.chance(40) ? status.mxr : 0) |
    (random.chance(5) ? status.tvm : 0) |
    (random.chance(5) ? status.tw : 0) |
    (random.chance(5) ? status.tsr : 0) |
    (random.chance(30) ? status.sie | status.spie : 0) |
    status.fs;
  const space = selected === 'bare' ? undefined : selected;
  const code = tables.address(space, executable, 0x9n | (mode === 0 ? user : 0n));
  const changed = tables.address();
  const poke = pokeOf(random, tables, changed);
  const data = random.one([code, changed, tables.address(space), tables.address(space)]);
  let operation = choose(random, mode, bits);
  // QEMU 7.2 reads before it writes there, and so reports an AMO's fault as a load's.
  const nowhere = space !== undefined && (tables.leadsNowhere(space, data) || tables.leadsNowhere(space, data + 4096n));
  if (nowhere && operation.align > 1) operation = operations[0]!;
  const physical = BigInt(ramStart + pageAt(random.one(zones), random.below(pagesOfZone)));
  const stub = BigInt(stubStart + operations.indexOf(operation) * stubBytes);
  const pc = (mode === 3 || selected === 'bare' ? physical : code) + stub;
  let target = selected === 'bare' ? physical : data;
  const odd = operation.align === 1 && random.chance(3);
  if (odd) target |= 1n << BigInt(random.between(39, 55));
  // A misaligned access to nowhere faults with its own address here, with that of an aligned part there.
  target += BigInt(offset(random, nowhere || odd ? 8 : operation.align));
  const mprv = mode === 3 && random.chance(85);
  // Without MPRV the address is physical: the access must not change what the program stands on.
  if (mode === 3 && !mprv) target = physical + BigInt(offset(random, operation.align));
  const previous = mode === 3 ? (mprv ? random.one([0, 1, 1]) : random.one([0, 1, 3])) : mode;
  const mstatus = bits | (previous << 11) | (mprv ? status.mprv : 0);
  let medeleg = random.chance(50) ? 0 : random.bits() & 0xb1ff;
  // The handler of S mode ends with sret, whose own trap must not come to it again.
  if (bits & status.tsr) medeleg &= ~4;

  const put = (of: number, value: bigint | number): void =>
    a.double(trialsStart + index * trialBytes + of, BigInt(value));
  put(field.poke, ramStart + (poke?.at ?? dummy));
  put(field.value, poke?.pte ?? 0);
  put(field.fence, ramStart + a.offsetOf(`fence.${poke?.fence ?? 'none'}`));
  put(field.fenceAddress, poke?.address ?? 0);
  put(field.fenceAsid, poke?.asid ?? 0);
  put(field.satp, satp);
  put(field.mstatus, mstatus);
  put(field.medeleg, medeleg);
  put(field.address, target);
  put(field.operand, random.bits64());
  put(field.pc, pc);
  put(field.lower, mode === 3 ? 0 : 1);
  put(field.stvec, (selected === 'bare' ? BigInt(ramStart) : handlerStart) + BigInt(a.offsetOf('supervisor')));
  put(field.times, random.between(1, 3));
  const numbers = Object.entries({ pc, target, satp, mstatus, medeleg }).map(
    ([name, n]) => `${name} ${n.toString(16)}`,
  );
  const words = `${operation.name} in mode ${mode}, space ${selected}: ${numbers.join(', ')}${poke ? `, ${poke.words}` : ''}`;
  return { words, selected };
}

/** Bits of an entry: valid, executable, for user mode; and those that are not for pages. */
const user = 0x10n;
const executable = 0xffc0_0000_0000_0000n | 0x9n | user;

interface Poke {
  readonly at: number;
  readonly pte: bigint;
  readonly fence: string;
  readonly address: bigint;
  readonly asid: number;
  readonly words: string;
}

/** A change of an entry that a walk of `address` reads, and a fence that is just enough (section 4.2.1). */
function pokeOf(random: Random, tables: PagingTables, address: bigint): Poke | undefined {
  if (random.chance(55)) return undefined;
  const space = random.below(spaces);
  const { before, after, alone } = tables.change(space, address);
  const isGlobal = (before.pte & 0x20n) !== 0n;
  // By address only pages of 4 KiB, as a fence need not forget pointers then; and only if no other address shares the entry.
  const byAddress = before.level === 0 && alone;
  const fence = random.one([
    'all',
    ...(byAddress ? ['address'] : []),
    ...(isGlobal ? [] : ['asid']),
    ...(byAddress && !isGlobal ? ['both'] : []),
  ]);
  const words = `poke level ${before.level} of space ${space} ${before.pte.toString(16)} to ${after.pte.toString(16)}, fence ${fence} ${address.toString(16)}`;
  return { at: before.at, pte: after.pte, fence, address, asid: tables.asid(space), words };
}

function choose(random: Random, mode: number, bits: number): Operation {
  for (;;) {
    const operation = random.one(operations);
    if (operation.only === undefined || operation.only(mode, bits)) return operation;
  }
}

/** Behind the code; now and then across the end of the page. */
function offset(random: Random, align: number): number {
  const at = random.chance(15)
    ? random.between(pageBytes - 8, pageBytes - 1)
    : random.between(dataStart, pageBytes - 16);
  return at & -align;
}
