import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Console, type ConsolePort } from './console.ts';
import { controlMessage } from './console-control.ts';
import { type DeviceUnderTest, machineParts, underTest } from './device-under-test.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);

interface Recorded extends ConsolePort {
  out: string;
  events: string[];
}

function port(name: string, terminal = false, more: Partial<ConsolePort> = {}): Recorded {
  return {
    name,
    terminal,
    out: '',
    events: [],
    write(data) {
      this.out += text(data);
    },
    opened(open) {
      this.events.push(open ? 'open' : 'closed');
    },
    ready() {
      this.events.push('ready');
    },
    ...more,
  };
}

function console2(more: Partial<ConsolePort> = {}): DeviceUnderTest & { device: Console; ports: Recorded[] } {
  const ports = [port('holm.console', true, more), port('holm.agent')];
  const device = new Console({ ports });
  return { ...underTest(device, { features: [0, 1, 2] }), device, ports };
}

/** Gives buffers for control messages and says what came, as the driver of Linux does. */
function control(s: DeviceUnderTest, ...sent: [port: number, event: number, value: number][]): string[] {
  for (let i = 0; i < 12; i++) s.driver.submit(2, [], [64]);
  for (const [id, event, value] of sent) s.driver.submit(3, [controlMessage(id, event, value)]);
  s.serve();
  s.driver.completions(3);
  return s.driver.completions(2).map(({ written }) => {
    const view = new DataView(written.buffer, written.byteOffset);
    const rest = written.subarray(8);
    const event = view.getUint16(4, true);
    return `${view.getUint32(0, true)}:${event}=${view.getUint16(6, true)}${event === 7 ? text(rest) : event === 5 ? ` ${[...rest]}` : ''}`;
  });
}

test('ports introduce themselves as the driver asks', () => {
  const s = console2();
  assert.deepEqual(control(s, [0, 0, 1]), ['0:1=1', '1:1=1']);
  assert.deepEqual(control(s, [0, 3, 1], [1, 3, 1]), [
    '0:4=1',
    '0:5=0 80,0,24,0',
    '0:7=1holm.console',
    '0:6=1',
    '1:7=1holm.agent',
    '1:6=1',
  ]);
  assert.deepEqual(control(s, [9, 3, 1], [0, 77, 1], [1, 3, 0]), []);
  s.device.resize(132, 50);
  s.device.connect(1, false);
  assert.deepEqual(control(s), ['0:5=0 132,0,50,0', '1:6=0']);
  assert.equal(s.driver.read(0x100), 132 | (50 << 16));
});

test('what the guest is to be told waits for buffers, and never grows', () => {
  const s = console2();
  control(s, [0, 0, 1], [0, 3, 1], [1, 3, 1]);
  for (let i = 0; i < 500; i++) {
    s.device.resize(80 + (i & 1), 25);
    s.device.connect(1, i % 2 === 0);
  }
  s.driver.completions(2);
  // The buffers that were there took the first ones; what is left is the last state only.
  const last = [...control(s), ...control(s)];
  assert.ok(last.length <= 4, `${last}`);
});

test('output of each port goes to its end', () => {
  const s = console2();
  s.driver.submit(1, [bytes('to the '), bytes('console')]);
  s.driver.submit(5, [bytes('to the agent')]);
  s.serve();
  assert.deepEqual(
    s.ports.map(({ out }) => out),
    ['to the console', 'to the agent'],
  );
  s.transport.write(0x108, 4, 0x21);
  assert.equal(s.ports[0]!.out, 'to the console!');
});

test('input is taken as far as the guest has buffers, and asked for again', () => {
  const s = console2();
  assert.equal(s.device.send(1, bytes('early')), 0, 'nobody has the port open');
  control(s, [1, 6, 1]);
  assert.deepEqual(s.ports[1]!.events, ['open', 'ready']);
  s.driver.submit(4, [], [4]);
  s.driver.submit(4, [], [4]);
  s.serve();
  assert.equal(s.device.send(1, bytes('0123456789')), 8);
  assert.deepEqual(
    s.driver.completions(4).map(({ written }) => text(written)),
    ['0123', '4567'],
  );
  s.driver.submit(4, [], [4]);
  s.driver.write(0x50, 4);
  s.serve();
  assert.deepEqual(s.ports[1]!.events, ['open', 'ready', 'ready']);
  assert.equal(s.device.send(1, bytes('89')), 2);
  control(s, [1, 6, 0]);
  assert.equal(s.device.send(1, bytes('late')), 0);
  assert.equal(s.ports[1]!.events.at(-1), 'closed');
});

test('a slow end holds the guest back: its requests stay in the ring', async () => {
  let release = (): void => {};
  const got: string[] = [];
  const s = console2({
    write: (data) => {
      got.push(text(data));
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  for (const word of ['one', 'two', 'three']) s.driver.submit(1, [bytes(word)]);
  s.serve();
  s.driver.write(0x50, 1);
  s.serve();
  assert.deepEqual(got, ['one']);
  assert.equal(s.driver.completions(1).length, 1);
  for (const count of [2, 3]) {
    release();
    await new Promise((resolve) => setImmediate(resolve));
    s.serve();
    assert.equal(got.length, count);
  }
});

test('a driver that knows one port only', () => {
  const ports = [port('holm.console', true)];
  const device = new Console({ ports });
  const s = underTest(device);
  s.driver.submit(0, [], [16]);
  assert.equal(device.send(0, bytes('hi')), 2);
  s.driver.submit(1, [bytes('out')]);
  s.serve();
  assert.equal(ports[0]!.out, 'out');
  assert.equal(text(s.driver.completions(0)[0]!.written), 'hi');
});

test('output of more than a megabyte at once is not taken', () => {
  const s = console2();
  s.driver.submit(1, [new Uint8Array(0x10_0001)]);
  s.serve();
  assert.match(s.broken[0]!, /at once/);
});

test('save and load keep open ports and what is still to be told', () => {
  const one = console2();
  control(one, [0, 0, 1], [1, 3, 1], [1, 6, 1]);
  one.device.resize(100, 40);
  one.device.send(1, bytes('more than there is room for'));
  const state = structuredClone(one.transport.save());
  const ports = [port('holm.console', true), port('holm.agent')];
  const device = new Console({ ports });
  const two = underTest(device, { features: [0, 1, 2] }, machineParts());
  new Uint8Array(two.parts.buffer).set(new Uint8Array(one.parts.buffer));
  two.transport.load(state);
  assert.deepEqual(two.transport.save(), state);
  assert.deepEqual(ports[1]!.events, ['open']);
  assert.equal(two.driver.read(0x100), 100 | (40 << 16));
});
