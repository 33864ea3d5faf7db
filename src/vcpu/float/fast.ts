// Floating point at the host's speed, with exact flags: the host computes the rounded value; what is emitted here decides
// whether that value, and the flags as they stand, are surely right. If not, the exact routine does it again.
// The host rounds to nearest even and tells no flags, so the fast road asks for that mode and for either "inexact has
// accrued already" (as nearly always, after the first inexact operation) or a proof that the result is exact.
import { f32, f64, i32, i64 } from '../code.ts';
import type { Meaning } from '../meaning.ts';
import { flag } from './format.ts';

/** One of the two formats as code: its WebAssembly type, operations and limits. */
export interface Width {
  readonly format: 'f32' | 'f64';
  readonly type: number;
  readonly leastNormal: number;
  readonly source: (m: Meaning, source: 1 | 2 | 3) => Meaning;
  readonly store: (m: Meaning) => Meaning;
  readonly constant: (m: Meaning, value: number) => Meaning;
  readonly op: (m: Meaning, name: Operation) => Meaning;
}

type Operation = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Sqrt' | 'Abs' | 'Neg' | 'Lt' | 'Gt' | 'Le' | 'Eq' | 'Min' | 'Max';

export const double: Width = {
  format: 'f64',
  type: f64,
  leastNormal: 2 ** -1022,
  source: (m, source) => m.f64(source),
  store: (m) => m.toF64(),
  constant: (m, value) => m.f64Const(value),
  op: (m, name) => m[`f64${name}`](),
};

export const single: Width = {
  format: 'f32',
  type: f32,
  leastNormal: 2 ** -126,
  source: (m, source) => m.f32(source),
  store: (m) => m.toF32(),
  constant: (m, value) => m.f32Const(value),
  op: (m, name) => m[`f32${name}`](),
};

/**
 * Emits: if `ok` (pushes an i32) then `fast`, else the exact routine into F[rd] or X[rd]. Its operands are f registers, raw, or
 * X[rs1].
 */
export function guarded(
  m: Meaning,
  ok: () => void,
  fast: () => void,
  routine: string,
  operands: readonly (1 | 2 | 3)[] | 'x',
  result: 'f' | 'x' = 'f',
): void {
  ok();
  m.if_();
  fast();
  m.else_();
  if (operands === 'x') m.rs1();
  else for (const source of operands) m.fbits(source);
  m.soft(routine);
  if (result === 'f') m.toFbits();
  else m.toRd();
  m.end();
}

/** Pushes whether the rounding mode is to nearest even; i32. */
export function nearest(m: Meaning): Meaning {
  if (m.knownRounding !== undefined) return m.i32Const(m.knownRounding === 0 ? 1 : 0);
  return m.rounding().i32Eqz();
}

/** Pushes whether inexact has accrued, or else what `proof` pushes; i32. */
export function inexactOr(m: Meaning, proof: () => void): Meaning {
  m.fflags().i32Const(flag.inexact).i32And().if_(i32).i32Const(1).else_();
  proof();
  return m.end();
}

/** Pushes whether local `r` is neither infinite nor a NaN. */
export function finite(m: Meaning, w: Width, r: number): Meaning {
  return w.op(w.constant(w.op(m.localGet(r), 'Abs'), Infinity), 'Lt');
}

/** Pushes whether local `r` is finite and beyond the least normal number, so that it neither over- nor underflowed. */
export function normal(m: Meaning, w: Width, r: number): Meaning {
  w.op(w.constant(w.op(m.localGet(r), 'Abs'), w.leastNormal), 'Gt');
  return finite(m, w, r).i32And();
}

export function isZero(m: Meaning, w: Width, local: number): Meaning {
  return w.op(w.constant(m.localGet(local), 0), 'Eq');
}

/** Pushes whether r = a + b had no rounding error (Knuth's two-sum, which is exact where nothing overflows). */
export function sumExact(m: Meaning, w: Width, a: number, b: number, r: number): Meaning {
  const part = m.temp(w.type);
  w.op(m.localGet(r).localGet(a), 'Sub').localSet(part);
  w.op(m.localGet(b).localGet(part), 'Sub');
  w.op(m.localGet(r).localGet(part), 'Sub');
  w.op(m.localSet(part).localGet(a).localGet(part), 'Sub');
  w.op(m, 'Add');
  return w.op(w.constant(m, 0), 'Eq');
}

/** Pushes whether p = a * b is surely exact: in single precision by the double product, else by counting significant bits. */
export function productExact(m: Meaning, w: Width, a: number, b: number, p: number): Meaning {
  if (w.type === f32) {
    m.localGet(a).f64PromoteF32().localGet(b).f64PromoteF32().f64Mul();
    return m.localGet(p).f64PromoteF32().f64Eq();
  }
  const zeros = m.temp(i64);
  trailingZeros(m, a, zeros);
  trailingZeros(m, b, zeros);
  return m.i64Add().i64Const(53).i64GeU();
}

/**
 * Pushes the zero bits at the end of the significand of local `a`, i64; one more for a power of two, since a factor with one
 * significant bit adds none to a product.
 */
function trailingZeros(m: Meaning, a: number, zeros: number): void {
  m.localGet(a)
    .i64ReinterpretF64()
    .i64Const(1n << 52n)
    .i64Or()
    .i64Ctz()
    .localTee(zeros);
  m.localGet(zeros).i64Const(52).i64Eq().i64ExtendI32U().i64Add();
}
