import assert from 'node:assert/strict';
import test from 'node:test';
import { encode } from './encode.ts';
import type { Instruction } from './instruction.ts';
import { instructions } from './instructions.ts';
import { atomics, conditions, models } from './model.ts';
import { codeAt, createTestMachine, dataAt, ecall } from './test-machine.ts';

const corners = [
  ...[0n, 1n, 2n, 31n, 32n, 33n, 63n, 64n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn],
  ...[0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n],
  ...[
    0xffff_ffff_ffff_ffffn,
    0xffff_ffff_8000_0000n,
    0xffff_ffff_7fff_ffffn,
    0x0123_4567_89ab_cdefn,
    0xff00_00ff_0100_0080n,
  ],
];
const random = generator(20_240_607);
const values = [...corners, ...Array.from({ length: 25 }, random)];
const machine = createTestMachine();
const { hart, guest } = machine;
const [rd, rs1, rs2] = [12, 13, 14];

test('every instruction has its test: here, or with the runtime and the floating point', () => {
  const elsewhere = /^(csr|[sm]ret|wfi|sfence|sinval|ecall|ebreak|fence)/;
  const missing = instructions.filter(
    ({ name, extension }) =>
      !(extension === 'F' || extension === 'D' || elsewhere.test(name) || models.has(name) || name in conditions) &&
      !/^(l[bhwd]u?|s[bhwd]|jalr?|auipc|lr\.[wd]|sc\.[wd]|amo.*)$/.test(name),
  );
  assert.deepEqual(missing, []);
});

test('results in a register', () => {
  for (const row of instructions.filter(({ name }) => models.has(name))) {
    const model = models.get(row.name)!;
    const immediates = immediatesOf(row);
    immediates.forEach((imm, slot) => {
      machine.put(codeAt + slot * 8, [encode(row, { rd, rs1, rs2, imm }), ecall]);
    });
    for (const a of values) {
      for (const b of immediates.length > 1 ? [0n] : values) {
        hart.setX(rs1, a);
        hart.setX(rs2, b);
        for (const [slot, imm] of immediates.entries()) {
          machine.call(codeAt + slot * 8);
          const second = immediates.length > 1 ? BigInt.asUintN(64, BigInt(imm)) : b;
          assert.equal(unsigned(hart.x(rd)), unsigned(model(a, second)), `${row.name} ${a} ${second}`);
        }
      }
    }
  }
});

test('x0 stays 0 and is the destination of nothing', () => {
  const rows = instructions.filter(({ name }) => models.has(name));
  machine.put(codeAt, [
    ...rows.map((row) => encode(row, { rd: 0, rs1, rs2, imm: 1 })),
    encode('add', { rd: 10 }),
    ecall,
  ]);
  hart.setX(rs1, -1n);
  hart.setX(rs2, 3n);
  machine.call(codeAt);
  assert.equal(hart.x(0), 0n);
  assert.equal(hart.x(10), 0n);
});

test('branches', () => {
  for (const [name, holds] of Object.entries(conditions)) {
    // Not taken: a0 = 1. Taken: over it, back from behind, or from the end of the page on to the next.
    const jumpAt = codeAt + 0x400;
    machine.put(jumpAt - 8, [encode('addi', { rd: 10, imm: 3 }), ecall, encode(name, { rs1, rs2, imm: -8 })]);
    machine.put(jumpAt + 4, [encode('addi', { rd: 10, imm: 1 }), ecall]);
    const farAt = codeAt + 0x1ffc;
    machine.put(farAt, [encode(name, { rs1, rs2, imm: 12 }), encode('addi', { rd: 10, imm: 1 }), ecall]);
    machine.put(farAt + 12, [encode('addi', { rd: 10, imm: 3 }), ecall]);
    for (const a of values) {
      for (const b of [a, ...values]) {
        hart.setX(rs1, a);
        hart.setX(rs2, b);
        for (const at of [jumpAt, farAt]) {
          machine.call(at);
          assert.equal(hart.x(10), holds(a, b) ? 3n : 1n, `${name} ${a} ${b}`);
        }
      }
    }
  }
});

test('jumps write the address behind them and clear the lowest bit of a target', () => {
  machine.put(codeAt, [encode('jal', { rd: 1, imm: 0x1004 })]);
  machine.put(codeAt + 0x1004, [encode('jalr', { rd: 5, rs1: 6, imm: -3 })]);
  machine.put(codeAt + 0x2000, [encode('auipc', { rd: 7, imm: 0x7fff_f000 }), ecall]);
  hart.setX(6, BigInt(codeAt + 0x2004));
  machine.call(codeAt);
  assert.equal(hart.x(1), BigInt(codeAt + 4));
  assert.equal(hart.x(5), BigInt(codeAt + 0x1008));
  assert.equal(hart.x(7), BigInt(codeAt + 0x2000) + 0x7fff_f000n);
  assert.equal(hart.pc(), BigInt(codeAt + 0x2004));
});

test('a jump to its own target register', () => {
  machine.put(codeAt, [encode('jalr', { rd: 1, rs1: 1, imm: 8 })]);
  machine.put(codeAt + 0x108, [ecall]);
  hart.setX(1, BigInt(codeAt + 0x100));
  machine.call(codeAt);
  assert.equal(hart.x(1), BigInt(codeAt + 4));
});

