// A thin layer over class Code in which the hart's runtime is written by hand: typed expressions and a few statements, so
// that it reads like a program. Plain numbers stand for constants of the other operand's type.
import { Code, i32, i64 } from './code.ts';
import type { Module } from './module.ts';

/** Something that pushes one value. */
export interface Expression {
  readonly type: number;
  readonly push: (code: Code) => void;
}

export type Operand = Expression | number | bigint;

export interface Local extends Expression {
  readonly index: number;
}

type Emit = (code: Code) => void;

export function constant(type: number, value: number | bigint): Expression {
  return { type, push: (code) => (type === i64 ? code.i64Const(BigInt(value)) : code.i32Const(Number(value))) };
}

function operand(value: Operand, like: number): Expression {
  return typeof value === 'object' ? value : constant(like, value);
}

type Arithmetic = 'Add' | 'Sub' | 'Mul' | 'And' | 'Or' | 'Xor' | 'Shl' | 'ShrU' | 'ShrS';
type Comparison = 'Eq' | 'Ne' | 'LtU' | 'GeU';
type Binary = (a: Operand, b: Operand) => Expression;

/** The instruction of that name for the operands' type; a comparison's result is i32. */
function binary(name: Arithmetic | Comparison, result?: number): Binary {
  return (a, b) => {
    const type = typeof a === 'object' ? a.type : typeof b === 'object' ? b.type : i32;
    return {
      type: result ?? type,
      push: (code) => {
        operand(a, type).push(code);
        operand(b, type).push(code);
        code[`${type === i64 ? 'i64' : 'i32'}${name}`]();
      },
    };
  };
}

function unary(a: Expression, type: number, emit: Emit): Expression {
  return {
    type,
    push: (code) => {
      a.push(code);
      emit(code);
    },
  };
}

export const add: Binary = binary('Add');
export const sub: Binary = binary('Sub');
export const mul: Binary = binary('Mul');
export const and: Binary = binary('And');
export const or: Binary = binary('Or');
export const xor: Binary = binary('Xor');
export const shl: Binary = binary('Shl');
export const shr: Binary = binary('ShrU');
/** Shifts the sign in. */
export const sar: Binary = binary('ShrS');
export const eq: Binary = binary('Eq', i32);
export const ne: Binary = binary('Ne', i32);
export const ltU: Binary = binary('LtU', i32);
export const geU: Binary = binary('GeU', i32);
export const not = (a: Expression): Expression => unary(a, i32, (c) => (a.type === i64 ? c.i64Eqz() : c.i32Eqz()));
/** Whether any of the bits is set. */
export const has = (a: Expression, bits: number | bigint): Expression => ne(and(a, bits), 0);
export const wrap = (a: Expression): Expression => unary(a, i32, (c) => c.i32WrapI64());
export const extend = (a: Expression): Expression => unary(a, i64, (c) => c.i64ExtendI32U());

export const choose = (condition: Expression, yes: Expression, otherwise: Operand): Expression => ({
  type: yes.type,
  push: (code) => {
    yes.push(code);
    operand(otherwise, yes.type).push(code);
    condition.push(code);
    code.select();
  },
});

function access(type: number, address: Operand, emit: Emit): Expression {
  return unary(operand(address, i32), type, emit);
}

/** Memory; `offset` is a constant that is added to the address. */
export const load64 = (address: Operand, offset = 0): Expression => access(i64, address, (c) => c.i64Load(offset));
export const load32 = (address: Operand, offset = 0): Expression => access(i32, address, (c) => c.i32Load(offset));
export const load16 = (address: Operand, offset = 0): Expression => access(i32, address, (c) => c.i32Load16U(offset));
export const load8 = (address: Operand, offset = 0): Expression => access(i32, address, (c) => c.i32Load8U(offset));
export const atomic32 = (address: Operand, offset = 0): Expression =>
  access(i32, address, (c) => c.i32AtomicLoad(offset));
export const atomic8 = (address: Operand, offset = 0): Expression =>
  access(i32, address, (c) => c.i32AtomicLoad8U(offset));
export const atomic64 = (address: Operand, offset = 0): Expression =>
  access(i64, address, (c) => c.i64AtomicLoad(offset));

/** Calls a function of the module; `type` is its result's. */
export const call = (func: number, type: number, ...values: readonly Expression[]): Expression => ({
  type,
  push: (code) => {
    for (const value of values) value.push(code);
    code.call(func);
  },
});

/** A function of the runtime while it is written. Finished by `define`. */
export class Routine {
  readonly code: Code = new Code();
  readonly #locals: number[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  parameter(index: number, type: number): Local {
    return { index, type, push: (code) => code.localGet(index) };
  }

  local(type: number, initial?: Operand): Local {
    const index = this.#parameters + this.#locals.push(type) - 1;
    const local: Local = { index, type, push: (code) => code.localGet(index) };
    if (initial !== undefined) this.set(local, initial);
    return local;
  }

  set(local: Local, value: Operand): void {
    operand(value, local.type).push(this.code);
    this.code.localSet(local.index);
  }

  /** Pushes an expression: the operand of what is emitted next, or the function's result. */
  push(value: Expression): Code {
    value.push(this.code);
    return this.code;
  }

  if(condition: Expression, then: () => void, otherwise?: () => void): void {
    this.push(condition).if_();
    then();
    if (otherwise) {
      this.code.else_();
      otherwise();
    }
    this.code.end();
  }

  while(condition: Expression, body: () => void): void {
    this.code.block().loop();
    this.push(not(condition)).brIf(1);
    body();
    this.code.br(0).end().end();
  }

  return(value?: Operand, type: number = i32): void {
    if (value !== undefined) this.push(operand(value, type));
    this.code.return_();
  }

  store64(address: Operand, offset: number, value: Operand): void {
    this.push(operand(address, i32));
    this.push(operand(value, i64)).i64Store(offset);
  }

  store32(address: Operand, offset: number, value: Operand): void {
    this.push(operand(address, i32));
    this.push(operand(value, i32)).i32Store(offset);
  }

  store8(address: Operand, offset: number, value: Operand): void {
    this.push(operand(address, i32));
    this.push(operand(value, i32)).i32Store8(offset);
  }

  /** memory.fill. */
  fill(address: Operand, byte: number, bytes: number): void {
    this.push(operand(address, i32));
    this.code.i32Const(byte).i32Const(bytes).memoryFill();
  }

  /** Calls a function that gives nothing back. */
  do(func: number, ...values: readonly Expression[]): void {
    for (const value of values) this.push(value);
    this.code.call(func);
  }

  define(module: Module, func: number): void {
    this.code.end();
    module.define(func, this.#locals, this.code);
  }
}
