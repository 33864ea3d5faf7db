// A program for a bare machine in M mode: blocks of random instructions, over and over from fresh registers, each block's
// outcome folded into one number that is printed after each round. Traps are folded too and passed over.

import { encode } from '../../../src/vcpu/encode.ts';
import { Assembler } from './assembler.ts';
import { Random } from './random.ts';
import { bases, branches, counter, destination, randomInstruction } from './random-instructions.ts';

export interface ProgramOptions {
  readonly seed: number;
  readonly blocks: number;
  /** Instructions of a block. */
  readonly instructions: number;
  readonly rounds: number;
  readonly withFloat: boolean;
  /** Prints after each block instead of each round, to find the block at fault. */
  readonly talkative?: boolean;
  /** Only these blocks, cut to so many pieces; for the search of the first instruction at fault. */
  readonly only?: { readonly block: number; readonly pieces: number };
}

export interface Program {
  readonly image: Uint8Array;
  /** The random code alone. */
  readonly code: Uint8Array;
  /** Random instructions that one run executes, about. */
  readonly executed: number;
}

const imageBytes = 0x30_0000;
const dataStart = 0x20_0000;
/** In the data: saved registers (x, f, fcsr), trap scratch, fold state, counters; the seeds; the scratch page. */
const data = {
  x: 0,
  f: 256,
  fcsr: 512,
  trap: 0x300,
  fold: 0x400,
  rounds: 0x408,
  next: 0x410,
  seeds: 0x1000,
  scratch: 0x4_0000,
} as const;
const seedEntries = 64;
const seedBytes = 1024;

const save = 31;
const mscratch = 0x340;
const csr = { mstatus: 0x300, mtvec: 0x305, mepc: 0x341, mcause: 0x342, mtval: 0x343, fcsr: 3 } as const;
const ramStart = 0x8000_0000;
const uart = 0x1000_0000;
const syscon = 0x10_0000;
const lineStatus = 5;
const transmitterEmpty = 0x20;
const foldFactor = 0x5bd1_e995;

export function randomProgram(options: ProgramOptions): Program {
  const random = new Random(options.seed);
  const a = new Assembler(imageBytes);
  start(a, options);
  fold(a, options.talkative ?? false);
  print(a);
  let count = 0;
  let end = 0;
  for (let block = 0; block < options.blocks; block++) {
    const pieces: (() => void)[] = [];
    while (pieces.length < options.instructions)
      pieces.push(...piece(a, random, `b${block}.${pieces.length}`, options.withFloat));
    const only = options.only;
    if (only && only.block !== block) continue;
    if (block === (only?.block ?? 0)) a.label('blocks');
    for (const emit of only ? pieces.slice(0, only.pieces) : pieces) {
      emit();
      count++;
    }
    end = a.at;
    endBlock(a);
  }
  endRounds(a);
  seeds(a, new Random(options.seed ^ 0x5eed));
  const image = a.finish();
  return { image, code: image.subarray(a.offsetOf('blocks'), end), executed: count * options.rounds };
}

/** A run of instructions with its labels; a branch or a loop counts as the pieces it is made of. */
function piece(a: Assembler, random: Random, label: string, withFloat: boolean): (() => void)[] {
  const some = (count: number): (() => void)[] =>
    Array.from({ length: count }, () => randomInstruction(random, withFloat)).flatMap((group) => [
      () => {
        for (const { bits, bytes } of group) bytes === 4 ? a.word(bits) : a.half(bits);
      },
    ]);
  const kind = random.below(100);
  const join = (parts: (() => void)[]): (() => void)[] => [
    () => {
      for (const part of parts) part();
    },
  ];
  if (kind < 10) {
    const row = random.one(branches);
    const [rs1, rs2] = [random.below(32), random.below(32)];
    return join([() => a.to(label, row.name, { rs1, rs2 }), ...some(random.between(0, 6)), () => a.label(label)]);
  }
  if (kind < 13) {
    const rd = destination(random);
    return join([() => a.to(label, 'jal', { rd }), ...some(random.between(0, 4)), () => a.label(label)]);
  }
  if (kind < 15) {
    const rd = destination(random);
    const by = destination(random) || 5;
    return join([
      () => a.emit('auipc', { rd: by, imm: 0 }),
      () => a.emit('jalr', { rd, rs1: by, imm: 8 + random.below(2) }),
    ]);
  }
  if (kind < 18) {
    const times = random.between(1, 5);
    return join([
      () => a.emit('addi', { rd: counter, rs1: 0, imm: times }),
      () => a.label(label),
      ...some(random.between(1, 8)),
      () => a.emit('addi', { rd: counter, rs1: counter, imm: -1 }),
      () => a.to(label, 'bne', { rs1: counter, rs2: 0 }),
    ]);
  }
  return some(1);
}

