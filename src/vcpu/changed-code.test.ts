import assert from 'node:assert/strict';
import test from 'node:test';
import { decodedBytes, pageBytes, pageFlag } from '../memory/layout.ts';
import { decodedPage } from './decoded-record.ts';
import { encode } from './encode.ts';
import { codeAt, createTestMachine, dataAt, ecall } from './test-machine.ts';

const addi = (imm: number): number => encode('addi', { rd: 10, imm });

test('a program that changes itself, in the page it runs from and in another', () => {
  const machine = createTestMachine();
  const { hart } = machine;
  for (const target of [codeAt + 0x200, codeAt + 0x1200]) {
    machine.put(target, [addi(1), ecall]);
    machine.call(target);
    assert.equal(hart.x(10), 1n);
    machine.put(codeAt, [encode('sw', { rs1: 5, rs2: 6 }), encode('fence.i'), encode('jalr', { rs1: 5 })]);
    for (let i = 2; i < 200; i++) {
      hart.setX(5, BigInt(target));
      hart.setX(6, BigInt(addi(i)));
      machine.call(codeAt);
      assert.equal(hart.x(10), BigInt(i));
    }
  }
});

test('half an instruction is changed', () => {
  const machine = createTestMachine();
  machine.put(dataAt, [addi(1), ecall]);
  machine.call(dataAt);
  machine.put(codeAt, [encode('sh', { rs1: 5, rs2: 6, imm: 2 }), encode('fence.i'), encode('jalr', { rs1: 5 })]);
  machine.hart.setX(5, BigInt(dataAt));
  machine.hart.setX(6, BigInt(addi(77) >>> 16));
  machine.call(codeAt);
  assert.equal(machine.hart.x(10), 77n);
});

test('a store over itself or over the instruction behind it goes on behind it, once', () => {
  const next = encode('addi', { rd: 8, rs1: 8, imm: 1 });
  for (const name of ['sw', 'amoswap.w']) {
    const machine = createTestMachine();
    machine.put(codeAt, [encode(name, { rs1: 5, rs2: 6 }), addi(1), ecall]);
    machine.hart.setX(5, BigInt(codeAt));
    machine.hart.setX(6, BigInt(next));
    machine.call(codeAt);
    assert.deepEqual([machine.hart.x(10), machine.hart.x(8)], [1n, 0n], name);
  }
  // c.sw x9, 0(x8) over the two bytes behind it and more.
  const machine = createTestMachine();
  const [store, nop, increment] = [0xc004, 0x0001, 0x0385];
  machine.put(codeAt, [store | (nop << 16), nop | (nop << 16), ecall]);
  machine.hart.setX(8, BigInt(codeAt + 2));
  machine.hart.setX(9, BigInt(increment | (nop << 16)));
  machine.call(codeAt);
  assert.equal(machine.hart.x(7), 1n);
});

test('an instruction that lies in two pages', () => {
  const machine = createTestMachine();
  const { hart, guest } = machine;
  const at = dataAt + 0xffe;
  for (const value of [1, 2, 2047]) {
    guest.setU16(at, addi(value) & 0xffff);
    guest.setU16(at + 2, addi(value) >>> 16);
    machine.put(at + 4, [encode('auipc', { rd: 11 }), ecall]);
    machine.call(at);
    assert.deepEqual([hart.x(10), hart.x(11)], [BigInt(value), BigInt(at + 4)]);
  }
  // A jump from there counts from there.
  const jump = encode('jal', { rd: 1, imm: -0x100 });
  guest.setU16(at, jump & 0xffff);
  guest.setU16(at + 2, jump >>> 16);
  machine.put(at - 0x100, [ecall]);
  machine.call(at);
  assert.equal(hart.x(1), BigInt(at + 4));
});

test('a device writes code', () => {
  const machine = createTestMachine();
  for (let i = 1; i < 50; i++) {
    machine.put(dataAt, [addi(i), ecall]);
    machine.call(dataAt);
    assert.equal(machine.hart.x(10), BigInt(i));
  }
});

test('a page that turned into data is written fast again, and is code again when it runs', () => {
  const machine = createTestMachine();
  const { hart, layout } = machine;
  machine.put(dataAt, [addi(1), ecall]);
  machine.call(dataAt);
  const flags = new Uint8Array(machine.memory.buffer, layout.pageFlags + (dataAt - codeAt) / 4096, 1);
  assert.equal(flags[0]! & pageFlag.code, pageFlag.code);
  machine.put(codeAt, [encode('sd', { rs1: 5, imm: 64 }), ecall]);
  hart.setX(5, BigInt(dataAt));
  for (let i = 0; i < 40; i++) machine.call(codeAt);
  assert.equal(flags[0]! & pageFlag.code, 0);
  machine.call(dataAt);
  assert.equal(hart.x(10), 1n);
  assert.equal(flags[0]! & pageFlag.code, pageFlag.code);
});

test('more pages of code than there is room for', () => {
  const machine = createTestMachine({ ramMiB: 16 });
  const { hart, layout, memory } = machine;
  const pages = layout.ramBytes / pageBytes - 256;
  assert.ok(pages > decodedBytes / decodedPage.bytes);
  const flags = new Uint8Array(memory.buffer, layout.pageFlags, layout.ramBytes / pageBytes);
  for (let i = 0; i < pages; i++) machine.put(dataAt + i * pageBytes, [addi(i & 1023), ecall]);
  // A second time over, when places are taken from the oldest.
  for (let i = 0; i < pages * 2; i++) {
    machine.call(dataAt + (i % pages) * pageBytes);
    assert.equal(hart.x(10), BigInt((i % pages) & 1023));
  }
  assert.ok(flags.filter((flag) => flag & pageFlag.code).length < decodedBytes / decodedPage.bytes);
});
