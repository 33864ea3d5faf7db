// The rows of the F and D extensions (unprivileged architecture, chapters "F" and "D"), both formats from one description.
import { i32, i64 } from '../code.ts';
import type { Format as Encoding, Instruction } from '../instruction.ts';
import type { Meaning } from '../meaning.ts';
import {
  double,
  finite,
  guarded,
  inexactOr,
  isZero,
  nearest,
  normal,
  productExact,
  single,
  sumExact,
  type Width,
} from './fast.ts';
import { flag } from './format.ts';
import { hostFuses, multiplyAdd } from './fused.ts';
import { integerName } from './routines.ts';

const opFp = 0x53;
const anyRounding = 0xfe00_007f;
const fixedSource = 0xfff0_007f;
const fixedFunction = 0xfe00_707f;
const fixedBoth = 0xfff0_707f;

type Row = Omit<Instruction, 'extension'>;

export const floatInstructions: readonly Instruction[] = [single, double].flatMap((w) =>
  rows(w).map((row) => ({ extension: w === double ? 'D' : 'F', ...row })),
);

function rows(w: Width): Row[] {
  const d = w === double;
  const letter = d ? 'd' : 's';
  const bytes = d ? 8 : 4;
  const width = d ? 3 : 2;
  return [
    memory(d ? 'fld' : 'flw', 'I', 0x07, width, 'fx', (m) => m.loadFloat(bytes)),
    memory(d ? 'fsd' : 'fsw', 'S', 0x27, width, 'xxf', (m) => m.storeFloat(bytes)),
    arithmetic(w, 'fadd', 0x00, 'fff', (m) => sum(m, w, 'Add')),
    arithmetic(w, 'fsub', 0x04, 'fff', (m) => sum(m, w, 'Sub')),
    arithmetic(w, 'fmul', 0x08, 'fff', (m) => product(m, w)),
    arithmetic(w, 'fdiv', 0x0c, 'fff', (m) => quotient(m, w)),
    fixed(`fsqrt.${letter}`, w, 0x2c, 0, 'ff', (m) => root(m, w)),
    ...(['fmadd', 'fmsub', 'fnmsub', 'fnmadd'] as const).map(
      (name, i): Row => ({
        name: `${name}.${letter}`,
        format: 'R4',
        mask: 0x0600_007f,
        match: 0x43 + 4 * i + (d ? 1 << 25 : 0),
        files: 'ffff',
        rounds: true,
        meaning: (m) => fusedProduct(m, w, name),
      }),
    ),
    chosen(`fsgnj.${letter}`, w, 0x10, 0, 'fff', (m) => sign(m, w, 'copy')),
    chosen(`fsgnjn.${letter}`, w, 0x10, 1, 'fff', (m) => sign(m, w, 'negate')),
    chosen(`fsgnjx.${letter}`, w, 0x10, 2, 'fff', (m) => sign(m, w, 'xor')),
    chosen(`fmin.${letter}`, w, 0x14, 0, 'fff', (m) => extreme(m, w, 'Min', 'min')),
    chosen(`fmax.${letter}`, w, 0x14, 1, 'fff', (m) => extreme(m, w, 'Max', 'max')),
    chosen(`feq.${letter}`, w, 0x50, 2, 'xff', (m) => relation(m, w, 'Eq', 'equal')),
    chosen(`flt.${letter}`, w, 0x50, 1, 'xff', (m) => relation(m, w, 'Lt', 'less')),
    chosen(`fle.${letter}`, w, 0x50, 0, 'xff', (m) => relation(m, w, 'Le', 'lessOrEqual')),
    {
      ...chosen(`fclass.${letter}`, w, 0x70, 1, 'xf', (m) => m.fbits(1).soft(`${w.format}.classify`).toRd()),
      mask: fixedBoth,
      format: 'unary',
    },
    ...([32, 64] as const).flatMap((size) => [true, false].flatMap((signed) => integers(w, size, signed))),
    { ...chosen(d ? 'fmv.x.d' : 'fmv.x.w', w, 0x70, 0, 'xf', (m) => bitsOut(m, d)), mask: fixedBoth, format: 'unary' },
    { ...chosen(d ? 'fmv.d.x' : 'fmv.w.x', w, 0x78, 0, 'fx', (m) => bitsIn(m, d)), mask: fixedBoth, format: 'unary' },
    d ? fixed('fcvt.d.s', w, 0x20, 0, 'ff', (m) => widen(m)) : fixed('fcvt.s.d', w, 0x20, 1, 'ff', (m) => narrow(m)),
  ];
}

