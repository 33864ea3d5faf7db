import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ramStart } from '../../memory/layout.ts';
import type { DeviceState } from '../device.ts';
import type { VirtioDevice, VirtioTransport } from './device.ts';
import { machineParts, underTest } from './device-under-test.ts';
import type { DriverOptions } from './guest-driver.ts';

/** Answers every request with its readable bytes, reversed. */
class Mirror implements VirtioDevice {
  readonly name = 'mirror';
  readonly id = 42;
  readonly features: readonly number[] = [];
  readonly queueSizes: readonly number[] = [16];
  readonly config = new Uint8Array(0);
  transport!: VirtioTransport;
  served = 0;
  /** Chains left unanswered on purpose. */
  hold = 0;

  attach(transport: VirtioTransport): void {
    this.transport = transport;
  }

  notify(): void {
    const queue = this.transport.queue(0);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      this.served++;
      if (this.hold-- > 0) continue;
      queue.push(chain, chain.write(0, chain.read(0, 4096).reverse()));
    }
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

const ways: DriverOptions[] = [
  { eventIndex: true, indirect: true },
  { eventIndex: true, indirect: false },
  { eventIndex: false, indirect: true },
  { eventIndex: false, indirect: false },
];

for (const way of ways) {
  test(`requests of every shape come back ${JSON.stringify(way)}`, () => {
    const { driver, serve, broken } = underTest(new Mirror(), way);
    for (let round = 0; round < 200; round++) {
      const parts = [Uint8Array.of(round & 255), Uint8Array.of(1, 2, 3), new Uint8Array(0)].slice(0, (round % 3) + 1);
      driver.submit(0, parts, round % 2 === 0 ? [16] : [1, 1, 16]);
      if (round % 3 === 0) driver.submit(0, [Uint8Array.of(9, 8)], [2]);
      serve();
      const done = driver.completions(0);
      assert.deepEqual([...done[0]!.written], parts.flatMap((part) => [...part]).reverse());
      if (round % 3 === 0) assert.deepEqual([...done[1]!.written], [8, 9]);
    }
    assert.deepEqual(broken, []);
  });
}

test('with an event index a driver that is behind is notified and interrupted once for many requests', () => {
  const { driver, serve, parts, transport } = underTest(new Mirror());
  let notifications = 0;
  for (let i = 0; i < 8; i++) {
    driver.submit(0, [Uint8Array.of(i)], [1]);
    if (parts.port.takeSlots() !== 0) notifications++;
  }
  assert.equal(notifications, 1);
  transport.notify(parts.port.takeQueues(0));
  assert.equal(driver.acknowledge(), 1);
  assert.equal(driver.completions(0).length, 8);
  // The driver did not ask for the next interrupt before the last one's completions.
  driver.submit(0, [Uint8Array.of(1)], [1]);
  serve();
  assert.equal(driver.acknowledge(), 1);
  driver.submit(0, [Uint8Array.of(2)], [1]);
  serve();
  assert.equal(driver.acknowledge(), 0, 'no interrupt before the driver has looked');
});

test('a driver without event index says when it wants no interrupt', () => {
  const { driver, serve, parts } = underTest(new Mirror(), { eventIndex: false });
  parts.memory.setU16(driver.ring(0).available, 1);
  driver.submit(0, [Uint8Array.of(1)], [1]);
  serve();
  assert.equal(driver.acknowledge(), 0);
  parts.memory.setU16(driver.ring(0).available, 0);
  driver.submit(0, [Uint8Array.of(1)], [1]);
  serve();
  assert.equal(driver.acknowledge(), 1);
});

const ramEnd = ramStart + 0x20_0000;
const hostile: [string, (s: ReturnType<typeof underTest>) => void, RegExp][] = [
  [
    'a loop',
    (s) =>
      chain(s, [
        [ramStart, 8, 1, 1],
        [ramStart, 8, 1, 0],
      ]),
    /chain without end/,
  ],
  ['a next beyond the ring', (s) => chain(s, [[ramStart, 8, 1, 16]]), /descriptor 16 of 16/],
  ['a head beyond the ring', (s) => s.driver.offer(0, 700), /descriptor 700 of 16/],
  ['a buffer below RAM', (s) => chain(s, [[0x1000, 8, 0, 0]]), /not in RAM/],
  ['a buffer over the end of RAM', (s) => chain(s, [[ramEnd - 4, 8, 0, 0]]), /not in RAM/],
  ['an address near 2^64', (s) => chain(s, [[2 ** 64 - 2 ** 12, 0xffff_ffff, 2, 0]]), /not in RAM/],
  ['a length of 2^32 - 1', (s) => chain(s, [[ramStart, 0xffff_ffff, 2, 0]]), /not in RAM/],
  [
    'readable after writable',
    (s) =>
      chain(s, [
        [ramStart, 8, 3, 1],
        [ramStart, 8, 0, 0],
      ]),
    /after a writable/,
  ],
  [
    'more than RAM in all',
    (s) =>
      chain(
        s,
        [0, 1, 2].map((i) => [ramStart, 0x10_0000, i < 2 ? 1 : 0, i + 1]),
      ),
    /longer than RAM/,
  ],
  ['an indirect table in an indirect table', (s) => indirect(s, [[ramStart, 16, 4, 0]], 16), /out of place/],
  ['an indirect table of no whole descriptors', (s) => indirect(s, [[ramStart, 8, 0, 0]], 24), /24 bytes/],
  ['an empty indirect table', (s) => indirect(s, [], 0), /0 bytes/],
  ['an indirect table with a next', (s) => chain(s, [[ramStart, 16, 5, 1]]), /out of place/],
  ['an indirect table outside of RAM', (s) => chain(s, [[ramEnd, 16, 4, 0]]), /table not in RAM/],
  ['an indirect table that loops', (s) => indirect(s, [[ramStart, 1, 1, 0]], 16), /without end/],
  [
    'an available index far ahead',
    (s) => {
      s.parts.memory.storeU16(s.driver.ring(0).available + 2, 300);
      s.driver.write(0x50, 0);
    },
    /more requests than entries/,
  ],
];

type Row = [address: number, bytes: number, flags: number, next: number];

function chain(s: ReturnType<typeof underTest>, rows: Row[]): void {
  for (const [i, [address, bytes, flags, next]] of rows.entries()) {
    s.driver.describe(s.driver.ring(0).descriptors, i, { address, bytes, flags }, next);
  }
  s.driver.offer(0, 0);
}

function indirect(s: ReturnType<typeof underTest>, rows: Row[], bytes: number): void {
  const table = s.driver.allocate(64);
  for (const [i, [address, length, flags, next]] of rows.entries()) {
    s.driver.describe(table, i, { address, bytes: length, flags }, next);
  }
  chain(s, [[table, bytes, 4, 0]]);
}

for (const [name, make, why] of hostile) {
  test(`${name} needs a reset, and after it all is well`, () => {
    const device = new Mirror();
    const s = underTest(device);
    make(s);
    s.serve();
    assert.equal(device.served, 0);
    assert.equal(s.broken.length, 1);
    assert.match(s.broken[0]!, why);
    assert.equal(s.driver.read(0x070) & 0x40, 0x40);
    assert.equal(s.driver.acknowledge(), 2);
    s.driver.submit(0, [Uint8Array.of(1)], [1]);
    s.driver.write(0x50, 0);
    s.serve();
    assert.equal(device.served, 0);
    assert.equal(s.driver.start(1), 15);
    s.driver.submit(0, [Uint8Array.of(4, 5)], [2]);
    s.serve();
    assert.deepEqual([...s.driver.completions(0)[0]!.written], [5, 4]);
  });
}

test('the same descriptor twice at a time needs a reset', () => {
  const device = new Mirror();
  device.hold = 1;
  const { driver, serve, broken } = underTest(device);
  const head = driver.submit(0, [Uint8Array.of(1)], [1]);
  driver.offer(0, head);
  serve();
  assert.match(broken[0]!, /twice/);
});

test('a ring out of place breaks the device when it is made ready', () => {
  for (const [register, value] of [
    [0x080, ramStart + 8],
    [0x090, ramStart + 1],
    [0x0a0, ramStart + 2],
    [0x084, 1],
    [0x090, ramEnd - 4],
    [0x038, 0],
    [0x038, 12],
    [0x038, 32],
  ] as const) {
    const { driver, broken } = underTest(new Mirror());
    driver.write(0x044, 0);
    driver.write(register, value);
    driver.write(0x044, 1);
    assert.equal(driver.read(0x044), 0);
    assert.equal(broken.length, 1);
  }
});

test('a chain that the device held over a reset changes nothing when it is pushed', () => {
  const device = new Mirror();
  const { driver, serve, parts } = underTest(device);
  driver.submit(0, [Uint8Array.of(1)], [1]);
  parts.port.takeSlots();
  const held = device.transport.queue(0).pop()!;
  driver.start(1);
  driver.submit(0, [Uint8Array.of(2)], [1]);
  serve();
  device.transport.queue(0).push(held, 1);
  assert.equal(driver.completions(0).length, 1);
});

test('requests in flight at a save are done after the load, in another machine', () => {
  const device = new Mirror();
  device.hold = 2;
  const one = underTest(device);
  for (const byte of [1, 2, 3]) one.driver.submit(0, [Uint8Array.of(byte)], [1]);
  one.serve();
  assert.deepEqual([...one.driver.completions(0)[0]!.written], [3]);
  one.driver.submit(0, [Uint8Array.of(4)], [1]);
  const state = structuredClone(one.transport.save());
  // The guest's memory goes along.
  const two = underTest(new Mirror(), {}, machineParts());
  new Uint8Array(two.parts.buffer).set(new Uint8Array(one.parts.buffer));
  two.transport.load(state);
  assert.deepEqual(two.transport.save(), state);
  two.serve();
  const memory = two.parts.memory;
  const used = one.driver.ring(0).used;
  assert.equal(memory.loadU16(used + 2), 4);
  assert.equal(two.driver.read(0x060), 1);
});

test('random rings and registers never throw and never hang', () => {
  let seed = 0x2545_f491;
  const random = (below: number): number => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) % below;
  };
  const s = underTest(new Mirror());
  const interesting = [0, 1, ramStart, ramEnd - 1, ramEnd - 16, 2 ** 32, 2 ** 63, 2 ** 64 - 1];
  let resets = 0;
  for (let round = 0; round < 3000; round++) {
    const table = s.driver.ring(0).descriptors;
    const address = (): number => (random(3) > 0 ? ramStart + random(0x20_0000) : interesting[random(8)]!);
    for (let i = 0; i < 16; i++) {
      const bytes = random(4) > 0 ? random(64) : random(2 ** 32);
      s.driver.describe(table, i, { address: address(), bytes, flags: random(random(4) > 0 ? 4 : 8) }, random(18));
    }
    if (random(20) === 0) s.driver.write(random(64) * 4, random(2 ** 32));
    s.driver.offer(0, random(17));
    s.driver.write(0x50, 0);
    s.serve();
    if (s.driver.read(0x070) !== 15) {
      s.driver.start(1);
      resets++;
    }
    // The driver's own pages are fresh again: it is the rings that are hostile.
    if (round % 50 === 0) s.driver.rewind();
  }
  assert.ok(resets > 100, `${resets} resets`);
});
