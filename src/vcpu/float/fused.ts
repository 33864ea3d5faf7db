// Fused multiply-add on the host: relaxed SIMD's madd is fused where the CPU has FMA, and not where it lacks it, so it is tried
// once before anything relies on it (relaxed SIMD, section "Relaxed fused multiply-add").
import { Code, f64 } from '../code.ts';
import { Module } from '../module.ts';

const simd = 0xfd;
const operations = {
  f32: { splat: 0x13, lane: 0x1f, madd: 0x105 },
  f64: { splat: 0x14, lane: 0x21, madd: 0x107 },
} as const;

/** Pops three numbers a, b, c through the given pushes and pushes a * b + c rounded once. */
export function multiplyAdd(m: Code, format: 'f32' | 'f64', a: () => void, b: () => void, c: () => void): void {
  const { splat, lane, madd } = operations[format];
  for (const push of [a, b, c]) {
    push();
    m.byte(simd).unsigned(splat);
  }
  m.byte(simd).unsigned(madd).byte(simd).unsigned(lane).byte(0);
}

let known: boolean | undefined;

/** Whether `multiplyAdd` exists here and rounds once. */
export function hostFuses(): boolean {
  known ??= tryFused();
  return known;
}

function tryFused(): boolean {
  const module = new Module();
  const code = new Code();
  multiplyAdd(
    code,
    'f64',
    () => code.localGet(0),
    () => code.localGet(0),
    () => code.localGet(1),
  );
  const func = module.declare(module.type([f64, f64], [f64]));
  module.define(func, [], code.end());
  module.exportFunction('fused', func);
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const fused = exports.fused as (a: number, b: number) => number;
  // (1 + 2^-30)^2 - (1 + 2^-29) is 2^-60; rounded twice it is 0.
  return fused(1 + 2 ** -30, -(1 + 2 ** -29)) === 2 ** -60;
}
