import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hartWord } from '../memory/layout.ts';
import { interrupt, Signals } from '../memory/signals.ts';
import { Plic } from './plic.ts';
import { machineParts } from './virtio/device-under-test.ts';

const enable = (context: number): number => 0x2000 + context * 0x80;
const threshold = (context: number): number => 0x20_0000 + context * 0x1000;
const claim = (context: number): number => threshold(context) + 4;

function parts(harts = 2): { plic: Plic; pins: (hart: number) => number; again: () => Plic } {
  const { plic, buffer, layout } = machineParts(harts);
  const words = new Int32Array(buffer);
  return {
    plic,
    pins: (hart) => Atomics.load(words, (layout.hart(hart) + hartWord.pending) >> 2),
    again: () => {
      const other = machineParts(harts);
      return new Plic(other.buffer, other.layout, new Signals(other.buffer, other.layout));
    },
  };
}

test('an enabled source above the threshold sets the pin of its contexts, and a claim takes it away', () => {
  const { plic, pins } = parts();
  plic.write(4 * 5, 3);
  plic.write(enable(3), 1 << 5);
  plic.line(5).set(true);
  assert.equal(pins(1), interrupt.seip);
  assert.equal(pins(0), 0);
  assert.equal(plic.read(0x1000), 1 << 5);
  assert.equal(plic.read(claim(3)), 5);
  assert.equal(pins(1), 0);
  assert.equal(plic.read(claim(3)), 0);
  assert.equal(plic.read(0x1000), 0);
});

test('the highest priority is claimed first, the lowest number among equals', () => {
  const { plic } = parts();
  for (const [source, priority] of [
    [7, 2],
    [3, 2],
    [9, 6],
    [12, 0],
    [1, 1],
  ] as const) {
    plic.write(4 * source, priority);
    plic.setLevel(source, true);
  }
  plic.write(enable(0), 0xffff_ffff);
  assert.equal(plic.read(enable(0)), 0xffff_fffe);
  assert.deepEqual(
    Array.from({ length: 5 }, () => plic.read(claim(0))),
    [9, 3, 7, 1, 0],
  );
});

test('a threshold masks the pin but not the claim', () => {
  const { plic, pins } = parts();
  plic.write(4 * 2, 4);
  plic.write(enable(0), 1 << 2);
  plic.write(threshold(0), 4);
  plic.setLevel(2, true);
  assert.equal(pins(0), 0);
  plic.write(threshold(0), 3);
  assert.equal(pins(0), interrupt.meip);
  plic.write(threshold(0), 7);
  assert.equal(pins(0), 0);
  assert.equal(plic.read(claim(0)), 2);
});

test('a claimed source pends again at its completion only while its line is high', () => {
  const { plic, pins } = parts();
  plic.write(4 * 10, 1);
  plic.write(enable(1), 1 << 10);
  for (const [still, pin] of [
    [true, interrupt.seip],
    [false, 0],
  ] as const) {
    plic.setLevel(10, true);
    assert.equal(plic.read(claim(1)), 10);
    plic.setLevel(10, false);
    plic.setLevel(10, still);
    assert.equal(pins(0), 0, 'the gateway waits for the completion');
    plic.write(claim(1), 10);
    assert.equal(pins(0), pin);
    plic.setLevel(10, false);
    if (still) assert.equal(plic.read(claim(1)), 10);
    plic.write(claim(1), 10);
  }
});

test('a completion by a context that the source is not enabled for is ignored', () => {
  const { plic } = parts();
  plic.write(4 * 10, 1);
  plic.write(enable(1), 1 << 10);
  plic.setLevel(10, true);
  plic.read(claim(1));
  plic.write(claim(0), 10);
  plic.write(claim(1), 0);
  plic.write(claim(1), 99);
  assert.equal(plic.read(0x1000), 0);
  plic.write(claim(1), 10);
  assert.equal(plic.read(0x1000), 1 << 10);
});

test('registers that do not exist read as 0 and take nothing', () => {
  const { plic, pins } = parts();
  for (const offset of [0, 4 * 32, 0xffc, 0x1004, enable(4), enable(0) + 4, threshold(4), claim(4), threshold(0) + 8]) {
    plic.write(offset, 0xffff_ffff);
    assert.equal(plic.read(offset), 0, `0x${offset.toString(16)}`);
  }
  plic.write(4, 0xff);
  assert.equal(plic.read(4), 7);
  assert.equal(pins(0), 0);
});

test('save and load in the middle of a claim', () => {
  const { plic, again } = parts();
  plic.write(4 * 3, 2);
  plic.write(4 * 4, 1);
  plic.write(enable(1), 0x18);
  plic.setLevel(3, true);
  plic.setLevel(4, true);
  assert.equal(plic.read(claim(1)), 3);
  const other = again();
  other.load(structuredClone(plic.save()));
  assert.deepEqual(other.save(), plic.save());
  assert.equal(other.read(claim(1)), 4);
  other.write(claim(1), 3);
  assert.equal(other.read(claim(1)), 3);
});
