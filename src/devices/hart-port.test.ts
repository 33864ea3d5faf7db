// Harts on real workers against a bus on this thread. This file is both: in a worker it is a guest's program.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { GuestMemory } from '../memory/guest-memory.ts';
import { control, hartWord, layout } from '../memory/layout.ts';
import { interrupt } from '../memory/signals.ts';
import { plic, rtc, syscon, uart, virtio, virtioSlot } from './address-map.ts';
import { ringBell } from './bell.ts';
import { Bus } from './bus.ts';
import { HartPort } from './hart-port.ts';
import { MemoryStore } from './memory-store.ts';
import { Rtc } from './rtc.ts';
import { SerialLine } from './serial-line.ts';
import { StoreDisk } from './store-disk.ts';
import { type PowerRequest, Syscon } from './syscon.ts';
import { Uart } from './uart.ts';
import { Block } from './virtio/block.ts';
import { machineParts, type Parts } from './virtio/device-under-test.ts';
import { GuestDriver } from './virtio/guest-driver.ts';
import { VirtioMmio } from './virtio/mmio.ts';

interface Start {
  readonly buffer: SharedArrayBuffer;
  readonly harts: number;
  readonly ramBytes: number;
  readonly hart: number;
  readonly program: keyof typeof programs;
}

const outputLines = 3000;
const reads = 300;

/** What harts do; each returns what it found. */
const programs = {
  registers(port: HartPort): number[] {
    const found = [];
    for (let i = 0; i < 1000; i++) found.push(port.read(rtc.start, 4) + port.read(rtc.start + 4, 4) * 2 ** 32);
    port.write(syscon.start, 4, syscon.reboot);
    port.write(syscon.start, 4, syscon.powerOff);
    return found;
  },
  output(port: HartPort): number {
    for (let i = 0; i < outputLines; i++) {
      for (const letter of `line ${i}\n`) port.write(uart.start, 1, letter.charCodeAt(0));
    }
    return outputLines;
  },
  disk(port: HartPort, { buffer, hart, harts, ramBytes }: Start): number {
    const map = layout(harts, ramBytes);
    const words = new Int32Array(buffer);
    const slot = virtioSlot(0);
    const driver = new GuestDriver(new GuestMemory(buffer, map), {
      read: (offset, bytes) => port.read(slot.start + offset, bytes),
      write: (offset, bytes, value) => port.write(slot.start + offset, bytes, value),
    });
    if (driver.start(1) !== 15) throw new Error('the device is not ready');
    port.write(plic.start + slot.interrupt * 4, 4, 1);
    port.write(plic.start + 0x2080, 4, 1 << slot.interrupt);
    const area = map.hart(hart) >> 2;
    let sum = 0;
    for (let i = 0; i < reads; i++) {
      const header = new Uint8Array(16);
      header[8] = (i * 8) % 256;
      driver.submit(0, [header], [4096, 1]);
      while ((Atomics.load(words, area + (hartWord.pending >> 2)) & interrupt.seip) === 0) {
        Atomics.wait(words, area + (hartWord.wake >> 2), 0, 1000);
        Atomics.store(words, area + (hartWord.wake >> 2), 0);
      }
      const source = port.read(plic.start + 0x20_1004, 4);
      if (source !== slot.interrupt || driver.acknowledge() !== 1) throw new Error(`interrupt ${source}`);
      const [done] = driver.completions(0);
      port.write(plic.start + 0x20_1004, 4, source);
      if (done?.writtenBytes !== 4097 || done.written[4096] !== 0) throw new Error('an I/O error');
      sum += done.written[0]!;
    }
    return sum;
  },
  storm(port: HartPort, { buffer }: Start): number {
    const words = new Int32Array(buffer);
    let rings = 0;
    while (Atomics.load(words, control.stop >> 2) === 0) {
      port.write(virtio.start + 0x50, 4, rings++ & 31);
      ringBell(words);
    }
    return rings;
  },
};

