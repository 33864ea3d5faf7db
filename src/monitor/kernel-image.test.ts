import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ramStart } from '../memory/layout.ts';
import { BadKernel, place } from './kernel-image.ts';

const mib = 2 ** 20;

function image(fields: { textOffset?: bigint; imageBytes?: bigint; flags?: bigint; magic?: number } = {}): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, fields.textOffset ?? 0x20_0000n, true);
  view.setBigUint64(16, fields.imageBytes ?? BigInt(8 * mib), true);
  view.setBigUint64(24, fields.flags ?? 0n, true);
  view.setUint32(56, fields.magic ?? 0x0543_5352, true);
  return bytes;
}

const file = (bytes: Uint8Array): { head: Uint8Array; bytes: number } => ({
  head: bytes.subarray(0, 64),
  bytes: bytes.length,
});

test('what comes with the kernel lies beyond what it clears', () => {
  const where = place(file(image()), 5000, 3000, 64 * mib);
  assert.equal(where.kernel, ramStart + 2 * mib);
  assert.ok(where.initrd >= where.kernel + 8 * mib);
  assert.equal(where.initrd % 4096, 0);
  assert.ok(where.tree >= where.initrd + 5000);
  assert.equal(where.tree % 8, 0);
});

const gzip = new Uint8Array(100);
gzip.set([0x1f, 0x8b]);
const refused: readonly [string, Uint8Array, number, RegExp][] = [
  ['too short', new Uint8Array(10), 64, /only 10 bytes/],
  ['compressed', gzip, 64, /gzip/],
  ['another architecture', image({ magic: 0x644d_5241 }), 64, /no RISC-V Image header/],
  ['big-endian', image({ flags: 1n }), 64, /big-endian/],
  ['an absurd size', image({ imageBytes: 2n ** 40n }), 64, /damaged/],
  ['an odd offset', image({ textOffset: 4n }), 64, /damaged/],
  ['too little memory', image(), 8, /at least 1[0-9] MiB .* has 8 MiB/],
];
for (const [name, kernel, memory, why] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => place(file(kernel), 0, 1000, memory * mib),
      (error) => error instanceof BadKernel && why.test(error.message),
    );
  });
}