function memory(
  name: string,
  format: Encoding,
  opcode: number,
  width: number,
  files: string,
  meaning: Row['meaning'],
): Row {
  return { name, format, mask: 0x707f, match: (width << 12) | opcode, files, meaning };
}

/** An OP-FP row by its funct7 in single precision; the format is the low bits of funct7. */
function row(
  w: Width,
  name: string,
  funct7: number,
  more: number,
  mask: number,
  files: string,
  meaning: Row['meaning'],
): Row {
  const match = (((funct7 | (w === double ? 1 : 0)) << 25) | more | opFp) >>> 0;
  return { name, format: 'R', mask, match, files, meaning };
}

function arithmetic(w: Width, name: string, funct7: number, files: string, meaning: Row['meaning']): Row {
  const letter = w === double ? 'd' : 's';
  return { ...row(w, `${name}.${letter}`, funct7, 0, anyRounding, files, meaning), rounds: true };
}

/** A rounding row whose rs2 field is a constant. */
function fixed(name: string, w: Width, funct7: number, rs2: number, files: string, meaning: Row['meaning']): Row {
  return { ...row(w, name, funct7, rs2 << 20, fixedSource, files, meaning), format: 'unary', rounds: true };
}

/** A row that rounds nothing and whose funct3 is a constant. */
function chosen(name: string, w: Width, funct7: number, funct3: number, files: string, meaning: Row['meaning']): Row {
  return row(w, name, funct7, funct3 << 12, fixedFunction, files, meaning);
}

function sum(m: Meaning, w: Width, op: 'Add' | 'Sub'): void {
  const [a, b] = operands(m, w);
  if (op === 'Sub') w.op(m.localGet(b), 'Neg').localSet(b);
  const r = m.temp(w.type);
  w.op(m.localGet(a).localGet(b), 'Add').localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      finite(m, w, r).i32And();
      inexactOr(m, () => sumExact(m, w, a, b, r)).i32And();
    },
    () => w.store(m.localGet(r)),
    `${w.format}.${op === 'Add' ? 'add' : 'subtract'}`,
    [1, 2],
  );
}

function product(m: Meaning, w: Width): void {
  const [a, b] = operands(m, w);
  const r = m.temp(w.type);
  w.op(m.localGet(a).localGet(b), 'Mul').localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      normal(m, w, r).if_(i32);
      inexactOr(m, () => productExact(m, w, a, b, r));
      m.else_();
      isZero(m, w, a);
      isZero(m, w, b).i32Or();
      finite(m, w, r).i32And().end().i32And();
    },
    () => w.store(m.localGet(r)),
    `${w.format}.multiply`,
    [1, 2],
  );
}

function quotient(m: Meaning, w: Width): void {
  const [a, b] = operands(m, w);
  const r = m.temp(w.type);
  w.op(m.localGet(a).localGet(b), 'Div').localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      normal(m, w, r).if_(i32);
      inexactOr(m, () => {
        w.op(w.op(m.localGet(r).localGet(b), 'Mul').localGet(a), 'Eq');
        productExact(m, w, r, b, a).i32And();
      });
      m.else_();
      isZero(m, w, a);
      finite(m, w, r).i32And();
      isZero(m, w, r).i32And().end().i32And();
    },
    () => w.store(m.localGet(r)),
    `${w.format}.divide`,
    [1, 2],
  );
}

function root(m: Meaning, w: Width): void {
  const [a, r] = [m.temp(w.type), m.temp(w.type)];
  w.op(w.source(m, 1).localTee(a), 'Sqrt').localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      finite(m, w, r).i32And();
      inexactOr(m, () => {
        w.op(w.op(m.localGet(r).localGet(r), 'Mul').localGet(a), 'Eq');
        productExact(m, w, r, r, a).i32And();
      }).i32And();
    },
    () => w.store(m.localGet(r)),
    `${w.format}.squareRoot`,
    [1],
  );
}

