import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { GuestMemory } from '../memory/guest-memory.ts';
import { layout, ramStart, wasmPageBytes } from '../memory/layout.ts';
import { encode } from './encode.ts';
import { createHart } from './hart.ts';
import { ecall } from './test-machine.ts';

/** What a worker is told: this file is both the tests and the harts' threads. */
interface TestHartStart {
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  readonly pc: number;
  readonly engine: 'interpreter' | 'translator';
}

const ramBytes = 4 * 2 ** 20;
const patienceMs = 20_000;
const codeAt = [ramStart, ramStart + 0x1_0000];
const dataAt = ramStart + 0x10_0000;
const rounds = 20_000;
/** Where harts wait for each other in every round, which costs a time slice when there are more threads than cores. */
const turns = 25;
/** Registers: base of the data, rounds left, and some to work with. */
const [base, left, t0, t1, t2, sum] = [5, 6, 7, 28, 14, 31];

const fence = encode('fence', { imm: 0x33 });
const li = (rd: number, imm: number): number => encode('addi', { rd, imm });

/** Begins with base and rounds set; `body` is repeated; ends with its sum in memory at `result`. */
function loop(body: readonly number[], result: number, rounds: number): number[] {
  return [
    ...[encode('lui', { rd: base, imm: dataAt | 0 }), encode('slli', { rd: base, rs1: base, imm: 32 })],
    ...[encode('srli', { rd: base, rs1: base, imm: 32 }), encode('lui', { rd: left, imm: (rounds + 0x800) & ~0xfff })],
    ...[encode('addiw', { rd: left, rs1: left, imm: ((rounds + 0x800) & 0xfff) - 0x800 }), li(sum, 0)],
    ...body,
    encode('addi', { rd: left, rs1: left, imm: -1 }),
    encode('bne', { rs1: left, imm: -4 * (body.length + 1) }),
    ...[encode('sd', { rs1: base, rs2: sum, imm: result }), fence, ecall],
  ];
}

/** Runs one program on each of two harts, and gives back words of the data. */
async function run(programs: readonly (readonly number[])[], engine: TestHartStart['engine']): Promise<Uint32Array> {
  const map = layout(2, ramBytes);
  const pages = map.totalBytes / wasmPageBytes;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const guest = new GuestMemory(memory.buffer, map);
  const harts = programs.map((program, index) => {
    for (const [i, word] of program.entries()) guest.setU32(codeAt[index]! + i * 4, word);
    const start: TestHartStart = { memory, index, pc: codeAt[index]!, engine };
    const worker = new Worker(new URL(import.meta.url), { workerData: start });
    return new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`hart ${index} ended with ${code}`))));
    });
  });
  await Promise.all(harts);
  return new Uint32Array(guest.bytes(dataAt, 4096).slice().buffer);
}

if (isMainThread) for (const engine of ['interpreter', 'translator'] as const) defineTests(engine);
else runHart(workerData as TestHartStart);

/** Runs a hart until its first ecall. */
function runHart({ memory, index, pc, engine }: TestHartStart): void {
  const hart = createHart({
    ...{
      memory,
      layout: layout(2, ramBytes),
      index,
      engine,
      hotCount: 1000,
      clock: () => 0,
      supervisorCalls: 'monitor',
    },
    mmio: { has: () => false, read: () => 0, write: () => {} },
  });
  hart.reset(pc, 1, index, 0);
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) if (hart.run(1_000_000) === 'sbi') return;
  throw new Error(`hart ${index} goes on for ever at 0x${hart.pc().toString(16)}`);
}

