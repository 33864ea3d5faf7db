// Exact floating-point operations on bits, every rounding mode and flag. Slow; see format.ts.
import {
  bitLength,
  canonicalNan,
  type Format,
  flag,
  infinity,
  mode,
  type Outcome,
  round,
  roundAt,
  type Unpacked,
  unpack,
  zero,
} from './format.ts';

type Finite = Extract<Unpacked, { is: 'finite' }>;

export function add(format: Format, rounding: number, a: bigint, b: bigint): Outcome {
  return sum(format, rounding, unpack(format, a), unpack(format, b));
}

export function subtract(format: Format, rounding: number, a: bigint, b: bigint): Outcome {
  return sum(format, rounding, unpack(format, a), negated(unpack(format, b)));
}

export function multiply(format: Format, rounding: number, a: bigint, b: bigint): Outcome {
  const [x, y] = [unpack(format, a), unpack(format, b)];
  const special = specialProduct(format, x, y);
  if (special) return special;
  const product = exactProduct(x as Finite, y as Finite);
  if (product.significand === 0n) return exact(zero(format, product.negative));
  return round(format, rounding, product.negative, product.significand, product.exponent);
}

/** a * b + c, rounded once; the signs of the product and of c may be turned (fmsub, fnmsub, fnmadd). */
export function fused(
  format: Format,
  rounding: number,
  a: bigint,
  b: bigint,
  c: bigint,
  negateProduct: boolean,
  negateAddend: boolean,
): Outcome {
  const [x, y] = [unpack(format, a), unpack(format, b)];
  const addend = negateAddend ? negated(unpack(format, c)) : unpack(format, c);
  const special = specialProduct(format, x, y);
  // Infinity times zero is invalid even when c is a quiet NaN.
  if (special && special.flags !== 0) return special;
  if (x.is === 'nan' || y.is === 'nan' || addend.is === 'nan') return nan(format, [x, y, addend]);
  const product: Unpacked = special ? unpack(format, special.bits) : exactProduct(x as Finite, y as Finite);
  return sum(format, rounding, negateProduct ? negated(product) : product, addend);
}

export function divide(format: Format, rounding: number, a: bigint, b: bigint): Outcome {
  const [x, y] = [unpack(format, a), unpack(format, b)];
  if (x.is === 'nan' || y.is === 'nan') return nan(format, [x, y]);
  const negative = x.negative !== y.negative;
  if (x.is === 'infinite') return y.is === 'infinite' ? invalid(format) : exact(infinity(format, negative));
  if (y.is === 'infinite') return exact(zero(format, negative));
  if (y.significand === 0n) {
    if (x.significand === 0n) return invalid(format);
    return { bits: infinity(format, negative), flags: flag.divideByZero };
  }
  if (x.significand === 0n) return exact(zero(format, negative));
  const shift = Math.max(0, format.precision + 3 + bitLength(y.significand) - bitLength(x.significand));
  const numerator = x.significand << BigInt(shift);
  const quotient = numerator / y.significand;
  const sticky = quotient * y.significand === numerator ? 0n : 1n;
  return round(format, rounding, negative, (quotient << 1n) | sticky, x.exponent - y.exponent - shift - 1);
}

export function squareRoot(format: Format, rounding: number, a: bigint): Outcome {
  const x = unpack(format, a);
  if (x.is === 'nan') return nan(format, [x]);
  if (x.is === 'finite' && x.significand === 0n) return exact(a);
  if (x.negative) return invalid(format);
  if (x.is === 'infinite') return exact(a);
  let shift = Math.max(0, 2 * (format.precision + 3) - bitLength(x.significand));
  if ((x.exponent - shift) % 2 !== 0) shift++;
  const radicand = x.significand << BigInt(shift);
  const root = integerRoot(radicand);
  const sticky = root * root === radicand ? 0n : 1n;
  return round(format, rounding, false, (root << 1n) | sticky, (x.exponent - shift) / 2 - 1);
}

/** To an integer of `width` bits; what does not fit saturates with the invalid flag. The result is sign-extended to 64 bits. */
export function toInteger(format: Format, rounding: number, a: bigint, width: 32 | 64, signed: boolean): Outcome {
  const x = unpack(format, a);
  const [low, high] = signed
    ? [-(1n << BigInt(width - 1)), (1n << BigInt(width - 1)) - 1n]
    : [0n, (1n << BigInt(width)) - 1n];
  const result = (value: bigint, flags: number): Outcome => ({
    bits: BigInt.asUintN(64, BigInt.asIntN(width, value)),
    flags,
  });
  if (x.is === 'nan') return result(high, flag.invalid);
  if (x.is === 'infinite') return result(x.negative ? low : high, flag.invalid);
  const { kept, inexact } = roundAt(rounding, x.negative, x.significand, -x.exponent);
  const value = x.negative ? -kept : kept;
  if (value < low || value > high) return result(x.negative ? low : high, flag.invalid);
  return result(value, inexact ? flag.inexact : 0);
}

export function fromInteger(format: Format, rounding: number, value: bigint): Outcome {
  if (value === 0n) return exact(zero(format, false));
  return round(format, rounding, value < 0n, value < 0n ? -value : value, 0);
}