test('loads and stores, also misaligned and over the end of a page', () => {
  const bytes = Uint8Array.from({ length: 64 }, () => Number(random() & 0xffn));
  for (const row of instructions.filter(({ name }) => /^(l[bhwd]u?|s[bhwd])$/.test(name))) {
    const size = { b: 1, h: 2, w: 4, d: 8 }[row.name[1]!]!;
    machine.put(codeAt, [encode(row, { rd, rs1, rs2, imm: -16 }), ecall]);
    for (const place of [dataAt, dataAt + 0xfe0]) {
      for (let at = 16; at < 40; at++) {
        guest.set(place, bytes);
        const value = random();
        hart.setX(rs1, BigInt(place + at + 16));
        hart.setX(rs2, value);
        machine.call(codeAt);
        const expected = bytes.slice();
        if (row.name.startsWith('s')) {
          for (let i = 0; i < size; i++) expected[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
        } else {
          const word = [...bytes.subarray(at, at + size)]
            .reverse()
            .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
          const loaded = row.name.endsWith('u') ? word : BigInt.asIntN(size * 8, word);
          assert.equal(hart.x(rd), BigInt.asIntN(64, loaded), `${row.name} at ${at}`);
        }
        assert.deepEqual(guest.bytes(place, 64), expected, `${row.name} at ${at}`);
      }
    }
  }
});

test('atomic operations', () => {
  for (const row of instructions.filter(({ name }) => name.startsWith('amo'))) {
    const [name, width] = row.name.split('.');
    const bits = width === 'w' ? 32 : 64;
    const extend = (value: bigint): bigint => unsigned(BigInt.asIntN(bits, value));
    machine.put(codeAt, [encode(row, { rd, rs1, rs2 }), ecall]);
    hart.setX(rs1, BigInt(dataAt + 8));
    const words = new DataView(guest.buffer, guest.bytes(dataAt, 8).byteOffset, 24);
    for (const old of values) {
      for (const operand of values) {
        words.setBigUint64(8, old, true);
        hart.setX(rs2, operand);
        machine.call(codeAt);
        const text = `${row.name} ${old} ${operand}`;
        assert.equal(unsigned(hart.x(rd)), extend(old), text);
        const after = BigInt.asUintN(bits, atomics[name!]!(extend(old), extend(operand)));
        assert.equal(words.getBigUint64(8, true), bits === 64 ? after : (old & ~0xffff_ffffn) | after, text);
      }
    }
  }
});

test('a conditional store succeeds once, at its own address, while nothing has changed', () => {
  const lr = encode('lr.d', { rd: 10, rs1 });
  const sc = (to: number, at = rs1): number => encode('sc.d', { rd: to, rs1: at, rs2 });
  const view = new DataView(guest.buffer, guest.bytes(dataAt, 16).byteOffset, 16);
  const cases: readonly [text: string, code: readonly number[], results: readonly bigint[], memory: bigint][] = [
    ['paired', [lr, sc(11), sc(15)], [0n, 1n], 7n],
    ['elsewhere', [lr, sc(11, 16)], [1n, 0n], 5n],
    ['changed in between', [lr, encode('sd', { rs1, rs2: 17 }), sc(11)], [1n, 0n], 9n],
    ['without a reservation', [sc(11)], [1n, 0n], 5n],
  ];
  for (const [text, code, results, memory] of cases) {
    machine.put(codeAt, [...code, ecall]);
    view.setBigUint64(0, 5n, true);
    hart.setX(15, 0n);
    hart.setX(rs1, BigInt(dataAt));
    hart.setX(16, BigInt(dataAt + 8));
    hart.setX(17, 9n);
    hart.setX(rs2, 7n);
    machine.call(codeAt);
    assert.deepEqual([hart.x(11), hart.x(15)], results, text);
    assert.equal(view.getBigUint64(0, true), memory, text);
  }
});

test('words of conditional stores compare and store 32 bits', () => {
  machine.put(codeAt, [encode('lr.w', { rd: 10, rs1 }), encode('sc.w', { rd: 11, rs1, rs2 }), ecall]);
  const view = new DataView(guest.buffer, guest.bytes(dataAt, 8).byteOffset, 8);
  view.setBigUint64(0, 0x1111_1111_8000_0001n, true);
  hart.setX(rs1, BigInt(dataAt));
  hart.setX(rs2, 0x5555_5555_2222_2222n);
  machine.call(codeAt);
  assert.deepEqual([hart.x(10), hart.x(11)], [-0x7fff_ffffn, 0n]);
  assert.equal(view.getBigUint64(0, true), 0x1111_1111_2222_2222n);
});

function immediatesOf(row: Instruction): number[] {
  if (row.format === 'shift6') return [0, 1, 31, 32, 63, 17];
  if (row.format === 'shift5') return [0, 1, 31, 16, 7];
  if (row.format === 'I') return [0, 1, -1, 2047, -2048, 0x555];
  if (row.format === 'U') return [0, 0x1000, 0x7fff_f000, -0x8000_0000, -0x1000];
  return [0];
}

function unsigned(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

/** Numbers of all magnitudes, the same in every run. */
function generator(seed: number): () => bigint {
  let at = seed;
  const next = (): bigint => {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0;
    return BigInt(at);
  };
  return () => unsigned(((next() << 32n) | next()) >> (next() >> 26n));
}
