// The two binary formats of the F and D extensions, and rounding to them: IEEE 754-2008 with RISC-V's choices (canonical NaN;
// tininess after rounding; unprivileged architecture, chapters "F" and "D"). Exact, on big integers, and slow: fast code comes
// here only when a flag or an unusual value is at stake.

export interface Format {
  readonly name: 'f32' | 'f64';
  readonly bits: number;
  /** Bits of the significand with its hidden one. */
  readonly precision: number;
  readonly bias: number;
}

export const f32: Format = { name: 'f32', bits: 32, precision: 24, bias: 127 };
export const f64: Format = { name: 'f64', bits: 64, precision: 53, bias: 1023 };

/** Accrued exception flags (fcsr). */
export const flag = { inexact: 1, underflow: 2, overflow: 4, divideByZero: 8, invalid: 16 } as const;

/** Rounding modes (frm). */
export const mode = { nearestEven: 0, toZero: 1, down: 2, up: 3, nearestAway: 4 } as const;

/** A number taken apart: a finite one is (-1)^negative * significand * 2^exponent. */
export type Unpacked =
  | { readonly is: 'finite'; readonly negative: boolean; readonly significand: bigint; readonly exponent: number }
  | { readonly is: 'infinite'; readonly negative: boolean }
  | { readonly is: 'nan'; readonly signalling: boolean };

/** A result's bits and the flags it raises. */
export interface Outcome {
  readonly bits: bigint;
  readonly flags: number;
}

export function unpack(format: Format, bits: bigint): Unpacked {
  const fractionBits = BigInt(format.precision - 1);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const field = Number((bits >> fractionBits) & BigInt(2 * format.bias + 1));
  const negative = bits >> BigInt(format.bits - 1) !== 0n;
  if (field === 2 * format.bias + 1) {
    if (fraction === 0n) return { is: 'infinite', negative };
    return { is: 'nan', signalling: fraction >> (fractionBits - 1n) === 0n };
  }
  const significand = field === 0 ? fraction : fraction | (1n << fractionBits);
  return { is: 'finite', negative, significand, exponent: Math.max(field, 1) - format.bias - (format.precision - 1) };
}

export function canonicalNan(format: Format): bigint {
  return infinity(format, false) | (1n << BigInt(format.precision - 2));
}

export function infinity(format: Format, negative: boolean): bigint {
  return signBit(format, negative) | (BigInt(2 * format.bias + 1) << BigInt(format.precision - 1));
}

export function zero(format: Format, negative: boolean): bigint {
  return signBit(format, negative);
}

/**
 * Rounds significand * 2^exponent (significand > 0) to the format. A caller whose value lies strictly between two significands
 * appends a sticky one bit to the lower.
 */
export function round(
  format: Format,
  rounding: number,
  negative: boolean,
  significand: bigint,
  exponent: number,
): Outcome {
  const { precision, bias } = format;
  const least = 1 - bias;
  const leading = exponent + bitLength(significand) - 1;
  const unit = Math.max(leading, least) - (precision - 1);
  let { kept, inexact } = roundAt(rounding, negative, significand, unit - exponent);
  let field = unit + precision - 1 + bias;
  if (kept >> BigInt(precision) !== 0n) {
    kept >>= 1n;
    field++;
  }
  if (field > 2 * bias) return overflow(format, rounding, negative);
  if (kept >> BigInt(precision - 1) === 0n) field = 0;
  const fraction = kept & ((1n << BigInt(precision - 1)) - 1n);
  const bits = signBit(format, negative) | (BigInt(field) << BigInt(precision - 1)) | fraction;
  if (!inexact) return { bits, flags: 0 };
  const tiny = leading < least && !reachesNormal(format, rounding, negative, significand, exponent, leading);
  return { bits, flags: flag.inexact | (tiny ? flag.underflow : 0) };
}

/** Drops `shift` low bits by the rounding mode; a shift at or below 0 is exact. */
export function roundAt(
  rounding: number,
  negative: boolean,
  significand: bigint,
  shift: number,
): { kept: bigint; inexact: boolean } {
  if (shift <= 0) return { kept: significand << BigInt(-shift), inexact: false };
  const by = BigInt(shift);
  const kept = significand >> by;
  const rest = significand - (kept << by);
  if (rest === 0n) return { kept, inexact: false };
  const half = 1n << (by - 1n);
  const up =
    rounding === mode.nearestEven
      ? rest > half || (rest === half && (kept & 1n) === 1n)
      : rounding === mode.nearestAway
        ? rest >= half
        : rounding === mode.up
          ? !negative
          : rounding === mode.down && negative;
  return { kept: up ? kept + 1n : kept, inexact: true };
}

/** Whether rounding with an unbounded exponent would carry a value just below the least normal number up to it. */
function reachesNormal(
  format: Format,
  rounding: number,
  negative: boolean,
  significand: bigint,
  exponent: number,
  leading: number,
): boolean {
  if (leading !== -format.bias) return false;
  const { kept } = roundAt(rounding, negative, significand, leading - (format.precision - 1) - exponent);
  return kept >> BigInt(format.precision) !== 0n;
}

function overflow(format: Format, rounding: number, negative: boolean): Outcome {
  const inward = rounding === mode.toZero || rounding === (negative ? mode.up : mode.down);
  const bits = infinity(format, negative) - (inward ? 1n : 0n);
  return { bits, flags: flag.overflow | flag.inexact };
}

function signBit(format: Format, negative: boolean): bigint {
  return negative ? 1n << BigInt(format.bits - 1) : 0n;
}

export function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return digits.length * 4 - Math.clz32(Number.parseInt(digits[0] ?? '0', 16)) + 28;
}
