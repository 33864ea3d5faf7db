// Traps and interrupts (privileged architecture, sections 3.1.6 to 3.1.9).
import { hartWord } from '../memory/layout.ts';
import { i32, i64 } from './code.ts';
import { mstatus } from './csr.ts';
import { state } from './hart-state.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  atomic32,
  call,
  choose,
  constant,
  eq,
  extend,
  has,
  load64,
  ltU,
  ne,
  not,
  or,
  Routine,
  shl,
  shr,
  wrap,
  xor,
} from './routine.ts';
import { type Runtime, registers } from './runtime.ts';

/** Defines `trap`, `takeInterrupt` and `pending` of the runtime. */
export function defineTraps(module: Module, runtime: Runtime): void {
  const { trap, takeInterrupt, pending, updateContexts, at, csr } = runtime;
  const { status, privilege, field } = registers(runtime);
  defineTrap();
  defineTakeInterrupt();
  definePending();

  /** Section 3.1.7 and 3.1.8: where a trap goes, and what it saves. */
  function defineTrap(): void {
    const f = new Routine(2);
    const code = f.parameter(0, i32);
    const value = f.parameter(1, i64);
    const number = f.local(i32, and(code, 0x7fff_ffff));
    const interrupt = f.local(i64, shl(extend(shr(code, 31)), 63));
    const mode = f.local(i32, privilege);
    const delegated = choose(ne(interrupt, 0), load64(csr('mideleg')), load64(csr('medeleg')));
    const vector = f.local(i64);
    const before = f.local(i64, status);
    f.if(
      and(ltU(mode, 2), wrap(and(shr(delegated, extend(number)), 1))),
      () => {
        save('s');
        f.store64(
          csr('mstatus'),
          0,
          or(
            and(before, ~(mstatus.sie | mstatus.spie | mstatus.spp)),
            or(shl(and(before, mstatus.sie), 4), shl(extend(mode), 8)),
          ),
        );
        f.store32(at(state.privilege), 0, 1);
      },
      () => {
        save('m');
        f.store64(
          csr('mstatus'),
          0,
          or(
            and(before, ~(mstatus.mie | mstatus.mpie | mstatus.mpp)),
            or(shl(and(before, mstatus.mie), 4), shl(extend(mode), 11)),
          ),
        );
        f.store32(at(state.privilege), 0, 3);
      },
    );
    const isVectored = and(wrap(and(vector, 1)), wrap(shr(interrupt, 63)));
    const vectored = choose(isVectored, shl(extend(number), 2), 0);
    f.store64(at(state.pc), 0, add(and(vector, -4n), vectored));
    f.do(updateContexts);
    f.define(module, trap);

    function save(mode: 's' | 'm'): void {
      f.store64(csr(`${mode}epc`), 0, load64(at(state.pc)));
      f.store64(csr(`${mode}cause`), 0, or(interrupt, extend(number)));
      f.store64(csr(`${mode}tval`), 0, value);
      f.set(vector, load64(csr(`${mode}tvec`)));
    }
  }

  function definePending(): void {
    const f = new Routine(0);
    f.push(or(load64(csr('mip')), extend(atomic32(at(hartWord.pending)))));
    f.define(module, pending);
  }

  /** Section 3.1.9: machine's before supervisor's, external, software, timer. */
  function defineTakeInterrupt(): void {
    const f = new Routine(0);
    const enabled = f.local(i64, and(call(pending, i64), load64(csr('mie'))));
    f.if(not(enabled), () => f.return(0));
    const mode = f.local(i32, privilege);
    const delegated = load64(csr('mideleg'));
    const chosen = f.local(i64);
    f.if(or(ltU(mode, 3), field(mstatus.mie)), () => f.set(chosen, and(enabled, xor(delegated, -1n))));
    f.if(and(not(chosen), or(eq(mode, 0), and(eq(mode, 1), field(mstatus.sie)))), () =>
      f.set(chosen, and(enabled, delegated)),
    );
    f.if(not(chosen), () => f.return(0));
    for (const number of [11, 3, 7, 9, 1, 5]) {
      f.if(has(chosen, 1n << BigInt(number)), () => {
        f.do(trap, constant(i32, number | 0x8000_0000), constant(i64, 0));
        f.return(1);
      });
    }
    f.push(constant(i32, 0));
    f.define(module, takeInterrupt);
  }
}
