import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockBackend } from '../block-backend.ts';
import { MemoryStore } from '../memory-store.ts';
import { StoreDisk } from '../store-disk.ts';
import { Block } from './block.ts';
import { machineParts, underTest } from './device-under-test.ts';

const kind = { read: 0, write: 1, flush: 4, id: 8, discard: 11, zero: 13 } as const;
const ok = 0;
const ioError = 1;
const unsupported = 2;
const features = [5, 9, 13, 14];

function header(type: number, sector: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(8, sector >>> 0, true);
  view.setUint32(12, Math.floor(sector / 2 ** 32), true);
  return bytes;
}

function range(sector: number, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sector, true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return bytes;
}

function disk(
  backend: BlockBackend,
  failures: unknown[] = [],
): ReturnType<typeof underTest> & {
  device: Block;
  request(readable: Uint8Array[], writable?: number[]): { status: number; data: Uint8Array };
} {
  const device = new Block({
    backend,
    name: 'disk',
    serial: 'serial-number-of-twenty',
    failed: (_, e) => failures.push(e),
  });
  const s = underTest(device, { features });
  return {
    ...s,
    device,
    request(readable, writable = [1]) {
      s.driver.submit(0, readable, writable);
      s.serve();
      const [done] = s.driver.completions(0);
      assert.ok(done, 'no answer');
      return { status: done.written.at(-1)!, data: done.written.subarray(0, -1) };
    },
  };
}

const sectors = 64;
const store = (): MemoryStore => {
  const made = new MemoryStore(sectors * 512);
  for (let i = 0; i < sectors; i++) made.write(i * 512, [new Uint8Array(512).fill(i + 1)]);
  return made;
};

test('reads, writes and flushes, whatever the pieces of the buffers', () => {
  const held = store();
  const { request } = disk(new StoreDisk(held));
  const read = request([header(kind.read, 3)], [100, 412, 511, 2]);
  assert.equal(read.status, ok);
  assert.deepEqual([read.data[0], read.data[511], read.data[512], read.data[1023]], [4, 4, 5, 5]);
  const whole = new Uint8Array(1024).map((_, i) => i);
  const head = header(kind.write, 10);
  const written = request([head.subarray(0, 5), head.subarray(5), whole.subarray(0, 7), whole.subarray(7)]);
  assert.equal(written.status, ok);
  assert.deepEqual(request([header(kind.read, 10)], [1024, 1]).data, whole);
  assert.equal(request([header(kind.flush, 0)]).status, ok);
});

const limits: [string, Uint8Array[], number[], number][] = [
  ['beyond the end', [header(kind.read, sectors - 1)], [1024, 1], ioError],
  ['far beyond the end', [header(kind.read, 2 ** 54)], [512, 1], ioError],
  ['half a sector', [header(kind.read, 0)], [256, 1], ioError],
  ['writing beyond the end', [header(kind.write, sectors), new Uint8Array(512)], [1], ioError],
  ['nothing to read', [header(kind.read, 0)], [1], ok],
  ['an unknown request', [header(99, 0)], [1], unsupported],
  ['zeroing beyond the end', [header(kind.zero, 0), range(60, 5)], [1], ioError],
  ['zeroing too much', [header(kind.zero, 0), range(0, 0xffff_ffff)], [1], ioError],
  ['an unknown flag', [header(kind.zero, 0), range(0, 1, 2)], [1], unsupported],
  ['a discard with the flag of zeroing', [header(kind.discard, 0), range(0, 1, 1)], [1], unsupported],
  ['half a range', [header(kind.discard, 0), new Uint8Array(8)], [1], ioError],
  ['seventeen ranges', [header(kind.discard, 0), new Uint8Array(17 * 16)], [1], ioError],
];
for (const [name, readable, writable, status] of limits) {
  test(`the answer to ${name}`, () => {
    const held = store();
    const before = held.heldBytes;
    assert.equal(disk(new StoreDisk(held)).request(readable, writable).status, status);
    assert.equal(held.heldBytes, before);
  });
}

test('the serial number fits into twenty bytes, and into fewer', () => {
  const { request } = disk(new StoreDisk(store()));
  assert.equal(String.fromCharCode(...request([header(kind.id, 0)], [20, 1]).data), 'serial-number-of-twe');
  assert.equal(String.fromCharCode(...request([header(kind.id, 0)], [6, 1]).data), 'serial');
});

test('zeroed and discarded ranges read as zeros; discarding gives memory back', () => {
  const held = new MemoryStore(1 << 20);
  held.write(0, [new Uint8Array(1 << 20).fill(1)]);
  const { request } = disk(new StoreDisk(held));
  assert.equal(request([header(kind.zero, 0), range(1, 2), range(5, 1, 1)]).status, ok);
  const { data } = request([header(kind.read, 0)], [8 * 512, 1]);
  assert.deepEqual(
    Array.from({ length: 8 }, (_, i) => data[i * 512]),
    [1, 0, 0, 1, 1, 0, 1, 1],
  );
  assert.equal(request([header(kind.discard, 0), range(128, 256)]).status, ok);
  assert.equal(held.heldBytes, (1 << 20) - 2 * 0x1_0000);
});

