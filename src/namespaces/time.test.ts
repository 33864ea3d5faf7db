import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registers } from '../kernel/steps.ts';
import { encodeOffsets, formatOffset, makeTimeNamespace, parseOffset } from './time.ts';

const offsets: readonly (readonly [text: string, nanos: bigint, told: string, row: string])[] = [
  ['0', 0n, '0', '0 0'],
  ['86400', 86_400_000_000_000n, '86400', '86400 0'],
  ['+1.5', 1_500_000_000n, '1.5', '1 500000000'],
  ['-1.5', -1_500_000_000n, '-1.5', '-2 500000000'],
  ['-0.000000001', -1n, '-0.000000001', '-1 999999999'],
  ['-7', -7_000_000_000n, '-7', '-7 0'],
  ['4611686018', 4_611_686_018_000_000_000n, '4611686018', '4611686018 0'],
];
for (const [text, nanos, told, row] of offsets)
  test(`an offset of ${text} s`, () => {
    assert.equal(parseOffset(text, 'offset'), nanos);
    assert.equal(formatOffset(nanos), told);
    const file = Buffer.from(encodeOffsets({ monotonicNanos: nanos, boottimeNanos: 0n })).toString();
    assert.equal(file, `monotonic ${row}\nboottime 0 0\n`);
  });

for (const text of ['', 'soon', '1.', '.5', '1e3', '4611686019', '--1', '1 2'])
  test(`no offset: "${text}"`, () => {
    assert.throws(() => parseOffset(text, 'offset'), { kind: 'invalid' });
  });

test('the offsets are written before anyone enters', () => {
  const program = makeTimeNamespace({ monotonicNanos: 0n, boottimeNanos: 1n }, new Registers());
  assert.deepEqual(
    program.map(({ call }) => call),
    ['unshare', 'write_file', 'openat2', 'setns', 'close'],
  );
});