function start(a: Assembler, options: ProgramOptions): void {
  a.liUnsigned(save, ramStart + dataStart);
  a.to('over', 'jal', { rd: 1 });
  trapHandler(a);
  a.label('over');
  a.emit('csrrw', { rd: 0, rs1: 1, imm: csr.mtvec });
  a.li(1, (3 << 13) | (3 << 11));
  a.emit('csrrs', { rd: 0, rs1: 1, imm: csr.mstatus });
  a.li(1, options.rounds);
  a.emit('sd', { rs1: save, rs2: 1, imm: data.rounds });
  a.emit('sd', { rs1: save, rs2: 0, imm: data.fold });
  a.to('round', 'jal', { rd: 0 });
}

/** Directly behind a jump that leaves its address in x1. */
function trapHandler(a: Assembler): void {
  a.emit('csrrw', { rd: save, rs1: save, imm: mscratch });
  for (const r of [1, 2, 3, 4]) a.emit('sd', { rs1: save, rs2: r, imm: data.trap + 8 * r });
  a.emit('ld', { rd: 1, rs1: save, imm: data.fold });
  a.li(4, foldFactor | 0);
  for (const which of [csr.mcause, csr.mtval, csr.mepc]) {
    a.emit('csrrs', { rd: 2, rs1: 0, imm: which });
    a.emit('xor', { rd: 1, rs1: 1, rs2: 2 });
    a.emit('mul', { rd: 1, rs1: 1, rs2: 4 });
  }
  a.emit('sd', { rs1: save, rs2: 1, imm: data.fold });
  a.emit('csrrs', { rd: 3, rs1: 0, imm: csr.mepc });
  a.emit('lhu', { rd: 4, rs1: 3, imm: 0 });
  a.emit('andi', { rd: 4, rs1: 4, imm: 3 });
  a.emit('addi', { rd: 4, rs1: 4, imm: -3 });
  a.emit('sltiu', { rd: 4, rs1: 4, imm: 1 });
  a.emit('slli', { rd: 4, rs1: 4, imm: 1 });
  a.emit('add', { rd: 3, rs1: 3, rs2: 4 });
  a.emit('addi', { rd: 3, rs1: 3, imm: 2 });
  a.emit('csrrw', { rd: 0, rs1: 3, imm: csr.mepc });
  for (const r of [1, 2, 3, 4]) a.emit('ld', { rd: r, rs1: save, imm: data.trap + 8 * r });
  a.emit('csrrw', { rd: save, rs1: save, imm: mscratch });
  a.emit('mret');
}

/** At a block's end: x31 holds the data, mscratch what x31 was, x1 the next block (its own value is saved). */
function endBlock(a: Assembler): void {
  a.emit('csrrw', { rd: save, rs1: save, imm: mscratch });
  a.emit('sd', { rs1: save, rs2: 1, imm: data.x + 8 });
  a.to('fold', 'jal', { rd: 1 });
}