function defineTests(engine: TestHartStart['engine']): void {
  test(`${engine}: two harts add to one word, by AMO and by LR and SC`, async () => {
    const body = [
      ...[li(t0, 1), encode('amoadd.w', { rs1: base, rs2: t0 })],
      ...[encode('addi', { rd: t1, rs1: base, imm: 64 }), encode('lr.d', { rd: t2, rs1: t1 })],
      ...[encode('addi', { rd: t2, rs1: t2, imm: 1 }), encode('sc.d', { rd: t2, rs1: t1, rs2: t2 })],
      encode('bne', { rs1: t2, imm: -12 }),
    ];
    const words = await run([loop(body, 128, rounds), loop(body, 192, rounds)], engine);
    assert.deepEqual([words[0], words[16]], [2 * rounds, 2 * rounds]);
  });

  test(`${engine}: what was stored before a fence is seen after one`, async () => {
    // Message passing: the reader spins for a flag, then the message must be there. `sum` counts what it missed.
    const writer = loop(
      [encode('sd', { rs1: base, rs2: left, imm: 64 }), fence, encode('sd', { rs1: base, rs2: left })],
      128,
      rounds,
    );
    const reader = loop(
      [
        ...[encode('ld', { rd: t0, rs1: base }), fence, encode('ld', { rd: t1, rs1: base, imm: 64 })],
        // Both count down, so the message must not be older, that is greater, than the flag; 0 is before the first.
        encode('beq', { rs1: t0, imm: 12 }),
        ...[encode('sltu', { rd: t2, rs1: t0, rs2: t1 }), encode('add', { rd: sum, rs1: sum, rs2: t2 })],
      ],
      192,
      rounds,
    );
    const words = await run([writer, reader], engine);
    assert.equal(words[16], 1, 'the writer came to its end');
    assert.equal(words[48], 0);
  });

  test(`${engine}: code that another hart wrote runs after fence.i`, async () => {
    // Hart 0 writes "addi t2, zero, n" and asks by a word; hart 1 runs it and answers with what it got.
    const place = 0x400;
    const n = encode('andi', { rd: t0, rs1: left, imm: 1023 });
    const writer = loop(
      [
        ...[n, encode('slli', { rd: t1, rs1: t0, imm: 20 }), encode('addi', { rd: t1, rs1: t1, imm: li(t2, 0) })],
        ...[encode('sw', { rs1: base, rs2: t1, imm: place }), fence, encode('sd', { rs1: base, rs2: left })],
        // Until the answer has come; then compare.
        ...[encode('ld', { rd: t1, rs1: base, imm: 64 }), encode('bne', { rs1: t1, rs2: left, imm: -4 }), fence],
        ...[encode('ld', { rd: t1, rs1: base, imm: 72 }), encode('xor', { rd: t1, rs1: t1, rs2: t0 })],
        ...[encode('sltu', { rd: t1, rs1: 0, rs2: t1 }), encode('add', { rd: sum, rs1: sum, rs2: t1 })],
      ],
      128,
      turns,
    );
    const runner = loop(
      [
        ...[encode('ld', { rd: t1, rs1: base }), encode('bne', { rs1: t1, rs2: left, imm: -4 }), encode('fence.i')],
        ...[encode('jalr', { rd: 1, rs1: base, imm: place }), encode('sd', { rs1: base, rs2: t2, imm: 72 }), fence],
        encode('sd', { rs1: base, rs2: left, imm: 64 }),
      ],
      192,
      turns,
    );
    // What is added to n in its place must be a positive immediate.
    assert.ok(li(t2, 0) < 2048);
    const words = await run([withReturn(writer, place), runner], engine);
    assert.equal(words[32], 0);
  });
}

/** A program that begins by writing a return behind `place`. */
function withReturn(program: readonly number[], place: number): number[] {
  const back = encode('jalr', { rs1: 1 });
  const prefix = [
    ...[encode('lui', { rd: base, imm: dataAt | 0 }), encode('slli', { rd: base, rs1: base, imm: 32 })],
    ...[encode('srli', { rd: base, rs1: base, imm: 32 }), encode('lui', { rd: t0, imm: (back + 0x800) & ~0xfff })],
    ...[encode('addiw', { rd: t0, rs1: t0, imm: ((back + 0x800) & 0xfff) - 0x800 })],
    ...[encode('sw', { rs1: base, rs2: t0, imm: place + 4 }), fence],
  ];
  return [...prefix, ...program];
}
