import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HolmError } from '../../base/error.ts';
import { createOverlay, openOverlay } from '../../devices/block-overlay.ts';
import { openFile } from './files.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-files-'));
after(() => rmSync(directory, { recursive: true }));

const shared = new Uint8Array(new SharedArrayBuffer(0x10000));

test('a file is read and written through guest memory, in pieces, beyond its end as zeros', async () => {
  const path = join(directory, 'disk');
  const file = openFile(path, 'create');
  shared.fill(3);
  file.write(1000, [shared.subarray(0, 10), shared.subarray(100, 5000)]);
  assert.equal(file.bytes, 5910);
  shared.fill(9);
  file.read(995, [shared.subarray(0, 20), shared.subarray(20, 40)]);
  assert.deepEqual([...shared.subarray(0, 8)], [0, 0, 0, 0, 0, 3, 3, 3]);
  file.read(5905, [shared.subarray(0, 10)]);
  assert.deepEqual([...shared.subarray(0, 11)], [3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 3]);
  // More buffers than the kernel takes in one call.
  const many = Array.from({ length: 3000 }, (_, i) => shared.subarray(i, i + 1));
  file.read(1000, many);
  assert.ok(shared.subarray(0, 3000).every((byte) => byte === 3));
  file.write(0, many);
  assert.equal(file.bytes, 5910);
  await file.flush();
  file.close();
  assert.equal(statSync(path).size, 5910);
});

test('failures say what could not be done, to which disk', async () => {
  const path = join(directory, 'here');
  writeFileSync(path, 'x');
  const kind = (wanted: string) => (error: unknown) => error instanceof HolmError && error.kind === wanted;
  assert.throws(() => openFile(path, 'create'), kind('conflict'));
  assert.throws(() => openFile(join(directory, 'none'), 'readOnly'), kind('notFound'));
  const file = openFile(path, 'readOnly');
  assert.throws(() => file.write(0, [new Uint8Array(1)]), /Cannot write the disk ".*here"/);
  file.close();
  await assert.rejects(file.flush(), /Cannot flush the disk/);
});

test('an overlay on a file is sparse, and is found again', async () => {
  const base = { source: openFile(join(directory, 'base'), 'create'), id: new Uint8Array(32).fill(1) };
  base.source.write(0, [new Uint8Array(8192).fill(5)]);
  const path = join(directory, 'overlay');
  const overlay = createOverlay(openFile(path, 'create'), 2 ** 32, base);
  overlay.write(2 ** 31, [new Uint8Array(512).fill(6)]);
  await overlay.close();
  assert.ok(statSync(path).blocks * 512 < 1 << 20);
  const again = openOverlay(openFile(path, 'readWrite'), base);
  again.read(2 ** 31, [shared.subarray(0, 1024)]);
  assert.deepEqual([shared[0], shared[511], shared[512]], [6, 6, 0]);
  again.read(0, [shared.subarray(0, 512)]);
  assert.equal(shared[0], 5);
  await again.close();
  base.source.close();
});
