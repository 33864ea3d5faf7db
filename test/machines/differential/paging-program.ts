// A program for a bare machine that tries accesses through random page tables: from M mode by MPRV, and in S and U mode with
// fetches through the same tables; traps are taken in M mode or delegated. What every trial did is folded into one number.
import { encode } from '../../../src/vcpu/encode.ts';
import { Assembler } from './assembler.ts';
import { print, syscon } from './bare-program.ts';
import { handlerStart, PagingTables, pagesOfZone, ramStart, spaces, zones } from './paging-tables.ts';
import { Random } from './random.ts';

export interface PagingOptions {
  readonly seed: number;
  readonly trials: number;
  readonly rounds: number;
  /** Prints the fold after each trial, not only after each round. */
  readonly talkative?: boolean;
}

export interface PagingProgram {
  readonly image: Uint8Array;
  /** What each trial is, in words. */
  readonly trials: readonly string[];
}

const imageBytes = 0x80_0000;
const trialsStart = 0x4_0000;
const trialBytes = 128;
/** Tables as they are at the start of a round, beside those in use (paging-tables.ts). */
const tablesStart = 0x10_0000;
const tablesBytes = 0x1_8000;
const pristineStart = 0x14_0000;
const dummy = 0x1f_f000;
const pageBytes = 4096;
const zoneBytes = 0x20_0000;
/** In each page of a zone: one piece of code for each operation, and room for data behind. */
const stubStart = 0x20;
const stubBytes = 32;
const dataStart = 0x800;

/** Places in a trial's record. */
const field = {
  ...{ poke: 0, value: 8, satp: 32, mstatus: 40, medeleg: 48, address: 56, operand: 64, pc: 72 },
  ...{ lower: 80, fence: 88, fenceAddress: 96, fenceAsid: 104, stvec: 112, times: 120 },
} as const;
const csr = {
  ...{ mstatus: 0x300, medeleg: 0x302, mtvec: 0x305, menvcfg: 0x30a, mepc: 0x341, mcause: 0x342, mtval: 0x343 },
  ...{
    mhartid: 0xf14,
    pmpcfg0: 0x3a0,
    pmpaddr0: 0x3b0,
    sstatus: 0x100,
    stvec: 0x105,
    sepc: 0x141,
    scause: 0x142,
    stval: 0x143,
  },
  ...{ satp: 0x180 },
} as const;
const status = {
  ...{
    sie: 2,
    spie: 0x20,
    mpie: 0x80,
    spp: 0x100,
    mpp: 0x1800,
    fs: 0x6000,
    mprv: 0x2_0000,
    sum: 0x4_0000,
    mxr: 0x8_0000,
  },
  ...{ tvm: 0x10_0000, tw: 0x20_0000, tsr: 0x40_0000 },
} as const;
/** What both machines have in mstatus. */
const statusMask = 0x7e_79aa;

/** Registers: the record, its end, the fold and its factor; address, operand and result; the number of times. */
const [record, end, folded, factor, rounds] = [8, 9, 18, 19, 20] as const;
const [accessed, operand, result, fenceAddress, fenceAsid, times] = [10, 11, 12, 13, 14, 7] as const;
const [t0, t3, t4, t5] = [5, 28, 29, 30] as const;
const floatRegister = 1;

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

