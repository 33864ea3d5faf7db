// Memory accesses that the TLBs do not answer at once: misses, misaligned ones, devices' registers, and stores to pages with
// decoded instructions. The address comes with the trap's epc already in state.pc.
import { pageFlag, pageShift } from '../memory/layout.ts';
import { type Code, i32, i64 } from './code.ts';
import { state } from './hart-state.ts';
import type { LoadKind } from './meaning.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  atomic8,
  call,
  choose,
  constant,
  type Expression,
  eq,
  extend,
  has,
  type Local,
  load8,
  load16,
  load32,
  load64,
  ltU,
  ne,
  not,
  or,
  Routine,
  shl,
  shr,
  sub,
  wrap,
} from './routine.ts';
import { accessKind, cause, type Place, type Runtime, translated } from './runtime.ts';

/** How a loaded value is widened: what `load` of the runtime takes. A float is boxed. */
export const loadKinds: readonly (LoadKind | 'float')[] = ['i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'i64', 'float'];

export interface Accesses {
  /** (va: i64, bytes: i32, kind: i32, place: i32) -> i32: loads to the word at `place`; not 0 if it trapped. */
  readonly load: number;
  /** (va: i64, value: i64, bytes: i32) -> i32. */
  readonly store: number;
  /** (va: i64, bytes: i32, access: i32) -> i32: the offset of an aligned atomic access, 0 if it trapped. */
  readonly resolve: number;
  /** (offset: i32, bytes: i32): what `resolve` gave has been written. Not before: other harts look at the bytes when they hear. */
  readonly note: number;
}

const pageMask = (1 << pageShift) - 1;

export function defineAccesses(module: Module, runtime: Runtime, { layout }: Place): Accesses {
  const { imports, at } = runtime;
  const load = module.declare(module.type([i64, i32, i32, i32], [i32]));
  const store = module.declare(module.type([i64, i64, i32], [i32]));
  const resolve = module.declare(module.type([i64, i32, i32], [i32]));
  const note = module.declare(module.type([i32, i32]));
  const hasDevice = module.declare(module.type([i64, i32, i32], [i32]));
  defineHasDevice();
  defineLoad();
  defineStore();
  defineResolve();
  defineNote();
  return { load, store, resolve, note };

  /** (va, bytes, cause of a failure) -> i32: whether the physical address in state.call is a device's register; traps if not. */
  function defineHasDevice(): void {
    const f = new Routine(3);
    const va = f.parameter(0, i64);
    const bytes = f.parameter(1, i32);
    const low = load32(at(state.call));
    f.if(
      and(
        and(not(load32(at(state.call + 4))), not(and(wrap(va), sub(bytes, 1)))),
        ne(call(imports.mmioHas, i32, low, bytes), 0),
      ),
      () => f.return(1),
    );
    f.do(runtime.trap, f.parameter(2, i32), va);
    f.push(constant(i32, 0));
    f.define(module, hasDevice);
  }

  function defineLoad(): void {
    const f = new Routine(4);
    const va = f.parameter(0, i64);
    const bytes = f.parameter(1, i32);
    const kind = f.parameter(2, i32);
    const place = f.parameter(3, i32);
    const value = f.local(i64);
    const offset = f.local(i32);
    const kindOf = constant(i32, accessKind.load);
    f.if(
      crosses(va, bytes),
      () => {
        const i = f.local(i32, 0);
        const at = f.local(i64);
        f.while(ltU(i, bytes), () => {
          f.set(at, add(va, extend(i)));
          f.set(offset, call(runtime.translate, i32, at, kindOf));
          failUnlessRam(f, offset, at, cause.loadAccess);
          f.set(value, or(value, shl(extend(load8(offset)), extend(shl(i, 3)))));
          f.set(i, add(i, 1));
        });
      },
      () => {
        f.set(offset, call(runtime.translate, i32, va, kindOf));
        f.if(not(offset), () => f.return(1));
        f.if(
          eq(offset, translated.device),
          () => {
            f.if(not(call(hasDevice, i32, va, bytes, constant(i32, cause.loadAccess))), () => f.return(1));
            const low = load32(at(state.call));
            const part = f.local(i32, choose(eq(bytes, 8), constant(i32, 4), bytes));
            // The device may use state.call itself.
            const address = f.local(i32, low);
            f.set(value, extend(call(imports.mmioRead, i32, address, part)));
            f.if(eq(bytes, 8), () => {
              const upper = extend(call(imports.mmioRead, i32, add(address, 4), part));
              f.set(value, or(value, shl(upper, 32)));
            });
          },
          () => f.set(value, loadOf(offset, bytes)),
        );
      },
    );
    const widen: readonly ((value: Expression) => Expression)[] = [
      (v) => signed(v, (code) => code.i64Extend8S()),
      (v) => v,
      (v) => signed(v, (code) => code.i64Extend16S()),
      (v) => v,
      (v) => signed(v, (code) => code.i64Extend32S()),
      (v) => v,
      (v) => v,
      (v) => or(v, 0xffff_ffff_0000_0000n),
    ];
    for (const [i, change] of widen.entries()) {
      if (loadKinds[i]!.startsWith('i') || loadKinds[i] === 'float')
        f.if(eq(kind, i), () => f.set(value, change(value)));
    }
    f.store64(place, 0, value);
    f.push(constant(i32, 0));
    f.define(module, load);
  }

  function defineStore(): void {
    const f = new Routine(3);
    const va = f.parameter(0, i64);
    const value = f.parameter(1, i64);
    const bytes = f.parameter(2, i32);
    const offset = f.local(i32);
    const kind = constant(i32, accessKind.store);
    f.if(crosses(va, bytes), () => {
      // Both pages must be writable before the first byte changes.
      const i = f.local(i32, 0);
      const at = f.local(i64);
      f.set(at, and(add(va, 0xfff), -4096n));
      f.set(offset, call(runtime.translate, i32, va, kind));
      failUnlessRam(f, offset, va, cause.storeAccess);
      f.set(offset, call(runtime.translate, i32, at, kind));
      failUnlessRam(f, offset, at, cause.storeAccess);
      f.while(ltU(i, bytes), () => {
        f.set(offset, call(runtime.translate, i32, add(va, extend(i)), kind));
        f.store8(offset, 0, wrap(shr(value, extend(shl(i, 3)))));
        noteCode(f, offset, constant(i32, 1));
        f.set(i, add(i, 1));
      });
      f.return(0);
    });
    f.set(offset, call(runtime.translate, i32, va, kind));
    f.if(not(offset), () => f.return(1));
    f.if(eq(offset, translated.device), () => {
      f.if(not(call(hasDevice, i32, va, bytes, constant(i32, cause.storeAccess))), () => f.return(1));
      const address = f.local(i32, load32(at(state.call)));
      f.do(imports.mmioWrite, address, choose(eq(bytes, 8), constant(i32, 4), bytes), wrap(value));
      f.if(eq(bytes, 8), () => f.do(imports.mmioWrite, add(address, 4), constant(i32, 4), wrap(shr(value, 32))));
      f.return(0);
    });
    for (const [size, emit] of [
      [1, () => f.code.i64Store8()],
      [2, () => f.code.i64Store16()],
      [4, () => f.code.i64Store32()],
      [8, () => f.code.i64Store()],
    ] as const) {
      f.if(eq(bytes, size), () => {
        f.push(offset);
        f.push(value);
        emit();
      });
    }
    noteCode(f, offset, bytes);
    f.push(constant(i32, 0));
    f.define(module, store);
  }

  function defineResolve(): void {
    const f = new Routine(3);
    const va = f.parameter(0, i64);
    const bytes = f.parameter(1, i32);
    const kind = f.parameter(2, i32);
    const byKind = (load: number, store: number): Expression => choose(kind, constant(i32, store), load);
    f.if(and(wrap(va), sub(bytes, 1)), () => {
      f.do(runtime.trap, byKind(cause.loadMisaligned, cause.storeMisaligned), va);
      f.return(0);
    });
    const offset = f.local(i32, call(runtime.translate, i32, va, kind));
    f.if(eq(offset, translated.device), () => {
      f.do(runtime.trap, byKind(cause.loadAccess, cause.storeAccess), va);
      f.return(0);
    });
    f.push(offset);
    f.define(module, resolve);
  }

  function defineNote(): void {
    const f = new Routine(2);
    noteCode(f, f.parameter(0, i32), f.parameter(1, i32));
    f.define(module, note);
  }

  /** Tells that bytes at `offset` changed if their page has decoded instructions. */
  function noteCode(f: Routine, offset: Local, bytes: Expression): void {
    const flags = add(shr(sub(offset, layout.ram), pageShift), layout.pageFlags);
    f.if(has(atomic8(flags), pageFlag.code), () => f.do(imports.codeStore, offset, bytes));
  }

  /** An access that crosses pages is to RAM or fails. */
  function failUnlessRam(f: Routine, offset: Local, va: Expression, code: number): void {
    f.if(not(offset), () => f.return(1));
    f.if(eq(offset, translated.device), () => {
      f.do(runtime.trap, constant(i32, code), va);
      f.return(1);
    });
  }
}

function signed(value: Expression, emit: (code: Code) => void): Expression {
  return {
    type: i64,
    push: (code) => {
      value.push(code);
      emit(code);
    },
  };
}

function crosses(va: Expression, bytes: Expression): Expression {
  return ltU(1 << pageShift, add(and(wrap(va), pageMask), bytes));
}

function loadOf(offset: Expression, bytes: Expression): Expression {
  return {
    type: i64,
    push: (code) => {
      eq(bytes, 8).push(code);
      code.if_(i64);
      load64(offset).push(code);
      code.else_();
      eq(bytes, 4).push(code);
      code.if_(i64);
      extend(load32(offset)).push(code);
      code.else_();
      extend(choose(eq(bytes, 2), load16(offset), load8(offset))).push(code);
      code.end().end();
    },
  };
}