function fold(a: Assembler, talkative: boolean): void {
  a.label('fold');
  for (let r = 2; r < 31; r++) a.emit('sd', { rs1: save, rs2: r, imm: data.x + 8 * r });
  a.emit('csrrs', { rd: 2, rs1: 0, imm: mscratch });
  a.emit('sd', { rs1: save, rs2: 2, imm: data.x + 8 * 31 });
  for (let r = 0; r < 32; r++) a.word(encodeFloatStore(r, data.f + 8 * r));
  a.emit('csrrs', { rd: 2, rs1: 0, imm: csr.fcsr });
  a.emit('sd', { rs1: save, rs2: 2, imm: data.fcsr });
  a.emit('sd', { rs1: save, rs2: 1, imm: data.next });
  a.emit('ld', { rd: 3, rs1: save, imm: data.fold });
  a.li(4, foldFactor | 0);
  a.emit('addi', { rd: 5, rs1: save, imm: data.x + 8 });
  a.emit('addi', { rd: 6, rs1: save, imm: data.fcsr + 8 });
  a.label('fold.more');
  a.emit('ld', { rd: 7, rs1: 5, imm: 0 });
  a.emit('xor', { rd: 3, rs1: 3, rs2: 7 });
  a.emit('mul', { rd: 3, rs1: 3, rs2: 4 });
  a.emit('srli', { rd: 7, rs1: 3, imm: 29 });
  a.emit('xor', { rd: 3, rs1: 3, rs2: 7 });
  a.emit('addi', { rd: 5, rs1: 5, imm: 8 });
  a.to('fold.more', 'bne', { rs1: 5, rs2: 6 });
  // The scratch page counts too.
  a.li(5, data.scratch - 512);
  a.emit('add', { rd: 5, rs1: 5, rs2: save });
  a.emit('addi', { rd: 6, rs1: 5, imm: 1024 });
  a.label('fold.scratch');
  a.emit('ld', { rd: 7, rs1: 5, imm: 0 });
  a.emit('xor', { rd: 3, rs1: 3, rs2: 7 });
  a.emit('mul', { rd: 3, rs1: 3, rs2: 4 });
  a.emit('addi', { rd: 5, rs1: 5, imm: 8 });
  a.to('fold.scratch', 'bne', { rs1: 5, rs2: 6 });
  a.emit('srli', { rd: 7, rs1: 3, imm: 31 });
  a.emit('xor', { rd: 3, rs1: 3, rs2: 7 });
  a.emit('sd', { rs1: save, rs2: 3, imm: data.fold });
  if (talkative) a.to('print', 'jal', { rd: 1 });
  a.label('enter');
  enter(a);
}

/** Goes on at data.next with registers from the seed that the fold state chooses. */
function enter(a: Assembler): void {
  a.emit('ld', { rd: 1, rs1: save, imm: data.next });
  a.emit('csrrw', { rd: 0, rs1: 1, imm: csr.mepc });
  a.li(1, 3 << 11);
  a.emit('csrrs', { rd: 0, rs1: 1, imm: csr.mstatus });
  a.emit('csrrw', { rd: 0, rs1: save, imm: mscratch });
  a.emit('ld', { rd: 1, rs1: save, imm: data.fold });
  a.emit('andi', { rd: 1, rs1: 1, imm: seedEntries - 1 });
  a.emit('slli', { rd: 1, rs1: 1, imm: Math.log2(seedBytes) });
  a.emit('add', { rd: save, rs1: save, rs2: 1 });
  a.li(1, data.seeds);
  a.emit('add', { rd: save, rs1: save, rs2: 1 });
  a.emit('ld', { rd: 1, rs1: save, imm: data.fcsr });
  a.emit('csrrw', { rd: 0, rs1: 1, imm: csr.fcsr });
  for (let r = 0; r < 32; r++) a.word(encodeFloatLoad(r, data.f + 8 * r));
  for (let r = 1; r < 32; r++) a.emit('ld', { rd: r, rs1: save, imm: data.x + 8 * r });
  a.emit('mret');
}

/** Prints the fold state as 16 hexadecimal digits and a newline; returns to x1, spoils x2 to x8. */
function print(a: Assembler): void {
  a.label('print');
  a.emit('ld', { rd: 2, rs1: save, imm: data.fold });
  a.li(3, uart);
  a.emit('addi', { rd: 4, rs1: 0, imm: 60 });
  a.label('print.more');
  a.emit('srl', { rd: 5, rs1: 2, rs2: 4 });
  a.emit('andi', { rd: 5, rs1: 5, imm: 15 });
  a.emit('addi', { rd: 6, rs1: 0, imm: 10 });
  a.emit('addi', { rd: 7, rs1: 5, imm: 48 });
  a.to('print.digit', 'blt', { rs1: 5, rs2: 6 });
  a.emit('addi', { rd: 7, rs1: 5, imm: 87 });
  a.label('print.digit');
  a.to('send', 'jal', { rd: 8 });
  a.emit('addi', { rd: 4, rs1: 4, imm: -4 });
  a.to('print.more', 'bge', { rs1: 4, rs2: 0 });
  a.emit('addi', { rd: 7, rs1: 0, imm: 10 });
  a.to('send', 'jal', { rd: 8 });
  a.emit('jalr', { rd: 0, rs1: 1, imm: 0 });
  // Sends x7 when the port is ready for it; returns to x8.
  a.label('send');
  a.emit('lbu', { rd: 5, rs1: 3, imm: lineStatus });
  a.emit('andi', { rd: 5, rs1: 5, imm: transmitterEmpty });
  a.to('send', 'beq', { rs1: 5, rs2: 0 });
  a.emit('sb', { rs1: 3, rs2: 7, imm: 0 });
  a.emit('jalr', { rd: 0, rs1: 8, imm: 0 });
}

