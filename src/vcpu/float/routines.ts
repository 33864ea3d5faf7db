// The exact routines by name, as a meaning calls them (Meaning.soft): operands are raw 64-bit registers, a single-precision
// one boxed or else a NaN; so is the result of those that end in an f register.
import {
  add,
  classify,
  compare,
  convert,
  divide,
  extreme,
  fromInteger,
  fused,
  multiply,
  squareRoot,
  subtract,
  toInteger,
} from './arithmetic.ts';
import { canonicalNan, type Format, f32, f64, type Outcome } from './format.ts';

export interface Routine {
  readonly name: string;
  readonly operands: 1 | 2 | 3;
  readonly run: (rounding: number, a: bigint, b: bigint, c: bigint) => Outcome;
}

export const routines: readonly Routine[] = [f64, f32].flatMap((format) => [
  floating(format, 'add', 2, add),
  floating(format, 'subtract', 2, subtract),
  floating(format, 'multiply', 2, multiply),
  floating(format, 'divide', 2, divide),
  floating(format, 'squareRoot', 1, squareRoot),
  floating(format, 'fmadd', 3, (f, r, a, b, c) => fused(f, r, a, b, c, false, false)),
  floating(format, 'fmsub', 3, (f, r, a, b, c) => fused(f, r, a, b, c, false, true)),
  floating(format, 'fnmsub', 3, (f, r, a, b, c) => fused(f, r, a, b, c, true, false)),
  floating(format, 'fnmadd', 3, (f, r, a, b, c) => fused(f, r, a, b, c, true, true)),
  floating(format, 'min', 2, (f, _, a, b) => extreme(f, a, b, 'least')),
  floating(format, 'max', 2, (f, _, a, b) => extreme(f, a, b, 'greatest')),
  comparing(format, 'equal'),
  comparing(format, 'less'),
  comparing(format, 'lessOrEqual'),
  { name: `${format.name}.classify`, operands: 1, run: (_, a) => classify(format, unbox(format, a)) },
  ...([32, 64] as const).flatMap((width) =>
    [true, false].map(
      (signed): Routine => ({
        name: `${format.name}.to${integerName(width, signed)}`,
        operands: 1,
        run: (rounding, a) => toInteger(format, rounding, unbox(format, a), width, signed),
      }),
    ),
  ),
  ...([32, 64] as const).flatMap((width) =>
    [true, false].map(
      (signed): Routine => ({
        name: `${format.name}.from${integerName(width, signed)}`,
        operands: 1,
        run: (rounding, a) =>
          boxed(format, fromInteger(format, rounding, signed ? BigInt.asIntN(width, a) : BigInt.asUintN(width, a))),
      }),
    ),
  ),
  {
    name: `${format.name}.convert`,
    operands: 1,
    run: (rounding, a) => {
      const from = format === f64 ? f32 : f64;
      return boxed(format, convert(format, from, rounding, unbox(from, a)));
    },
  },
]);

export function integerName(width: 32 | 64, signed: boolean): string {
  return `${signed ? 'Signed' : 'Unsigned'}${width}`;
}

function floating(
  format: Format,
  name: string,
  operands: 1 | 2 | 3,
  run: (format: Format, rounding: number, a: bigint, b: bigint, c: bigint) => Outcome,
): Routine {
  return {
    name: `${format.name}.${name}`,
    operands,
    run: (rounding, a, b, c) =>
      boxed(format, run(format, rounding, unbox(format, a), unbox(format, b), unbox(format, c))),
  };
}

function comparing(format: Format, relation: 'equal' | 'less' | 'lessOrEqual'): Routine {
  return {
    name: `${format.name}.${relation}`,
    operands: 2,
    run: (_, a, b) => compare(format, unbox(format, a), unbox(format, b), relation),
  };
}

const boxBits = 0xffff_ffff_0000_0000n;

function unbox(format: Format, register: bigint): bigint {
  const bits = BigInt.asUintN(64, register);
  if (format === f64) return bits;
  return bits >= boxBits ? bits - boxBits : canonicalNan(f32);
}

function boxed(format: Format, outcome: Outcome): Outcome {
  return format === f64 ? outcome : { bits: boxBits | outcome.bits, flags: outcome.flags };
}
