import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import type { ByteStore } from './block-backend.ts';
import { createOverlay, type OverlayBase, openOverlay } from './block-overlay.ts';
import { MemoryStore } from './memory-store.ts';

const baseBytes = 10 * 4096 + 512;

function base(): OverlayBase {
  const source = new MemoryStore();
  source.write(0, [new Uint8Array(baseBytes).map((_, i) => 1 + (i >> 9))]);
  return { source, id: new Uint8Array(32).fill(9) };
}

/** Keeps what each flush made safe, as a medium does that loses power: nothing else of it is sure. */
class Medium implements ByteStore {
  readonly #cache: MemoryStore;
  readonly safe: MemoryStore;
  readonly pending: [offset: number, bytes: Uint8Array][] = [];
  flushes = 0;
  /** The flush that fails, counted from 1. */
  fails = 0;

  constructor(cache = new MemoryStore(), safe = new MemoryStore()) {
    this.#cache = cache;
    this.safe = safe;
  }

  get bytes(): number {
    return this.#cache.bytes;
  }

  read(offset: number, into: readonly Uint8Array[]): void {
    this.#cache.read(offset, into);
  }

  write(offset: number, from: readonly Uint8Array[]): void {
    this.#cache.write(offset, from);
    let at = offset;
    for (const part of from) {
      this.pending.push([at, part.slice()]);
      at += part.length;
    }
  }

  async flush(): Promise<void> {
    const now = this.pending.splice(0);
    await new Promise((resolve) => setImmediate(resolve));
    if (++this.flushes === this.fails) {
      this.pending.unshift(...now);
      throw new Error('no medium');
    }
    for (const [offset, part] of now) this.safe.write(offset, [part]);
  }

  close(): void {}

  /** What is on the medium after a loss of power that let through the pending writes that `lucky` chooses. */
  crashed(lucky: (i: number) => boolean): MemoryStore {
    const left = copyOf(this.safe);
    for (const [i, [offset, part]] of this.pending.entries()) if (lucky(i)) left.write(offset, [part]);
    return left;
  }
}

function copyOf(store: MemoryStore): MemoryStore {
  const all = new Uint8Array(store.bytes);
  store.read(0, [all]);
  const copy = new MemoryStore();
  copy.write(0, [all]);
  return copy;
}

let seed = 1;
function random(below: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % below;
}

test('reads and writes of any place agree with a plain disk', () => {
  const beneath = base();
  const bytes = 16 * 4096;
  const store = new MemoryStore();
  const overlay = createOverlay(store, bytes, beneath);
  const plain = new Uint8Array(bytes);
  beneath.source.read(0, [plain.subarray(0, baseBytes)]);
  for (let round = 0; round < 400; round++) {
    const offset = random(bytes / 512) * 512;
    const length = Math.min(bytes - offset, (1 + random(24)) * 512);
    const cut = random(length);
    if (round % 3 === 0) {
      const data = new Uint8Array(length).map(() => random(256));
      overlay.write(offset, [data.subarray(0, cut), data.subarray(cut)]);
      plain.set(data, offset);
    } else if (round % 17 === 0) {
      if (round % 2 === 0) overlay.zero(offset, length);
      else overlay.discard?.(offset, length);
      plain.fill(0, offset, offset + length);
    } else {
      const got = new Uint8Array(length);
      overlay.read(offset, [got.subarray(0, cut), got.subarray(cut)]);
      assert.deepEqual(got, plain.slice(offset, offset + length));
    }
  }
  const original = new Uint8Array(baseBytes);
  beneath.source.read(0, [original]);
  assert.deepEqual(
    original,
    new Uint8Array(baseBytes).map((_, i) => 1 + (i >> 9)),
    'the base is untouched',
  );
});

test('what was flushed is there when it is opened again, on the same base only', async () => {
  const beneath = base();
  const store = new MemoryStore();
  const overlay = createOverlay(store, 16 * 4096, beneath);
  overlay.write(5 * 512, [new Uint8Array(512).fill(200)]);
  await overlay.flush();
  const again = openOverlay(store, beneath);
  const got = new Uint8Array(2048);
  again.read(4 * 512, [got]);
  assert.deepEqual([got[0], got[511], got[512], got[1023], got[1024], again.bytes], [5, 5, 200, 200, 7, 16 * 4096]);
  const corrupt = (error: unknown): boolean => error instanceof HolmError && error.kind === 'corrupt';
  assert.throws(() => openOverlay(store, { ...beneath, id: new Uint8Array(32) }), corrupt);
  assert.throws(() => openOverlay(store, { source: new MemoryStore(4096), id: beneath.id }), corrupt);
  assert.throws(() => openOverlay(store), corrupt);
  assert.throws(() => openOverlay(new MemoryStore()), corrupt);
});

test('a size that is none, or less than the base, is refused', () => {
  for (const bytes of [0, -512, 100, 4096, Number.NaN, 2 ** 60]) {
    assert.throws(() => createOverlay(new MemoryStore(), bytes, base()), /Cannot make a disk/);
  }
});

test('a loss of power at any moment leaves clusters old or new, and what was flushed new', async () => {
  const beneath = base();
  const bytes = 16 * 4096;
  for (let round = 0; round < 60; round++) {
    const medium = new Medium();
    const overlay = createOverlay(medium, bytes, beneath);
    await medium.flush();
    const flushed = new Uint8Array(bytes);
    beneath.source.read(0, [flushed.subarray(0, baseBytes)]);
    const newer: Uint8Array[] = [];
    const latest = flushed.slice();
    for (let step = 0; step < 6; step++) {
      const offset = random(bytes / 512) * 512;
      const data = new Uint8Array(Math.min(bytes - offset, (1 + random(12)) * 512)).fill(random(256));
      overlay.write(offset, [data]);
      latest.set(data, offset);
      newer.push(latest.slice());
      const flushing = overlay.flush();
      if (random(2) === 0) {
        await flushing;
        flushed.set(latest);
        newer.length = 0;
      }
      // The power may go at any step of a flush.
      for (let steps = random(12); steps > 0; steps--) await Promise.resolve();
      if (random(4) === 0) break;
    }
    const left = openOverlay(
      medium.crashed(() => random(2) === 0),
      beneath,
    );
    const got = new Uint8Array(bytes);
    left.read(0, [got]);
    for (let sector = 0; sector < bytes; sector += 512) {
      const is = got[sector];
      const may = [flushed[sector], ...newer.map((state) => state[sector])];
      assert.ok(may.includes(is), `sector ${sector / 512} is ${is}, not of ${may}`);
    }
    await overlay.flush();
  }
});

test('a flush that failed leaves its bits for the next', async () => {
  const beneath = base();
  const medium = new Medium();
  const overlay = createOverlay(medium, 16 * 4096, beneath);
  overlay.write(0, [new Uint8Array(4096).fill(77)]);
  medium.fails = 1;
  await assert.rejects(async () => overlay.flush(), /no medium/);
  await overlay.flush();
  const got = new Uint8Array(512);
  openOverlay(copyOf(medium.safe), beneath).read(0, [got]);
  assert.equal(got[0], 77);
});
