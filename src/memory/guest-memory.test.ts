import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory, OutsideRam } from './guest-memory.ts';
import { control, hartWord, layout, pageBytes, pageFlag, ramStart } from './layout.ts';

const ramBytes = 0x10_0000;
const map = layout(2, ramBytes);
const buffer = new WebAssembly.Memory({
  initial: map.totalBytes / 0x1_0000,
  maximum: map.totalBytes / 0x1_0000,
  shared: true,
}).buffer;
const memory = new GuestMemory(buffer, map);

test('only RAM can be reached, at any address and length', () => {
  const cases: [address: number, bytes: number, inside: boolean][] = [
    [ramStart, ramBytes, true],
    [ramStart, 0, true],
    [ramStart + ramBytes, 0, true],
    [ramStart + ramBytes, 1, false],
    [ramStart - 1, 2, false],
    [ramStart + ramBytes - 4, 8, false],
    [0, 8, false],
    [2 ** 64, 1, false],
    [ramStart, -1, false],
    [ramStart, 2 ** 53, false],
    [Number.NaN, 1, false],
  ];
  for (const [address, bytes, inside] of cases) {
    assert.equal(memory.contains(address, bytes), inside, `${address} ${bytes}`);
    if (inside) assert.equal(memory.bytes(address, bytes).length, bytes);
    else assert.throws(() => memory.bytes(address, bytes), OutsideRam);
  }
});

test('words are little-endian, and 64 bits hold addresses', () => {
  memory.setU64(ramStart + 4, 0x1_2345_6789);
  assert.deepEqual([...memory.bytes(ramStart + 4, 8)], [0x89, 0x67, 0x45, 0x23, 1, 0, 0, 0]);
  assert.equal(memory.u64(ramStart + 4), 0x1_2345_6789);
  assert.equal(memory.u32(ramStart + 6), 0x1_2345);
  memory.storeU16(ramStart + 4, 0xfffe);
  assert.equal(memory.loadU16(ramStart + 4), memory.u16(ramStart + 4));
});

test('a write to a page with decoded instructions makes it stale, and every hart look', () => {
  const bytes = new Uint8Array(buffer);
  const words = new Int32Array(buffer);
  const flag = map.pageFlags + 3;
  const attention = (hart: number): number => words[(map.hart(hart) + hartWord.attention) >> 2]!;
  bytes[flag] = pageFlag.code;
  memory.setU32(ramStart + 3 * pageBytes - 4, 1);
  memory.set(ramStart + 4 * pageBytes, Uint8Array.of(1));
  assert.deepEqual([bytes[flag], attention(0)], [pageFlag.code, 0]);
  memory.written(ramStart + 3 * pageBytes - 1, 0);
  assert.equal(attention(0), 0);
  memory.set(ramStart + 3 * pageBytes - 2, Uint8Array.of(1, 2, 3));
  assert.equal(bytes[flag], pageFlag.code | pageFlag.stale);
  assert.deepEqual([attention(0), attention(1), words[control.staleCode >> 2]], [1, 1, 1]);
});
