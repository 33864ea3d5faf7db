import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, divide, fused, multiply, squareRoot, subtract, toInteger } from './arithmetic.ts';
import { f32, f64, flag, mode, unpack } from './format.ts';

const view = new DataView(new ArrayBuffer(8));
const bits64 = (value: number): bigint => {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};
const bits32 = (value: number): bigint => {
  view.setFloat32(0, value);
  return BigInt(view.getUint32(0));
};
const isNan = (format: typeof f32, bits: bigint): boolean => unpack(format, bits).is === 'nan';

let seed = 99;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}
const values = [
  0,
  -0,
  1,
  -1,
  0.1,
  1 / 3,
  5e-324,
  -5e-324,
  2.2250738585072014e-308,
  1.7976931348623157e308,
  Infinity,
  -Infinity,
];
const some = (): number =>
  random() < 0.3
    ? values[Math.floor(random() * values.length)]!
    : (random() - 0.5) * 2 ** Math.floor(random() * 2100 - 1060);

test('nearest even agrees with the host, both formats', () => {
  for (let i = 0; i < 4000; i++) {
    const [a, b] = [some(), some()];
    const cases = [
      [add, a + b, Math.fround(Math.fround(a) + Math.fround(b))],
      [subtract, a - b, Math.fround(Math.fround(a) - Math.fround(b))],
      [multiply, a * b, Math.fround(Math.fround(a) * Math.fround(b))],
      [divide, a / b, Math.fround(Math.fround(a) / Math.fround(b))],
    ] as const;
    for (const [op, want, want32] of cases) {
      const got = op(f64, mode.nearestEven, bits64(a), bits64(b)).bits;
      if (Number.isNaN(want)) assert.ok(isNan(f64, got));
      else assert.equal(got, bits64(want), `${op.name} ${a} ${b}`);
      const got32 = op(f32, mode.nearestEven, bits32(a), bits32(b)).bits;
      if (Number.isNaN(want32)) assert.ok(isNan(f32, got32));
      else assert.equal(got32, bits32(want32), `${op.name} ${a} ${b} in single precision`);
    }
    if (a >= 0) assert.equal(squareRoot(f64, mode.nearestEven, bits64(a)).bits, bits64(Math.sqrt(a)));
  }
});

test('directed modes enclose the exact value, one unit apart where it is inexact', () => {
  for (let i = 0; i < 1000; i++) {
    const [a, b] = [(random() - 0.5) * 1e10, (random() - 0.5) * 1e-3];
    for (const op of [add, multiply, divide]) {
      const down = op(f64, mode.down, bits64(a), bits64(b));
      const up = op(f64, mode.up, bits64(a), bits64(b));
      const near = op(f64, mode.nearestEven, bits64(a), bits64(b));
      const inexact = (down.flags & flag.inexact) !== 0;
      assert.equal((up.flags & flag.inexact) !== 0, inexact);
      assert.equal(down.bits !== up.bits, inexact);
      assert.ok(near.bits === down.bits || near.bits === up.bits);
      const apart = up.bits - down.bits;
      assert.ok(apart === 0n || apart === 1n || apart === -1n);
    }
  }
});

test('flags', () => {
  const huge = bits64(1.7976931348623157e308);
  const least = bits64(2.2250738585072014e-308);
  const table = [
    ['1 / 0', divide(f64, 0, bits64(1), bits64(0)), flag.divideByZero],
    ['0 / 0', divide(f64, 0, bits64(0), bits64(0)), flag.invalid],
    ['huge + huge', add(f64, 0, huge, huge), flag.overflow | flag.inexact],
    ['least / 3', divide(f64, 0, least, bits64(3)), flag.underflow | flag.inexact],
    ['least / 2 is exact', divide(f64, 0, least, bits64(2)), 0],
    ['inf - inf', subtract(f64, 0, bits64(Infinity), bits64(Infinity)), flag.invalid],
    ['sqrt -1', squareRoot(f64, 0, bits64(-1)), flag.invalid],
    ['inf * 0 + quiet NaN', fused(f64, 0, bits64(Infinity), 0n, bits64(NaN), false, false), flag.invalid],
    ['to integer of 2^31', toInteger(f64, 0, bits64(2 ** 31), 32, true), flag.invalid],
    ['to integer of 1.5', toInteger(f64, 0, bits64(1.5), 32, true), flag.inexact],
    // Rounded to the least normal number, but tiny even so: with more exponent it would stay below.
    ['tiny after rounding', multiply(f64, 0, 0x001f_ffff_ffff_ffffn, bits64(0.5)), flag.inexact | flag.underflow],
  ] as const;
  for (const [name, outcome, flags] of table) assert.equal(outcome.flags, flags, name);
});

test('fused rounds once', () => {
  const a = 1 + 2 ** -30;
  const got = fused(f64, 0, bits64(a), bits64(a), bits64(-(1 + 2 ** -29)), false, false);
  assert.equal(got.bits, bits64(2 ** -60));
  assert.equal(got.flags, 0);
});
