// Translated code against the interpreter where control flow, memory or time are unusual.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ramStart } from '../memory/layout.ts';
import { encode } from './encode.ts';
import { RegionCode } from './region-code.ts';
import {
  assemble,
  end,
  hotRounds,
  type Line,
  type Machine,
  machine,
  place,
  randomNumbers,
  registers,
  set,
} from './translator-pair.ts';

let regions = 0;
const reset = RegionCode.prototype.reset;
RegionCode.prototype.reset = function (usesFloat: boolean): void {
  regions++;
  reset.call(this, usesFloat);
};

/** Runs a program placed by `prepare` with both engines; both ends must be the same. */
function both(prepare: (one: Machine) => void, expected: 'translated' | 'either' = 'translated'): Machine {
  const before = regions;
  const [interpreted, translated] = (['interpreter', 'translator'] as const).map((engine) => {
    const one = machine(engine);
    prepare(one);
    one.finish();
    return one;
  }) as [Machine, Machine];
  if (expected === 'translated') assert.ok(regions > before, 'nothing was translated');
  assert.deepEqual(registers(translated), registers(interpreted));
  return translated;
}

test('random control flow: loops within loops, ways into their middle, calls and jumps through registers', () => {
  for (let seed = 1; seed <= 8; seed++) both((one) => place(one, 0, randomProgram(seed)));
});

/** Blocks that go on to random blocks until x5 is used up; x28 holds the address of the first. */
function randomProgram(seed: number): Line[] {
  const random = randomNumbers(seed);
  const count = 4 + (random() % 20);
  const block = (): string => `block${random() % count}`;
  const scratch = (): number => 10 + (random() % 8);
  const lines: Line[] = [
    ...set(5, 25_000),
    { name: 'auipc', rd: 28, imm: 0 },
    { name: 'addi', rd: 1, rs1: 28, imm: 0 },
  ];
  const first = lines.length - 2;
  for (let i = 0; i < count; i++) {
    lines.push(
      { label: `block${i}` },
      { name: 'addi', rd: 5, rs1: 5, imm: -1 },
      { name: 'blt', rs1: 5, rs2: 0, to: 'end' },
    );
    for (let k = random() % 5; k > 0; k--) {
      const name = ['add', 'sub', 'xor', 'mulhu', 'sltu', 'addw', 'sraw', 'rol'][random() % 8]!;
      lines.push({ name, rd: scratch(), rs1: scratch(), rs2: scratch() });
      lines.push({ name: 'addi', rd: scratch(), rs1: scratch(), imm: random() & 0x7ff });
    }
    const branch = ['beq', 'bne', 'blt', 'bgeu'][random() % 4]!;
    if (random() % 3 > 0) lines.push({ name: branch, rs1: scratch(), rs2: scratch(), to: block() });
    const way = random() % 8;
    if (way < 3) lines.push({ name: 'jal', rd: 0, to: block() });
    else if (way < 5) lines.push({ name: 'jal', rd: 1, to: block() });
    else if (way === 5) lines.push({ name: 'jalr', rd: 0, rs1: 1, imm: 0 });
    else if (way === 6) {
      const to = block();
      lines.push(
        { label: `at${i}` },
        { name: 'addi', rd: 29, rs1: 28, to },
        { name: 'jalr', rd: random() & 1, rs1: 29, imm: 0 },
      );
    }
  }
  lines.push({ label: 'end' }, ...end);
  return withAddresses(lines, first);
}

/** An `addi` with a label gets the label's distance from the instruction number `origin`. */
function withAddresses(lines: Line[], origin: number): Line[] {
  const places = new Map<string, number>();
  let at = 0;
  for (const line of lines) {
    if ('label' in line) places.set(line.label, at);
    else at++;
  }
  return lines.map((line) => {
    if ('label' in line || line.name !== 'addi' || line.to === undefined) return line;
    const { to, ...rest } = line;
    return { ...rest, imm: 4 * (places.get(to)! - origin) };
  });
}

test('a loop that rewrites an instruction of its own page, with fence.i', () => {
  const patched = encode('addi', { rd: 10, rs1: 10, imm: 100 });
  const one = both((each) =>
    place(each, 0, [
      { name: 'auipc', rd: 6, imm: 0 },
      ...set(5, 3 * hotRounds),
      ...set(7, patched | 0),
      ...set(8, hotRounds),
      { label: 'loop' },
      { name: 'addi', rd: 10, rs1: 10, imm: 1 },
      { name: 'addi', rd: 5, rs1: 5, imm: -1 },
      { name: 'bne', rs1: 5, rs2: 8, to: 'on' },
      { name: 'sw', rs1: 6, rs2: 7, imm: 4 * 7 },
      { name: 'fence.i' },
      { label: 'on' },
      { name: 'bne', rs1: 5, rs2: 0, to: 'loop' },
      ...end,
    ]),
  );
  assert.equal(one.hart.x(10), BigInt(2 * hotRounds + 100 * hotRounds));
});