function fusedProduct(m: Meaning, w: Width, name: 'fmadd' | 'fmsub' | 'fnmsub' | 'fnmadd'): void {
  const routine = `${w.format}.${name}`;
  if (!hostFuses()) {
    m.fbits(1).fbits(2).fbits(3).soft(routine).toFbits();
    return;
  }
  const r = m.temp(w.type);
  const negateProduct = name === 'fnmsub' || name === 'fnmadd';
  const negateAddend = name === 'fmsub' || name === 'fnmadd';
  const push = (source: 1 | 2 | 3, negate: boolean) => () => {
    w.source(m, source);
    if (negate) w.op(m, 'Neg');
  };
  multiplyAdd(m, w.format, push(1, negateProduct), push(2, false), push(3, negateAddend));
  m.localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      normal(m, w, r).i32And();
      m.fflags().i32Const(flag.inexact).i32And().i32And();
    },
    () => w.store(m.localGet(r)),
    routine,
    [1, 2, 3],
  );
}

/** The sign of a, taken from b, in the raw bits. A single that is not boxed counts as the canonical NaN. */
function sign(m: Meaning, w: Width, how: 'copy' | 'negate' | 'xor'): void {
  if (w === double) {
    const top = -(1n << 63n);
    m.fbits(1);
    if (how !== 'xor') m.i64Const(~top).i64And();
    m.fbits(2);
    if (how === 'negate') m.i64Const(-1).i64Xor();
    m.i64Const(top).i64And();
    if (how === 'xor') m.i64Xor();
    else m.i64Or();
    m.toFbits();
    return;
  }
  const top = -0x8000_0000;
  m.f32(1).i32ReinterpretF32();
  if (how !== 'xor') m.i32Const(~top).i32And();
  m.f32(2).i32ReinterpretF32();
  if (how === 'negate') m.i32Const(-1).i32Xor();
  m.i32Const(top).i32And();
  if (how === 'xor') m.i32Xor();
  else m.i32Or();
  m.i64ExtendI32U()
    .i64Const(-1n << 32n)
    .i64Or()
    .toFbits();
}

function extreme(m: Meaning, w: Width, op: 'Min' | 'Max', routine: string): void {
  const [a, b] = operands(m, w);
  guarded(
    m,
    () => ordered(m, w, a, b),
    () => w.store(w.op(m.localGet(a).localGet(b), op)),
    `${w.format}.${routine}`,
    [1, 2],
  );
}

function relation(m: Meaning, w: Width, op: 'Eq' | 'Lt' | 'Le', routine: string): void {
  const [a, b] = operands(m, w);
  guarded(
    m,
    () => ordered(m, w, a, b),
    () => w.op(m.localGet(a).localGet(b), op).i64ExtendI32U().toRd(),
    `${w.format}.${routine}`,
    [1, 2],
    'x',
  );
}

/** Conversions between this format and an integer of `size` bits, both ways. */
function integers(w: Width, size: 32 | 64, signed: boolean): Row[] {
  const letter = w === double ? 'd' : 's';
  const integer = `${size === 32 ? 'w' : 'l'}${signed ? '' : 'u'}`;
  const code = (size === 32 ? 0 : 2) + (signed ? 0 : 1);
  const name = integerName(size, signed);
  return [
    fixed(`fcvt.${integer}.${letter}`, w, 0x60, code, 'xf', (m) => toInteger(m, w, size, signed, name)),
    fixed(`fcvt.${letter}.${integer}`, w, 0x68, code, 'fx', (m) => fromInteger(m, w, size, signed, name)),
  ];
}

/**
 * To an integer: fast where the number lies well inside the range and the mode is one the host has. What truncation changes is
 * told by comparing, so the inexact flag is exact.
 */