/** What a fence forgets: everything, an address, an address space, an address of an address space. */
const fences: readonly (readonly [name: string, word?: number])[] = [
  ['none'],
  ['all', encode('sfence.vma')],
  ['address', encode('sfence.vma', { rs1: fenceAddress })],
  ['asid', encode('sfence.vma', { rs2: fenceAsid })],
  ['both', encode('sfence.vma', { rs1: fenceAddress, rs2: fenceAsid })],
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

function pageAt(zone: number, page: number): number {
  return zone * zoneBytes + page * pageBytes;
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

function driver(a: Assembler, options: PagingOptions): void {
  const address = (rd: number, offset: number): void => a.liUnsigned(rd, ramStart + offset);
  const read = (rd: number, number: number): void => a.emit('csrrs', { rd, imm: number });
  const write = (number: number, rs1: number): void => a.emit('csrrw', { rs1, imm: number });
  const labelled = (rd: number, label: string): void => {
    // The image is flat: a label's address is known once the jump over it is.
    a.to(`${label}.end`, 'jal', { rd });
  };
  read(t0, csr.mhartid);
  a.to('park', 'bne', { rs1: t0, rs2: 0 });
  labelled(t0, 'machine');
  machineTrap(a, options);
  a.label('machine.end');
  write(csr.mtvec, t0);
  a.to('supervisor.end', 'jal', { rd: 0 });
  supervisorTrap(a);
  for (const [name, word] of fences) {
    a.label(`fence.${name}`);
    if (word !== undefined) a.word(word);
    a.emit('jalr', { rs1: 1 });
  }
  a.label('supervisor.end');
  a.li(t0, -1);
  write(csr.pmpaddr0, t0);
  a.li(t0, 0x1f);
  write(csr.pmpcfg0, t0);
  // Svadu: QEMU 7.2 always sets accessed and dirty bits itself.
  a.li(t0, 1);
  a.emit('slli', { rd: t0, rs1: t0, imm: 61 });
  a.emit('csrrs', { rs1: t0, imm: csr.menvcfg });
  a.li(t0, status.fs);
  a.emit('csrrs', { rs1: t0, imm: csr.mstatus });
  a.li(folded, 0);
  a.li(factor, 0x5bd1_e995 | 0);
  a.li(rounds, options.rounds);

  a.label('round');
  address(t3, tablesStart);
  address(t4, pristineStart);
  address(t5, pristineStart + tablesBytes);
  a.label('copy');
  a.emit('ld', { rd: t0, rs1: t4 });
  a.emit('sd', { rs1: t3, rs2: t0 });
  a.emit('addi', { rd: t3, rs1: t3, imm: 8 });
  a.emit('addi', { rd: t4, rs1: t4, imm: 8 });
  a.to('copy', 'bne', { rs1: t4, rs2: t5 });
  write(csr.satp, 0);
  a.emit('sfence.vma');
  address(record, trialsStart);
  address(end, trialsStart + options.trials * trialBytes);

  a.label('next');
  const load = (rd: number, of: number): void => a.emit('ld', { rd, rs1: record, imm: of });
  load(t0, field.poke);
  load(t3, field.value);
  a.emit('sd', { rs1: t0, rs2: t3 });
  load(t0, field.fence);
  load(fenceAddress, field.fenceAddress);
  load(fenceAsid, field.fenceAsid);
  a.emit('jalr', { rd: 1, rs1: t0 });
  for (const name of ['satp', 'medeleg', 'stvec'] as const) {
    load(t0, field[name]);
    write(csr[name], t0);
  }
  load(accessed, field.address);
  load(operand, field.operand);
  load(times, field.times);
  a.emit('fmv.d.x', { rd: floatRegister, rs1: operand });
  a.li(result, 0);
  load(t4, field.pc);
  load(t3, field.lower);
  load(t0, field.mstatus);
  a.to('same', 'beq', { rs1: t3, rs2: 0 });
  write(csr.mepc, t4);
  write(csr.mstatus, t0);
  a.emit('mret');
  a.label('same');
  write(csr.mstatus, t0);
  a.emit('jalr', { rs1: t4 });

  a.label('park');
  a.emit('wfi');
  a.to('park', 'jal', { rd: 0 });
}

/** The end of a trial: folds what came out, goes on to the next; at the end of a round, all of memory is folded. */
function machineTrap(a: Assembler, { talkative, trials }: PagingOptions): void {
  const fold = (register: number): void => foldRegister(a, register);
  a.emit('lui', { rd: t0, imm: status.mprv });
  a.emit('csrrc', { rd: t3, rs1: t0, imm: csr.mstatus });
  a.li(t0, statusMask);
  a.emit('and', { rd: t3, rs1: t3, rs2: t0 });
  fold(t3);
  for (const which of [csr.mcause, csr.mtval, csr.mepc]) {
    a.emit('csrrs', { rd: t3, imm: which });
    fold(t3);
    if (talkative) print(a, t3, 32);
  }
  fold(result);
  a.emit('fmv.x.d', { rd: t3, rs1: floatRegister });
  fold(t3);
  if (talkative) {
    print(a, t3, 32);
    print(a, result, 32);
    print(a, folded, 10);
  }
  a.emit('addi', { rd: record, rs1: record, imm: trialBytes });
  a.to('next', 'bne', { rs1: record, rs2: end });
  foldMemory(a, tablesStart, tablesBytes);
  for (const zone of zones) foldMemory(a, pageAt(zone, 0), (pagesOfZone + 1) * pageBytes);
  if (trials > 0) print(a, folded, 10);
  a.emit('addi', { rd: rounds, rs1: rounds, imm: -1 });
  a.to('round', 'bne', { rs1: rounds, rs2: 0 });
  a.liUnsigned(t0, syscon);
  a.li(t3, 0x5555);
  a.emit('sw', { rs1: t0, rs2: t3 });
  a.label('off');
  a.to('off', 'jal', { rd: 0 });
}

/** In S mode: folds, and goes on behind the instruction; what cannot go on calls M mode, as do calls of U mode. */
function supervisorTrap(a: Assembler): void {
  a.label('supervisor');
  a.emit('csrrs', { rd: t3, imm: csr.sstatus });
  a.li(t0, statusMask);
  a.emit('and', { rd: t3, rs1: t3, rs2: t0 });
  foldRegister(a, t3);
  for (const which of [csr.sepc, csr.stval, csr.scause]) {
    a.emit('csrrs', { rd: t3, imm: which });
    foldRegister(a, t3);
  }
  for (const cause of [1, 8, 12]) {
    a.li(t4, cause);
    a.to('supervisor.over', 'beq', { rs1: t3, rs2: t4 });
  }
  a.emit('csrrs', { rd: t3, imm: csr.sepc });
  a.emit('addi', { rd: t3, rs1: t3, imm: 4 });
  a.emit('csrrw', { rs1: t3, imm: csr.sepc });
  a.emit('sret');
  a.label('supervisor.over');
  a.emit('ecall');
}

function foldRegister(a: Assembler, register: number): void {
  a.emit('xor', { rd: folded, rs1: folded, rs2: register });
  a.emit('mul', { rd: folded, rs1: folded, rs2: factor });
  a.emit('srli', { rd: t5, rs1: folded, imm: 29 });
  a.emit('xor', { rd: folded, rs1: folded, rs2: t5 });
}

function foldMemory(a: Assembler, start: number, bytes: number): void {
  const label = `fold.${a.at}`;
  a.liUnsigned(t3, ramStart + start);
  a.liUnsigned(t4, ramStart + start + bytes);
  a.label(label);
  a.emit('ld', { rd: t0, rs1: t3 });
  foldRegister(a, t0);
  a.emit('addi', { rd: t3, rs1: t3, imm: 8 });
  a.to(label, 'bne', { rs1: t3, rs2: t4 });
}