test('a loop that stores into its own page, beside its instructions', () => {
  const program = (each: Machine): void =>
    place(each, 0, [
      { name: 'auipc', rd: 6, imm: 0 },
      ...set(5, 3 * hotRounds),
      { label: 'loop' },
      { name: 'sd', rs1: 6, rs2: 5, imm: 0x700 },
      { name: 'ld', rd: 7, rs1: 6, imm: 0x700 },
      { name: 'add', rd: 10, rs1: 10, rs2: 7 },
      { name: 'addi', rd: 5, rs1: 5, imm: -1 },
      { name: 'bne', rs1: 5, rs2: 0, to: 'loop' },
      ...end,
    ]);
  // Such a page is taken for data again after some stores, and may never become hot.
  const one = both(program, 'either');
  const n = BigInt(3 * hotRounds);
  assert.equal(one.hart.x(10), (n * (n + 1n)) / 2n);
});

test('one physical page run at two virtual addresses, with accesses across the end of a page', () => {
  const code = 0x10_0000;
  const root = 0x20_0000;
  const data = 0x30_0000;
  const readWriteExecute = 0xcf;
  both((one) => {
    // x10 sums how far the code finds itself from x6, its caller's page.
    place(one, code, [
      ...set(5, 2 * hotRounds),
      { label: 'loop' },
      { name: 'auipc', rd: 7, imm: 0 },
      { name: 'ld', rd: 8, rs1: 7, imm: 0x400 },
      { name: 'sub', rd: 7, rs1: 7, rs2: 6 },
      { name: 'add', rd: 10, rs1: 10, rs2: 7 },
      { name: 'add', rd: 10, rs1: 10, rs2: 8 },
      // What lies behind the page by its virtual address is not what does by its physical one.
      { name: 'ld', rd: 8, rs1: 12, imm: -4 },
      { name: 'add', rd: 10, rs1: 10, rs2: 8 },
      { name: 'sw', rs1: 12, rs2: 10, imm: -2 },
      { name: 'addi', rd: 5, rs1: 5, imm: -1 },
      { name: 'bne', rs1: 5, rs2: 0, to: 'loop' },
      { name: 'jalr', rd: 0, rs1: 1, imm: 0 },
    ]);
    for (let i = 0; i < 3; i++) one.view.setUint32(data + 0x1000 * i, 0x1111 * (i + 1), true);
    const callAt = (page: number): Line[] => [...set(9, page), { name: 'jalr', rd: 1, rs1: 9, imm: 0 }];
    place(one, 0, [
      ...set(12, 0x3000_2000),
      ...callAt(0x3000_0000),
      ...callAt(0x3123_4000),
      ...callAt(0x3000_0000),
      { name: 'sd', rs1: 0, rs2: 10, imm: 0 },
    ]);
    const table = (at: number, entry: number, physical: number, flags: number): void => {
      one.view.setBigUint64(at + 8 * entry, ((BigInt(ramStart + physical) >> 12n) << 10n) | BigInt(flags), true);
    };
    table(root, 2, 0, readWriteExecute);
    table(root, 0, root + 0x1000, 1);
    table(root + 0x1000, 0x3000_0000 >>> 21, root + 0x2000, 1);
    table(root + 0x1000, 0x3123_4000 >>> 21, root + 0x3000, 1);
    table(root + 0x2000, 0, code, readWriteExecute);
    table(root + 0x2000, 1, data, readWriteExecute);
    table(root + 0x2000, 2, data + 0x2000, readWriteExecute);
    table(root + 0x3000, 0x34, code, readWriteExecute);
    one.hart.setCsr('satp', (8n << 60n) | (BigInt(ramStart + root) >> 12n));
    one.hart.setCsr('pmpaddr0', 0x3f_ffff_ffff_ffffn);
    one.hart.setCsr('pmpcfg0', 0x1fn);
    // The program's last store faults, as page 0 is not mapped: the handler ends it in M mode.
    place(one, 0x800, end);
    one.hart.setCsr('mtvec', BigInt(ramStart + 0x800));
    one.hart.setCsr('mepc', BigInt(ramStart));
    one.hart.setCsr('mstatus', one.hart.csr('mstatus') | 0x800n);
    one.hart.setPc(BigInt(ramStart + 0xc00));
    place(one, 0xc00, [{ name: 'mret' }]);
  });
});

test('a budget is kept to within a region, and no instruction is counted twice', () => {
  const one = machine('translator');
  place(one, 0, [
    ...set(5, 100_000),
    { label: 'loop' },
    { name: 'addi', rd: 5, rs1: 5, imm: -1 },
    { name: 'bne', rs1: 5, rs2: 0, to: 'loop' },
    ...end,
  ]);
  const random = randomNumbers(3);
  for (let before = 0n; one.hart.x(5) !== 0n || before === 0n; ) {
    const asked = 1 + (random() % 3000);
    const why = one.hart.run(asked);
    const now = one.hart.csr('instret');
    assert.ok(now - before <= BigInt(asked) + 512n, `${now - before} instructions of ${asked}`);
    if (why === 'budget') assert.ok(now - before >= BigInt(asked));
    before = now;
    if (why === 'attention') break;
  }
  assert.equal(one.hart.csr('instret'), BigInt(assemble([...set(5, 0), ...end]).length + 200_000));
});