test('a read-only disk refuses writes and says so', () => {
  const { request, driver } = disk(new StoreDisk(store(), { readOnly: true }));
  driver.write(0x014, 0);
  assert.equal(driver.read(0x010) & (1 << 5), 1 << 5);
  assert.equal(driver.read(0x010) & (1 << 13), 0);
  assert.equal(request([header(kind.write, 0), new Uint8Array(512)]).status, ioError);
  assert.equal(request([header(kind.zero, 0), range(0, 1)]).status, ioError);
  assert.equal(request([header(kind.read, 0)], [512, 1]).status, ok);
});

test('the capacity is in the configuration', () => {
  const { driver, transport } = disk(new StoreDisk(new MemoryStore(0), { bytes: 5 * 2 ** 41 + 511 }));
  assert.deepEqual([driver.read(0x100), driver.read(0x104), driver.read(0x114)], [0, 5, 512]);
  assert.equal(transport.read(0x118, 1), 3);
  assert.equal(transport.read(0x200, 4), 0);
});

test('a request without header or status breaks the protocol', () => {
  for (const [readable, writable] of [
    [[new Uint8Array(8)], [1]],
    [[header(kind.read, 0)], []],
  ] as const) {
    const { driver, serve, broken } = disk(new StoreDisk(store()));
    driver.submit(0, readable, writable);
    serve();
    assert.equal(broken.length, 1);
  }
});

/** A backend whose requests end when told. */
function slow(): { backend: BlockBackend; release: (error?: Error) => Promise<void> } {
  const held = store();
  const waiting: ((error?: Error) => void)[] = [];
  const later = (work: () => void): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push((error) => {
        if (error) return reject(error);
        work();
        resolve();
      });
    });
  return {
    backend: {
      bytes: held.bytes,
      readOnly: false,
      read: (offset, into) => later(() => held.read(offset, into)),
      write: (offset, from) => later(() => held.write(offset, from)),
      flush: () => later(() => {}),
      zero: () => later(() => {}),
      close: () => {},
    },
    release: async (error) => {
      for (const end of waiting.splice(0)) end(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('requests that take time are answered when they end, in any number', async () => {
  const { backend, release } = slow();
  const { driver, serve } = disk(backend);
  for (let i = 0; i < 5; i++) driver.submit(0, [header(kind.read, i)], [512, 1]);
  serve();
  assert.equal(driver.completions(0).length, 0);
  await release();
  assert.equal(driver.acknowledge(), 1);
  assert.deepEqual(
    driver.completions(0).map(({ written }) => written[0]),
    [1, 2, 3, 4, 5],
  );
});

test('a failure of the host is an I/O error in the guest, now or later', async () => {
  const failures: unknown[] = [];
  const { backend, release } = slow();
  const later = disk(backend, failures);
  later.driver.submit(0, [header(kind.flush, 0)], [1]);
  later.serve();
  await release(new Error('no medium'));
  assert.deepEqual([...later.driver.completions(0)[0]!.written], [ioError]);
  const now = disk(
    {
      ...backend,
      flush: () => {
        throw new Error('gone');
      },
    },
    failures,
  );
  assert.equal(now.request([header(kind.flush, 0)]).status, ioError);
  assert.deepEqual(
    failures.map((error) => (error as Error).message),
    ['no medium', 'gone'],
  );
});

test('a reset waits for what still writes to guest memory', async () => {
  const { backend, release } = slow();
  const { driver, serve, transport } = disk(backend);
  driver.submit(0, [header(kind.read, 0)], [512, 1]);
  serve();
  let done = false;
  const reset = transport.write(0x070, 4, 0);
  assert.ok(reset instanceof Promise);
  reset.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  await release();
  assert.equal(done, true);
  assert.equal(driver.completions(0).length, 0);
});

test('save in the middle of a read: the read is done after the load', async () => {
  const { backend } = slow();
  const one = disk(backend);
  one.driver.submit(0, [header(kind.read, 7)], [512, 1]);
  one.serve();
  const state = structuredClone(one.transport.save());
  const parts = machineParts();
  const two = underTest(new Block({ backend: new StoreDisk(store()), name: 'disk', serial: '' }), { features }, parts);
  new Uint8Array(parts.buffer).set(new Uint8Array(one.parts.buffer));
  two.transport.load(state);
  two.serve();
  // The first machine's driver reads the second's memory.
  new Uint8Array(one.parts.buffer).set(new Uint8Array(parts.buffer));
  const [done] = one.driver.completions(0);
  assert.equal(done!.written[0], 8);
  assert.equal(done!.written[512], ok);
});