function toInteger(m: Meaning, w: Width, size: 32 | 64, signed: boolean, name: string): void {
  const a = m.temp(double.type);
  const rounded = m.temp(double.type);
  const known = m.knownRounding;
  w.source(m, 1);
  if (w !== double) m.f64PromoteF32();
  m.localTee(a);
  if (known === undefined) {
    m.f64Trunc().localGet(a).f64Nearest().rounding().i32Const(1).i32Eq().select();
  } else if (known === 0) m.f64Nearest();
  else if (known === 2) m.f64Floor();
  else if (known === 3) m.f64Ceil();
  else m.f64Trunc();
  m.localSet(rounded);
  guarded(
    m,
    () => {
      if (known === undefined) m.rounding().i32Const(2).i32LtU();
      else m.i32Const(known < 4 ? 1 : 0);
      const bits = signed ? size - 1 : size;
      m.localGet(rounded)
        .f64Const(signed ? -(2 ** bits) : 0)
        .f64Ge()
        .i32And();
      m.localGet(rounded)
        .f64Const(2 ** bits)
        .f64Lt()
        .i32And();
    },
    () => {
      m.localGet(rounded).localGet(a).f64Ne().raise();
      m.localGet(rounded);
      if (signed) m.i64TruncSatF64S();
      else m.i64TruncSatF64U();
      if (size === 32 && !signed) m.i64Extend32S();
      m.toRd();
    },
    `${w.format}.to${name}`,
    [1],
    'x',
  );
}

/** From an integer: exact below 2^53 (2^24), else by the exact routine unless inexact has accrued. */
function fromInteger(m: Meaning, w: Width, size: 32 | 64, signed: boolean, name: string): void {
  const a = m.temp(i64);
  m.rs1();
  if (size === 32) {
    if (signed) m.i64Extend32S();
    else m.i64Const(0xffff_ffffn).i64And();
  }
  m.localSet(a);
  const convert = (): void => {
    m.localGet(a);
    if (w === double) signed ? m.f64ConvertI64S() : m.f64ConvertI64U();
    else signed ? m.f32ConvertI64S() : m.f32ConvertI64U();
    w.store(m);
  };
  if (w === double && size === 32) {
    convert();
    return;
  }
  const limit = w === double ? 2n ** 53n : 2n ** 24n;
  guarded(
    m,
    () => {
      m.localGet(a);
      if (signed)
        m.i64Const(limit)
          .i64Add()
          .i64Const(2n * limit)
          .i64LeU();
      else m.i64Const(limit).i64LeU();
      m.if_(i32).i32Const(1).else_();
      nearest(m);
      m.fflags().i32Const(flag.inexact).i32And().i32And().end();
    },
    convert,
    `${w.format}.from${name}`,
    'x',
  );
}

function bitsOut(m: Meaning, isDouble: boolean): void {
  m.fbits(1);
  if (!isDouble) m.i64Extend32S();
  m.toRd();
}

function bitsIn(m: Meaning, isDouble: boolean): void {
  m.rs1();
  if (!isDouble) m.i64Const(-1n << 32n).i64Or();
  m.toFbits();
}

function widen(m: Meaning): void {
  const a = m.temp(single.type);
  m.f32(1).localSet(a);
  guarded(
    m,
    () => m.localGet(a).localGet(a).f32Eq(),
    () => m.localGet(a).f64PromoteF32().toF64(),
    'f64.convert',
    [1],
  );
}

function narrow(m: Meaning): void {
  const a = m.temp(double.type);
  const r = m.temp(single.type);
  m.f64(1).localTee(a).f32DemoteF64().localSet(r);
  guarded(
    m,
    () => {
      nearest(m);
      normal(m, single, r).if_(i32);
      inexactOr(m, () => m.localGet(r).f64PromoteF32().localGet(a).f64Eq());
      m.else_();
      isZero(m, double, a).end().i32And();
    },
    () => m.localGet(r).toF32(),
    'f32.convert',
    [1],
  );
}

/** Pushes whether neither local is a NaN. */
function ordered(m: Meaning, w: Width, a: number, b: number): void {
  w.op(m.localGet(a).localGet(a), 'Eq');
  w.op(m.localGet(b).localGet(b), 'Eq').i32And();
}

/** F[rs1] and F[rs2] in locals. */
function operands(m: Meaning, w: Width): [number, number] {
  const [a, b] = [m.temp(w.type), m.temp(w.type)];
  w.source(m, 1).localSet(a);
  w.source(m, 2).localSet(b);
  return [a, b];
}