export function convert(to: Format, from: Format, rounding: number, a: bigint): Outcome {
  const x = unpack(from, a);
  if (x.is === 'nan') return nan(to, [x]);
  if (x.is === 'infinite') return exact(infinity(to, x.negative));
  if (x.significand === 0n) return exact(zero(to, x.negative));
  return round(to, rounding, x.negative, x.significand, x.exponent);
}

/** minimumNumber and maximumNumber of IEEE 754-2019: a NaN loses against a number, -0 is below +0. */
export function extreme(format: Format, a: bigint, b: bigint, wanted: 'least' | 'greatest'): Outcome {
  const [x, y] = [unpack(format, a), unpack(format, b)];
  const flags = signals([x, y]);
  if (x.is === 'nan' && y.is === 'nan') return { bits: canonicalNan(format), flags };
  if (x.is === 'nan') return { bits: b, flags };
  if (y.is === 'nan') return { bits: a, flags };
  const aFirst = order(format, a) <= order(format, b);
  return { bits: aFirst === (wanted === 'least') ? a : b, flags };
}

/** 1 or 0; a NaN compares false, and raises invalid where it signals or the comparison is not a quiet one. */
export function compare(format: Format, a: bigint, b: bigint, relation: 'equal' | 'less' | 'lessOrEqual'): Outcome {
  const [x, y] = [unpack(format, a), unpack(format, b)];
  if (x.is === 'nan' || y.is === 'nan') {
    return { bits: 0n, flags: relation === 'equal' ? signals([x, y]) : flag.invalid };
  }
  const bothZero = isZero(x) && isZero(y);
  const [p, q] = bothZero ? [0n, 0n] : [order(format, a), order(format, b)];
  const holds = relation === 'equal' ? p === q : relation === 'less' ? p < q : p <= q;
  return exact(holds ? 1n : 0n);
}

/** The class mask of fclass. */
export function classify(format: Format, a: bigint): Outcome {
  const x = unpack(format, a);
  if (x.is === 'nan') return exact(1n << (x.signalling ? 8n : 9n));
  if (x.is === 'infinite') return exact(x.negative ? 1n : 1n << 7n);
  if (x.significand === 0n) return exact(1n << (x.negative ? 3n : 4n));
  const subnormal = x.significand >> BigInt(format.precision - 1) === 0n;
  return exact(1n << (subnormal ? (x.negative ? 2n : 5n) : x.negative ? 1n : 6n));
}

function sum(format: Format, rounding: number, x: Unpacked, y: Unpacked): Outcome {
  if (x.is === 'nan' || y.is === 'nan') return nan(format, [x, y]);
  if (x.is === 'infinite') {
    return y.is === 'infinite' && x.negative !== y.negative ? invalid(format) : exact(infinity(format, x.negative));
  }
  if (y.is === 'infinite') return exact(infinity(format, y.negative));
  const exponent = Math.min(x.exponent, y.exponent);
  const total = signedAt(x, exponent) + signedAt(y, exponent);
  if (total === 0n) {
    const bothNegative = x.negative && y.negative;
    const differ = x.negative !== y.negative;
    return exact(zero(format, bothNegative || (differ && rounding === mode.down)));
  }
  return round(format, rounding, total < 0n, total < 0n ? -total : total, exponent);
}

function signedAt(x: Finite, exponent: number): bigint {
  const value = x.significand << BigInt(x.exponent - exponent);
  return x.negative ? -value : value;
}

function exactProduct(x: Finite, y: Finite): Finite {
  return {
    is: 'finite',
    negative: x.negative !== y.negative,
    significand: x.significand * y.significand,
    exponent: x.exponent + y.exponent,
  };
}

/** A product that is no finite arithmetic: NaN, infinity, or infinity times zero. */
function specialProduct(format: Format, x: Unpacked, y: Unpacked): Outcome | undefined {
  if ((x.is === 'infinite' && isZero(y)) || (isZero(x) && y.is === 'infinite')) return invalid(format);
  if (x.is === 'nan' || y.is === 'nan') return nan(format, [x, y]);
  if (x.is === 'infinite' || y.is === 'infinite') return exact(infinity(format, x.negative !== y.negative));
  return undefined;
}

function negated(x: Unpacked): Unpacked {
  return x.is === 'nan' ? x : { ...x, negative: !x.negative };
}

function isZero(x: Unpacked): boolean {
  return x.is === 'finite' && x.significand === 0n;
}

/** Numbers in the order of their values, -0 just below +0. */
function order(format: Format, bits: bigint): bigint {
  const sign = 1n << BigInt(format.bits - 1);
  return bits & sign ? -(bits ^ sign) - 1n : bits;
}

function signals(values: readonly Unpacked[]): number {
  return values.some((value) => value.is === 'nan' && value.signalling) ? flag.invalid : 0;
}

function nan(format: Format, values: readonly Unpacked[]): Outcome {
  return { bits: canonicalNan(format), flags: signals(values) };
}

function invalid(format: Format): Outcome {
  return { bits: canonicalNan(format), flags: flag.invalid };
}

function exact(bits: bigint): Outcome {
  return { bits, flags: 0 };
}

function integerRoot(value: bigint): bigint {
  let guess = 1n << BigInt(Math.ceil(bitLength(value) / 2));
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}