/** Behind the last block: prints, and either begins again or powers off. */
function endRounds(a: Assembler): void {
  a.emit('csrrw', { rd: save, rs1: save, imm: mscratch });
  a.to('print', 'jal', { rd: 1 });
  a.emit('ld', { rd: 2, rs1: save, imm: data.rounds });
  a.emit('addi', { rd: 2, rs1: 2, imm: -1 });
  a.emit('sd', { rs1: save, rs2: 2, imm: data.rounds });
  a.to('round', 'bne', { rs1: 2, rs2: 0 });
  a.li(1, syscon);
  a.li(2, 0x5555);
  a.emit('sw', { rs1: 1, rs2: 2, imm: 0 });
  a.label('spin');
  a.to('spin', 'jal', { rd: 0 });
  a.label('round');
  a.to('round.at', 'jal', { rd: 1 });
  a.label('round.at');
  // x1 is this label's address; the first block lies before it.
  const back = a.at;
  a.li(2, back - a.offsetOf('blocks'));
  a.emit('sub', { rd: 1, rs1: 1, rs2: 2 });
  a.emit('sd', { rs1: save, rs2: 1, imm: data.next });
  a.to('enter', 'jal', { rd: 0 });
}

/** Register files full of corner values and noise. */
function seeds(a: Assembler, random: Random): void {
  const address = ramStart + dataStart + data.scratch;
  for (let entry = 0; entry < seedEntries; entry++) {
    const at = dataStart + data.seeds + entry * seedBytes;
    for (let r = 0; r < 32; r++) {
      a.double(at + data.x + 8 * r, integerSeed(random));
      a.double(at + data.f + 8 * r, floatSeed(random));
    }
    a.double(
      at + data.fcsr,
      BigInt((random.chance(70) ? 0 : random.below(5)) << 5) | BigInt(random.chance(50) ? 1 : 0),
    );
    for (const [i, base] of bases.entries()) a.double(at + data.x + 8 * base, BigInt(address + [4, 0, 8][i]!));
  }
}

function integerSeed(random: Random): bigint {
  const kind = random.below(4);
  if (kind === 0)
    return random.one([
      0n,
      1n,
      -1n,
      2n ** 31n,
      -(2n ** 31n),
      2n ** 63n,
      2n ** 63n - 1n,
      0xffff_ffffn,
      2n ** 32n,
      63n,
      31n,
    ]);
  return random.bits64() >> BigInt(random.below(kind === 1 ? 64 : 1) + 0);
}

const doubles = [
  0n,
  0x3ff0000000000000n,
  0x7ff0000000000000n,
  0x7ff8000000000000n,
  0x7ff0000000000001n,
  1n,
  0xfffffffffffffn,
  0x10000000000000n,
  0x7fefffffffffffffn,
  0x41dfffffffc00000n,
  0x43e0000000000000n,
  0x4008000000000000n,
];
const singles = [
  0n,
  0x3f800000n,
  0x7f800000n,
  0x7fc00000n,
  0x7f800001n,
  1n,
  0x7fffffn,
  0x800000n,
  0x7f7fffffn,
  0x4f000000n,
  0x40490fdbn,
];

function floatSeed(random: Random): bigint {
  const sign = BigInt(random.below(2));
  switch (random.below(6)) {
    case 0:
      return random.one(doubles) | (sign << 63n);
    case 1:
      return 0xffff_ffff_0000_0000n | random.one(singles) | (sign << 31n);
    case 2:
      return 0xffff_ffff_0000_0000n | BigInt(random.bits());
    case 3:
      return (random.bits64() & 0x800f_ffff_ffff_ffffn) | (BigInt(random.between(0x3f0, 0x410)) << 52n);
    case 4:
      return (
        0xffff_ffff_0000_0000n |
        BigInt((random.bits() & 0x807f_ffff) >>> 0) |
        (BigInt(random.between(0x70, 0x90)) << 23n)
      );
    default:
      return random.bits64();
  }
}

function encodeFloatStore(register: number, offset: number): number {
  return (encode('sd', { rs1: save, rs2: register, imm: offset }) & ~0x7f) | 0x27;
}

function encodeFloatLoad(register: number, offset: number): number {
  return (encode('ld', { rd: register, rs1: save, imm: offset }) & ~0x7f) | 0x07;
}
