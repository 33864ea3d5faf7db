import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtioSlot } from '../address-map.ts';
import { underTest } from './device-under-test.ts';
import { Entropy } from './entropy.ts';

function entropy(): ReturnType<typeof underTest> {
  let next = 0;
  return underTest(new Entropy((bytes) => Uint8Array.from({ length: bytes }, () => next++)));
}

test('the registers of section 4.2.2 say what it is', () => {
  const { driver, transport } = entropy();
  assert.deepEqual(
    [0x000, 0x004, 0x008].map((at) => driver.read(at)),
    [0x7472_6976, 2, 4],
  );
  assert.equal(driver.read(0x034), 8);
  assert.equal(driver.read(0x044), 1);
  driver.write(0x030, 1);
  assert.equal(driver.read(0x034), 0);
  assert.equal(driver.read(0x0b0), 0xffff_ffff);
  assert.equal(transport.read(0x000, 1), 0);
  assert.equal(driver.read(0x100), 0);
});

test('features that are not offered, or VERSION_1 left out, are not accepted', () => {
  for (const [low, high, ok] of [
    [0, 1, 8],
    [0, 0, 0],
    [1, 1, 0],
    [0, 3, 0],
    [0x3000_0000, 1, 8],
  ] as const) {
    const { driver } = entropy();
    driver.write(0x070, 0);
    driver.write(0x070, 3);
    for (const [word, value] of [low, high].entries()) {
      driver.write(0x024, word);
      driver.write(0x020, value);
    }
    driver.write(0x024, 7);
    driver.write(0x020, 0xff);
    driver.write(0x070, 11);
    assert.equal(driver.read(0x070) & 8, ok);
  }
});

test('a reset forgets status, queues, interrupt and doorbell', () => {
  const { driver, parts, serve } = entropy();
  driver.submit(0, [], [4]);
  serve();
  const pending = 1 << virtioSlot(0).interrupt;
  assert.equal(parts.plic.read(0x1000), pending);
  driver.submit(0, [], [4]);
  driver.write(0x070, 0);
  assert.deepEqual(
    [0x070, 0x060, 0x044].map((at) => driver.read(at)),
    [0, 0, 0],
  );
  assert.equal(parts.port.takeQueues(0), 0);
});

test('nothing is taken before DRIVER_OK', () => {
  const { driver, serve } = entropy();
  driver.write(0x070, 0);
  driver.write(0x070, 11);
  driver.setUp(0);
  driver.submit(0, [], [4]);
  driver.write(0x050, 0);
  serve();
  assert.equal(driver.completions(0).length, 0);
});

test('entropy: buffers are filled, as large as they are', () => {
  const { driver, serve } = entropy();
  driver.submit(0, [], [3, 2]);
  driver.submit(0, [], [0x1_0100]);
  driver.submit(0, [Uint8Array.of(1)], []);
  serve();
  const [first, second, third] = driver.completions(0);
  assert.deepEqual([...first!.written], [0, 1, 2, 3, 4]);
  assert.equal(second!.writtenBytes, 0x1_0000);
  assert.equal(third!.writtenBytes, 0);
});

test('a device that throws needs a reset, and no more', () => {
  const { driver, serve, broken } = underTest(
    new Entropy(() => {
      throw new Error('no source');
    }),
  );
  driver.submit(0, [], [3]);
  serve();
  assert.deepEqual(broken, ['Error: no source']);
  assert.equal(driver.read(0x070) & 0x40, 0x40);
});
