// Rows of the M extension (unprivileged architecture, chapter 12). Division never traps: by zero it gives all ones and the
// dividend, and the one overflow (most negative by -1) gives the dividend and 0.
import { i32, i64 } from './code.ts';
import type { Instruction } from './instruction.ts';
import type { Meaning } from './meaning.ts';

const register = 0x33;
const registerW = 0x3b;

export const multiplyInstructions: readonly Instruction[] = [
  row('mul', register, 0, (m) => m.rs1().rs2().i64Mul().toRd()),
  row('mulh', register, 1, (m) => {
    highProduct(m);
    minusIfNegative(m, 1);
    minusIfNegative(m, 2);
    m.toRd();
  }),
  row('mulhsu', register, 2, (m) => {
    highProduct(m);
    minusIfNegative(m, 1);
    m.toRd();
  }),
  row('mulhu', register, 3, (m) => {
    highProduct(m);
    m.toRd();
  }),
  row('div', register, 4, (m) => {
    const [a, b] = operands(m);
    m.localGet(b).i64Eqz().if_(i64).i64Const(-1).else_();
    m.localGet(b).i64Const(-1).i64Eq().if_(i64).i64Const(0).localGet(a).i64Sub().else_();
    m.localGet(a).localGet(b).i64DivS().end().end().toRd();
  }),
  row('divu', register, 5, (m) => {
    const [a, b] = operands(m);
    m.localGet(b).i64Eqz().if_(i64).i64Const(-1).else_().localGet(a).localGet(b).i64DivU().end().toRd();
  }),
  row('rem', register, 6, (m) => {
    const [a, b] = operands(m);
    m.localGet(b).i64Eqz().if_(i64).localGet(a).else_().localGet(a).localGet(b).i64RemS().end().toRd();
  }),
  row('remu', register, 7, (m) => {
    const [a, b] = operands(m);
    m.localGet(b).i64Eqz().if_(i64).localGet(a).else_().localGet(a).localGet(b).i64RemU().end().toRd();
  }),

  row('mulw', registerW, 0, (m) => m.rs1().i32WrapI64().rs2().i32WrapI64().i32Mul().i64ExtendI32S().toRd()),
  row('divw', registerW, 4, (m) => {
    const [a, b] = wordOperands(m);
    m.localGet(b).i32Eqz().if_(i32).i32Const(-1).else_();
    m.localGet(b).i32Const(-1).i32Eq().if_(i32).i32Const(0).localGet(a).i32Sub().else_();
    m.localGet(a).localGet(b).i32DivS().end().end().i64ExtendI32S().toRd();
  }),
  row('divuw', registerW, 5, (m) => {
    const [a, b] = wordOperands(m);
    m.localGet(b).i32Eqz().if_(i32).i32Const(-1).else_().localGet(a).localGet(b).i32DivU().end();
    m.i64ExtendI32S().toRd();
  }),
  row('remw', registerW, 6, (m) => {
    const [a, b] = wordOperands(m);
    m.localGet(b).i32Eqz().if_(i32).localGet(a).else_().localGet(a).localGet(b).i32RemS().end();
    m.i64ExtendI32S().toRd();
  }),
  row('remuw', registerW, 7, (m) => {
    const [a, b] = wordOperands(m);
    m.localGet(b).i32Eqz().if_(i32).localGet(a).else_().localGet(a).localGet(b).i32RemU().end();
    m.i64ExtendI32S().toRd();
  }),
];

function row(name: string, opcode: number, funct3: number, meaning: (m: Meaning) => void): Instruction {
  const match = opcode | (funct3 << 12) | (1 << 25);
  return { name, extension: 'M', format: 'R', mask: 0xfe00_707f, match, meaning };
}

/** Takes X[rs1] and X[rs2] into two locals. */
function operands(m: Meaning): [number, number] {
  const a = m.temp(i64);
  const b = m.temp(i64);
  m.rs1().localSet(a).rs2().localSet(b);
  return [a, b];
}

function wordOperands(m: Meaning): [number, number] {
  const a = m.temp(i32);
  const b = m.temp(i32);
  m.rs1().i32WrapI64().localSet(a).rs2().i32WrapI64().localSet(b);
  return [a, b];
}

/** Pushes the upper half of the unsigned 128-bit product, by schoolbook multiplication of 32-bit halves. */
function highProduct(m: Meaning): void {
  const [a, b] = operands(m);
  const middle = m.temp(i64);
  const low = 0xffff_ffffn;
  // middle = highA * lowB + (lowA * lowB >> 32)
  m.localGet(a).i64Const(32).i64ShrU().localGet(b).i64Const(low).i64And().i64Mul();
  m.localGet(a).i64Const(low).i64And().localGet(b).i64Const(low).i64And().i64Mul().i64Const(32).i64ShrU();
  m.i64Add().localSet(middle);
  // highA * highB + (middle >> 32) + (lowA * highB + (middle & low) >> 32)
  m.localGet(a).i64Const(32).i64ShrU().localGet(b).i64Const(32).i64ShrU().i64Mul();
  m.localGet(middle).i64Const(32).i64ShrU().i64Add();
  m.localGet(a).i64Const(low).i64And().localGet(b).i64Const(32).i64ShrU().i64Mul();
  m.localGet(middle).i64Const(low).i64And().i64Add().i64Const(32).i64ShrU().i64Add();
}

/** From the product on the stack takes the other operand if operand `which`, read as signed, is negative. */
function minusIfNegative(m: Meaning, which: 1 | 2): void {
  if (which === 1) m.rs1().i64Const(63).i64ShrS().rs2();
  else m.rs2().i64Const(63).i64ShrS().rs1();
  m.i64And().i64Sub();
}
