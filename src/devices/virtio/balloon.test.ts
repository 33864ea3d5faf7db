import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageBytes, pageFlag, ramStart } from '../../memory/layout.ts';
import { Balloon, zeroPages } from './balloon.ts';
import { type DeviceUnderTest, machineParts, underTest } from './device-under-test.ts';

const ramBytes = 0x20_0000;

function balloon(features = [1, 2, 5]): DeviceUnderTest & { device: Balloon; runs: number[] } {
  const runs: number[] = [];
  const give = (pages: Uint8Array): void => {
    runs.push(pages.length / pageBytes);
    zeroPages(pages);
  };
  const device = new Balloon({ give, reporting: true, ramBytes });
  return { ...underTest(device, { features }), device, runs };
}

const firstPage = ramStart / pageBytes;
const list = (...pages: number[]): Uint8Array => new Uint8Array(Uint32Array.from(pages, (n) => firstPage + n).buffer);

test('the guest is asked for pages by the configuration, and says what it gave', () => {
  const { device, driver, transport } = balloon();
  device.resize(10 * pageBytes + 5);
  assert.equal(driver.acknowledge(), 2);
  assert.equal(driver.read(0x100), 10);
  const generation = driver.read(0x0fc);
  transport.write(0x104, 4, 7);
  transport.write(0x100, 4, 7);
  assert.equal(device.inflatedBytes, 7 * pageBytes);
  assert.equal(driver.read(0x100), 10);
  device.resize(2 ** 40);
  assert.equal(driver.read(0x100), ramBytes / pageBytes);
  assert.notEqual(driver.read(0x0fc), generation);
});

test('inflated pages are given back in runs, rising or falling, and stale code with them', () => {
  const { device, driver, serve, runs, parts } = balloon();
  const page = (n: number): Uint8Array => parts.memory.bytes(ramStart + n * pageBytes, pageBytes);
  for (const n of [300, 301, 302, 400]) page(n).fill(7);
  const flags = new Uint8Array(parts.buffer);
  flags[parts.layout.pageFlags + 301] = pageFlag.code;
  driver.submit(0, [list(300, 301, 302, 410, 409, 408, 350)]);
  serve();
  assert.deepEqual(runs, [3, 3, 1]);
  assert.equal(device.givenBytes, 7 * pageBytes);
  assert.ok(page(301).every((byte) => byte === 0));
  assert.equal(page(400)[0], 7);
  assert.equal(flags[parts.layout.pageFlags + 301], pageFlag.code | pageFlag.stale);
  driver.submit(1, [list(300)]);
  serve();
  assert.equal(driver.completions(1).length, 1);
  assert.deepEqual(runs, [3, 3, 1]);
});

test('pages that are not RAM need a reset', () => {
  for (const page of [-1, ramBytes / pageBytes, 0xffff_ffff - firstPage]) {
    const { driver, serve, broken, runs } = balloon();
    driver.submit(0, [list(page)]);
    serve();
    assert.match(broken[0]!, /not RAM/);
    assert.deepEqual(runs, []);
  }
});

test('reported pages are given back, whole ones only, whichever queue they come by', () => {
  for (const [features, queue] of [
    [[1, 5], 3],
    [[5], 2],
  ] as const) {
    const { driver, serve, runs } = balloon([...features]);
    const at = ramStart + 0x18_0000;
    const head = driver.place(queue, [
      { address: at, bytes: 4 * pageBytes, flags: 2 },
      { address: at + 0x1_0010, bytes: pageBytes, flags: 2 },
    ]);
    driver.offer(queue, head);
    serve();
    assert.deepEqual(runs, [4]);
    assert.equal(driver.completions(queue).length, 1);
  }
});

function stat(...pairs: [tag: number, value: number][]): Uint8Array {
  const bytes = new Uint8Array(pairs.length * 10);
  const view = new DataView(bytes.buffer);
  for (const [i, [tag, value]] of pairs.entries()) {
    view.setUint16(i * 10, tag, true);
    view.setUint32(i * 10 + 2, value >>> 0, true);
    view.setUint32(i * 10 + 6, Math.floor(value / 2 ** 32), true);
  }
  return bytes;
}

test('statistics are asked for by returning their buffer, also after a load', () => {
  const { device, driver, serve, transport, parts } = balloon();
  device.askStatistics();
  driver.submit(2, [stat([4, 2 ** 33], [5, 77], [99, 1])]);
  serve();
  assert.deepEqual(device.statistics, { freeBytes: 2 ** 33, totalBytes: 77 });
  assert.equal(driver.completions(2).length, 0);
  const state = structuredClone(transport.save());
  const other = new Balloon({ give: zeroPages, reporting: true, ramBytes });
  const two = underTest(other, { features: [1, 2, 5] }, machineParts());
  new Uint8Array(two.parts.buffer).set(new Uint8Array(parts.buffer));
  two.transport.load(state);
  assert.deepEqual(two.transport.save(), state);
  two.serve();
  other.askStatistics();
  assert.equal(two.driver.acknowledge(), 1);
  device.askStatistics();
  assert.equal(driver.completions(2).length, 1);
});
