// For tests: one float instruction compiled alone, its operands and results in a small memory.
import { i64 } from '../code.ts';
import type { Instruction } from '../instruction.ts';
import { type AtomicOperation, type LoadKind, Meaning } from '../meaning.ts';
import { Module } from '../module.ts';
import { routines } from './routines.ts';

const at = { f: 0, x: 32, result: 40, fflags: 48, rm: 52, call: 56 };

export interface Inputs {
  readonly f: readonly [bigint, bigint, bigint];
  readonly x: bigint;
  readonly fflags: number;
  readonly rounding: number;
}

export interface Outputs {
  readonly result: bigint;
  readonly fflags: number;
  /** Whether the exact routine was asked. */
  readonly slow: boolean;
}

/** Compiles the instruction; `knownRounding` as a translator would know it. */
export function compileAlone(instruction: Instruction, knownRounding?: number): (inputs: Inputs) => Outputs {
  const module = new Module();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const view = new DataView(memory.buffer);
  module.importMemory('m', 'memory', 1);
  const soft = module.importFunction('m', 'soft', module.type([0x7f]));
  const run = module.declare(module.type([]));
  const code = new Alone(soft, knownRounding);
  instruction.meaning(code);
  module.define(run, code.locals, code.end());
  module.exportFunction('run', run);
  let slow = false;
  const imports = {
    memory,
    soft: (index: number) => {
      slow = true;
      const operand = (i: number): bigint => view.getBigUint64(at.call + 8 * i, true);
      const rounding = knownRounding ?? view.getInt32(at.rm, true);
      const outcome = routines[index]!.run(rounding, operand(0), operand(1), operand(2));
      view.setBigUint64(at.call, outcome.bits, true);
      view.setInt32(at.fflags, view.getInt32(at.fflags, true) | outcome.flags, true);
    },
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { m: imports });
  return ({ f, x, fflags, rounding }) => {
    slow = false;
    for (const [i, bits] of f.entries()) view.setBigUint64(at.f + 8 * i, bits, true);
    view.setBigUint64(at.x, BigInt.asUintN(64, x), true);
    view.setInt32(at.fflags, fflags, true);
    view.setInt32(at.rm, rounding, true);
    instance.exports.run();
    return { result: view.getBigUint64(at.result, true), fflags: view.getInt32(at.fflags, true), slow };
  };
}

class Alone extends Meaning {
  readonly locals: number[] = [];
  readonly #soft: number;
  readonly knownRounding: number | undefined;

  constructor(soft: number, knownRounding: number | undefined) {
    super();
    this.#soft = soft;
    this.knownRounding = knownRounding;
  }

  temp(type: number): number {
    return this.locals.push(type) - 1;
  }

  rs1(): this {
    return this.i32Const(0).i64Load(at.x);
  }

  toRd(): this {
    return this.toFbits();
  }

  fbits(source: 1 | 2 | 3): this {
    return this.i32Const(0).i64Load(at.f + 8 * (source - 1));
  }

  f64(source: 1 | 2 | 3): this {
    return this.fbits(source).f64ReinterpretI64();
  }

  f32(source: 1 | 2 | 3): this {
    this.fbits(source).i32WrapI64().i32Const(0x7fc0_0000).fbits(source);
    return this.i64Const(32).i64ShrU().i64Const(0xffff_ffffn).i64Eq().select().f32ReinterpretI32();
  }

  toFbits(): this {
    const value = this.temp(i64);
    return this.localSet(value).i32Const(0).localGet(value).i64Store(at.result);
  }

  toF64(): this {
    return this.i64ReinterpretF64().toFbits();
  }

  toF32(): this {
    return this.i32ReinterpretF32()
      .i64ExtendI32U()
      .i64Const(-1n << 32n)
      .i64Or()
      .toFbits();
  }

  raise(): this {
    const flags = this.temp(0x7f);
    this.localSet(flags).i32Const(0).fflags().localGet(flags);
    return this.i32Or().i32Store(at.fflags);
  }

  fflags(): this {
    return this.i32Const(0).i32Load(at.fflags);
  }

  rounding(): this {
    return this.i32Const(0).i32Load(at.rm);
  }

  soft(name: string): this {
    const index = routines.findIndex((routine) => routine.name === name);
    const value = this.temp(i64);
    for (let i = routines[index]!.operands - 1; i >= 0; i--) {
      this.localSet(value)
        .i32Const(0)
        .localGet(value)
        .i64Store(at.call + 8 * i);
    }
    return this.i32Const(index).call(this.#soft).i32Const(0).i64Load(at.call);
  }

  rs2 = unused;
  imm = unused;
  pc = unused;
  nextPc = unused;
  load: (kind: LoadKind) => this = unused;
  store = unused;
  loadFloat = unused;
  storeFloat = unused;
  atomic: (operation: AtomicOperation) => this = unused;
  loadReserved = unused;
  storeConditional = unused;
  branch = unused;
  jump = unused;
  jumpIndirect = unused;
  system = unused;
  illegal = unused;
}

function unused(): never {
  throw new Error('Cannot compile this instruction alone: it is more than arithmetic');
}