if (!isMainThread) {
  const start = workerData as Start;
  const port = new HartPort(start.buffer, layout(start.harts, start.ramBytes), start.hart);
  parentPort?.postMessage(programs[start.program](port, start));
} else {
  let output = '';
  let sinkMs = 0;
  const asked: PowerRequest[] = [];
  const parts: Parts = machineParts(2);
  const { buffer, layout: map, memory, port } = parts;
  const serial = new SerialLine(buffer, map, new Uart(buffer, map, parts.plic), {
    write(bytes) {
      output += String.fromCharCode(...bytes);
      return sinkMs > 0 ? delay(sinkMs) : undefined;
    },
  });
  const bus = new Bus({ buffer, layout: map, plic: parts.plic, port, serial });
  const clock = { now: () => 1n << 33n, after: () => () => {} };
  bus.attach(new Rtc(clock, parts.plic.line(rtc.interrupt)), rtc);
  bus.attach(new Syscon((request) => asked.push(request)), syscon);
  const store = new MemoryStore(1 << 20);
  for (let sector = 0; sector < 2048; sector++) store.write(sector * 512, [new Uint8Array(512).fill(sector >> 3)]);
  const disk = new Block({ backend: new StoreDisk(store), name: 'disk', serial: '1' });
  bus.attachVirtio(new VirtioMmio({ device: disk, slot: 0, memory, port }));
  const stop = new AbortController();
  const served = bus.serve(stop.signal);
  after(async () => {
    stop.abort();
    await served;
  });

  const run = (program: keyof typeof programs, hart = 0): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const start: Start = { buffer, harts: 2, ramBytes: map.ramBytes, hart, program };
      const worker = new Worker(new URL(import.meta.url), { workerData: start });
      worker.once('message', resolve);
      worker.once('error', reject);
    });

  test('registers of the device thread answer two harts at once', async () => {
    const [one, two] = await Promise.all([run('registers', 0), run('registers', 1)]);
    assert.deepEqual(new Set([...(one as number[]), ...(two as number[])]), new Set([2 ** 33]));
    assert.deepEqual(asked.sort(), ['powerOff', 'powerOff', 'reboot', 'reboot']);
  });

  test('a hart that writes faster than the sink takes waits, and nothing is lost', async () => {
    output = '';
    sinkMs = 5;
    await run('output');
    const expected = Array.from({ length: outputLines }, (_, i) => `line ${i}\n`).join('');
    for (let i = 0; i < 100 && output.length < expected.length; i++) await delay(5);
    sinkMs = 0;
    assert.equal(output, expected);
  });

  test('a driver on a hart reads a disk, woken by the interrupt', async () => {
    let sum = 0;
    for (let i = 0; i < reads; i++) sum += i % 32;
    assert.equal(await run('disk'), sum);
  });

  test('a hart that rings without end leaves the event loop its turns', async () => {
    const words = new Int32Array(buffer);
    const quiet = Atomics.load(words, control.bell >> 2);
    const storm = run('storm', 1);
    while (Atomics.load(words, control.bell >> 2) === quiet) await delay(1);
    let turns = 0;
    const end = performance.now() + 150;
    while (performance.now() < end) {
      await delay(1);
      turns++;
    }
    Atomics.store(words, control.stop >> 2, 1);
    assert.ok(((await storm) as number) > 100);
    assert.ok(turns > 10, `${turns} turns`);
  });

  test('the state of all devices goes from one bus to another, and only to one with the same devices', () => {
    const state = structuredClone(bus.save());
    const make = (slots: number[]): Bus => {
      const other = machineParts(2);
      const line = new SerialLine(other.buffer, other.layout, new Uart(other.buffer, other.layout, other.plic), {
        write() {},
      });
      const made = new Bus({ ...other, serial: line });
      made.attach(new Rtc(clock, other.plic.line(rtc.interrupt)), rtc);
      made.attach(new Syscon(() => {}), syscon);
      for (const slot of slots) {
        const device = new Block({ backend: new StoreDisk(store), name: 'disk', serial: '1' });
        made.attachVirtio(new VirtioMmio({ device, slot, memory: other.memory, port: other.port }));
      }
      return made;
    };
    const same = make([0]);
    same.load(state);
    assert.deepEqual(same.save(), state);
    assert.throws(() => make([1]).load(state), /other devices/);
    assert.throws(() => make([0, 1]).load(state), /other devices/);
  });

  test('only windows of devices that there are are decoded', () => {
    const hart = new HartPort(buffer, map, 0);
    const cases: [number, number, boolean][] = [
      [uart.start, 1, true],
      [uart.start + uart.bytes - 1, 2, false],
      [virtio.start, 4, true],
      [virtio.start + virtio.bytes, 4, false],
      [virtio.start + virtio.bytes * virtio.slots, 4, false],
      [plic.start + 4, 4, true],
      [plic.start + 2, 2, false],
      [plic.start + 2, 4, false],
      [plic.start + plic.bytes - 4, 8, false],
      [rtc.start, 8, true],
      [syscon.start + syscon.bytes, 1, true],
      [syscon.start - 1, 1, false],
      [0, 4, false],
      [map.ramBytes + 0x8000_0000, 4, false],
    ];
    for (const [address, bytes, has] of cases) assert.equal(hart.has(address, bytes), has, `0x${address.toString(16)}`);
  });
}
