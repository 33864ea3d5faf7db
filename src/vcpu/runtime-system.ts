// System instructions in WebAssembly: control and status registers, returns from traps, fences (privileged architecture,
// chapters 2, 3 and 4). Each is a function of the instruction's bits, with state.pc at the instruction and state.budget exact.
// It gives back one of `after`.
import { hartWord } from '../memory/layout.ts';
import { interrupt } from '../memory/signals.ts';
import { i32, i64 } from './code.ts';
import { csrByName, csrKind, menvcfg, mstatus, sstatusWritable, supervisorInterrupts } from './csr.ts';
import { state, tables } from './hart-state.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  call,
  choose,
  constant,
  type Expression,
  eq,
  extend,
  geU,
  has,
  type Local,
  load8,
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
  xor,
} from './routine.ts';
import { cause, type Place, type Runtime } from './runtime.ts';

/** What follows a system instruction. `enter`: go on from state.pc; the rest leave the hart's loop for its caller. */
export const after = { next: 0, enter: 1, wfi: 2, supervisorCall: 3 } as const;

export interface SystemOptions extends Place {
  /** An ecall of S mode leaves the loop instead of trapping. */
  readonly callsLeave: boolean;
}

/** Names of the system rows to indices of functions (bits: i32) -> i32; all CSR instructions share one. */
export function defineSystem(module: Module, runtime: Runtime, options: SystemOptions): ReadonlyMap<string, number> {
  const { imports, at, csr } = runtime;
  const type = module.type([i32], [i32]);
  const readCsr = module.declare(module.type([i32, i32], [i64]));
  const writeCsr = module.declare(module.type([i32, i64, i64], [i32]));
  const status = load64(csr('mstatus'));
  const privilege = load32(at(state.privilege));
  const fflags = load32(at(state.fflags));
  const frm = load32(at(state.frm));
  const pendingWord = at(hartWord.pending);
  const functions = new Map<string, number>();

  const access = define('csr', csrInstruction);
  for (const name of ['csrrw', 'csrrs', 'csrrc', 'csrrwi', 'csrrsi', 'csrrci']) functions.set(name, access);
  defineRead();
  defineWrite();
  define('ecall', environmentCall);
  define('ebreak', (f) => {
    f.do(runtime.trap, constant(i32, cause.breakpoint), load64(at(state.pc)));
    f.push(constant(i32, after.enter));
  });
  define('sret', (f, bits) => {
    illegalIf(f, bits, or(not(privilege), and(eq(privilege, 1), has(status, mstatus.tsr))));
    returnTo(f, 's');
  });
  define('mret', (f, bits) => {
    illegalIf(f, bits, ne(privilege, 3));
    returnTo(f, 'm');
  });
  define('wfi', (f, bits) => {
    illegalIf(f, bits, and(ltU(privilege, 3), has(status, mstatus.tw)));
    advance(f);
    const ready = ne(and(call(runtime.pending, i64), load64(csr('mie'))), 0);
    f.push(choose(ready, constant(i32, after.enter), after.wfi));
  });
  for (const name of ['sfence.vma', 'sinval.vma']) define(name, addressFence);
  for (const name of ['sfence.w.inval', 'sfence.inval.ir']) {
    define(name, (f, bits) => {
      illegalIf(f, bits, not(privilege));
      f.push(constant(i32, after.next));
    });
  }
  define('fence.i', (f) => {
    f.code.atomicFence();
    f.do(imports.instructionFence);
    advance(f);
    f.push(constant(i32, after.enter));
  });
  return functions;

  function define(name: string, write: (f: Routine, bits: Local) => void): number {
    const func = module.declare(type);
    const f = new Routine(1);
    write(f, f.parameter(0, i32));
    f.define(module, func);
    functions.set(name, func);
    return func;
  }

  function advance(f: Routine): void {
    f.store64(at(state.pc), 0, add(load64(at(state.pc)), 4));
  }

  function illegalIf(f: Routine, bits: Local, condition: Expression): void {
    f.if(condition, () => {
      f.do(runtime.trap, constant(i32, cause.illegal), extend(bits));
      f.return(after.enter);
    });
  }

  function environmentCall(f: Routine): void {
    if (options.callsLeave) f.if(eq(privilege, 1), () => f.return(after.supervisorCall));
    f.do(runtime.trap, add(privilege, cause.userCall), constant(i64, 0));
    f.push(constant(i32, after.enter));
  }

  /** Section 3.1.6.1 and 3.3.2. */
  function returnTo(f: Routine, from: 's' | 'm'): void {
    const [ie, pie, pp] =
      from === 's'
        ? ([mstatus.sie, mstatus.spie, mstatus.spp] as const)
        : ([mstatus.mie, mstatus.mpie, mstatus.mpp] as const);
    const before = f.local(i64, status);
    const mode = f.local(i32, wrap(shr(and(before, pp), from === 's' ? 8 : 11)));
    const changed = f.local(i64, and(before, ~(ie | pie | pp)));
    f.set(changed, or(changed, or(shr(and(before, pie), 4), pie)));
    f.if(ne(mode, 3), () => f.set(changed, and(changed, ~mstatus.mprv)));
    f.store64(csr('mstatus'), 0, changed);
    f.store32(at(state.privilege), 0, mode);
    f.store64(at(state.pc), 0, load64(csr(`${from}epc`)));
    f.do(runtime.updateContexts);
    f.push(call(runtime.takeInterrupt, i32)).drop();
    f.push(constant(i32, after.enter));
  }

  function addressFence(f: Routine, bits: Local): void {
    illegalIf(f, bits, or(not(privilege), and(eq(privilege, 1), has(status, mstatus.tvm))));
    const rs1 = f.local(i32, and(shr(bits, 15), 31));
    const rs2 = f.local(i32, and(shr(bits, 20), 31));
    const which = or(ne(rs1, 0), shl(ne(rs2, 0), 1));
    f.do(runtime.fenceAddresses, register(rs1), wrap(register(rs2)), which);
    advance(f);
    f.push(constant(i32, after.enter));
  }

  function register(number: Expression): Expression {
    return load64(shl(number, 3), at(state.x));
  }

  /** Section 2.1 of the privileged, chapter 6 of the unprivileged architecture. */
  function csrInstruction(f: Routine, bits: Local): void {
    const number = f.local(i32, shr(bits, 20));
    const rs1 = f.local(i32, and(shr(bits, 15), 31));
    const operation = f.local(i32, and(shr(bits, 12), 3));
    const writes = f.local(i32, or(eq(operation, 1), ne(rs1, 0)));
    const entry = f.local(i32, shl(number, 4));
    const kind = f.local(i32, load32(entry, at(tables.csr)));
    const value = f.local(i64);
    f.if(
      has(bits, 0x4000),
      () => f.set(value, extend(rs1)),
      () => f.set(value, register(rs1)),
    );
    illegalIf(f, bits, not(kind));
    illegalIf(f, bits, ltU(privilege, and(shr(number, 8), 3)));
    illegalIf(f, bits, and(writes, eq(shr(number, 10), 3)));
    f.if(ne(kind, csrKind.plain), () => {
      illegalIf(f, bits, and(and(geU(kind, csrKind.fflags), ltU(kind, csrKind.time)), not(has(status, mstatus.fs))));
      illegalIf(f, bits, and(eq(kind, csrKind.satp), and(eq(privilege, 1), has(status, mstatus.tvm))));
      illegalIf(f, bits, and(eq(shr(number, 8), 0xc), not(counterEnabled(and(number, 31)))));
      illegalIf(
        f,
        bits,
        and(
          and(eq(kind, csrKind.stimecmp), ne(privilege, 3)),
          not(and(wrap(shr(load64(csr('menvcfg')), 63)), and(shr(load32(csr('mcounteren')), 1), 1))),
        ),
      );
    });
    const before = f.local(i64);
    f.if(
      eq(kind, csrKind.plain),
      () => f.set(before, load64(load32(entry, at(tables.csr) + 4))),
      () => f.set(before, call(readCsr, i64, kind, load32(entry, at(tables.csr) + 4))),
    );
    const rd = f.local(i32, and(shr(bits, 7), 31));
    const result = f.local(i32, after.next);
    f.if(writes, () => {
      f.if(eq(operation, 2), () => f.set(value, or(before, value)));
      f.if(eq(operation, 3), () => f.set(value, and(before, xor(value, -1n))));
      f.if(
        eq(kind, csrKind.plain),
        () => {
          const place = load32(entry, at(tables.csr) + 4);
          const mask = load64(entry, at(tables.csr) + 8);
          f.store64(place, 0, or(and(value, mask), and(before, xor(mask, -1n))));
        },
        () => {
          // An interrupt that the write lets in returns behind the instruction; so rd is written before.
          f.if(rd, () => f.store64(shl(rd, 3), at(state.x), before));
          advance(f);
          f.set(result, call(writeCsr, i32, number, value, before));
          f.if(not(result), () => f.store64(at(state.pc), 0, sub(load64(at(state.pc)), 4)));
          f.return(result);
        },
      );
    });
    f.if(rd, () => f.store64(shl(rd, 3), at(state.x), before));
    f.push(result);
  }

  /** Whether the mode may read counter `bit` (sections 3.1.11 and 4.1.5). */
  function counterEnabled(bit: Expression): Expression {
    const machine = and(shr(load32(csr('mcounteren')), bit), 1);
    const supervisor = and(shr(load32(csr('scounteren')), bit), 1);
    return or(eq(privilege, 3), and(machine, or(eq(privilege, 1), supervisor)));
  }

  /** (kind, place) -> the register's value. */
  function defineRead(): void {
    const f = new Routine(2);
    const kind = f.parameter(0, i32);
    const dirty = choose(eq(and(status, mstatus.fs), mstatus.fs), constant(i64, mstatus.sd), 0);
    const mipOf = call(runtime.pending, i64);
    const cases: readonly (readonly [number, Expression])[] = [
      [csrKind.sstatus, or(and(status, sstatusWritable | mstatus.uxl), dirty)],
      [csrKind.mstatus, or(status, dirty)],
      [csrKind.sie, and(load64(csr('mie')), load64(csr('mideleg')))],
      [csrKind.sip, and(mipOf, load64(csr('mideleg')))],
      [csrKind.mip, mipOf],
      [csrKind.fflags, extend(fflags)],
      [csrKind.frm, extend(frm)],
      [csrKind.fcsr, extend(or(fflags, shl(frm, 5)))],
      [csrKind.instret, retired()],
      [csrKind.time, time()],
      [csrKind.hpmcounter, constant(i64, 0)],
    ];
    // Regions are of whole pages: the address bits below read as 1 in a power-of-two region, else as 0 (section 3.7.1).
    const address = load64(f.parameter(1, i32));
    const config = load8(add(shr(sub(f.parameter(1, i32), csr('pmpaddr0')), 3), csr('pmpcfg0')));
    f.if(eq(kind, csrKind.pmpaddr), () =>
      f.return(choose(eq(and(config, 0x18), 0x18), or(address, 0x1ff), and(address, ~0x3ffn))),
    );
    for (const [of, value] of cases) f.if(eq(kind, of), () => f.return(value));
    f.push(load64(f.parameter(1, i32)));
    f.define(module, readCsr);
  }

  /** Instructions retired: what was counted before this slice, and what the budget has lost in it. */
  function retired(): Expression {
    return add(load64(at(state.retired)), sub(load64(at(state.slice)), load64(at(state.budget))));
  }

  function time(): Expression {
    return { type: i64, push: (code) => code.call(imports.clock).byte(0xfc).byte(0x06) };
  }

  /** (number, value, value before) -> one of `after`, with state.pc behind the instruction. */
  function defineWrite(): void {
    const f = new Routine(3);
    const number = f.parameter(0, i32);
    const value = f.parameter(1, i64);
    const seen = f.parameter(2, i64);
    const entry = f.local(i32, add(shl(number, 4), at(tables.csr)));
    const kind = f.local(i32, load32(entry));
    const place = f.local(i32, load32(entry, 4));
    const mask = f.local(i64, load64(entry, 8));
    const merged = or(and(value, mask), and(load64(place), xor(mask, -1n)));
    const before = f.local(i64, load64(place));
    const on = (of: number, body: () => void): void => f.if(eq(kind, of), body);

    for (const view of [csrKind.sstatus, csrKind.mstatus]) {
      on(view, () => {
        const changed = f.local(i64, merged);
        if (view === csrKind.mstatus) {
          // Mode 2 does not exist: the field keeps what it held.
          f.if(eq(and(changed, mstatus.mpp), 0x1000n), () =>
            f.set(changed, or(and(changed, ~mstatus.mpp), and(before, mstatus.mpp))),
          );
        }
        f.store64(place, 0, changed);
        f.if(has(xor(changed, before), mstatus.mxr), () => f.do(runtime.flushLoads));
        f.if(has(xor(changed, before), mstatus.sum | mstatus.mprv | mstatus.mpp), () => f.do(runtime.updateContexts));
        lookAtInterrupts();
      });
    }
    on(csrKind.sie, () => {
      const bits = and(load64(csr('mideleg')), supervisorInterrupts);
      f.store64(place, 0, or(and(value, bits), and(before, xor(bits, -1n))));
      lookAtInterrupts();
    });
    on(csrKind.interrupts, () => {
      f.store64(place, 0, merged);
      f.do(imports.timer);
      lookAtInterrupts();
    });
    on(csrKind.sip, () => {
      setPending(wrap(and(load64(csr('mideleg')), interrupt.ssip)));
      lookAtInterrupts();
    });
    on(csrKind.mip, () => {
      // STIP is stimecmp's while Sstc is on. SEIP is or-ed with the interrupt controller's line.
      const timer = choose(has(load64(csr('menvcfg')), menvcfg.stce), constant(i32, 0), interrupt.stip);
      setPending(f.local(i32, or(timer, interrupt.ssip)));
      f.store64(place, 0, and(value, interrupt.seip));
      lookAtInterrupts();
    });
    on(csrKind.satp, () => {
      const mode = f.local(i64, shr(value, 60));
      // A write with a mode that is not here has no effect at all (section 4.1.11).
      f.if(or(eq(mode, 0), eq(mode, 8)), () => {
        f.store64(place, 0, value);
        f.do(runtime.updateContexts);
      });
      f.return(after.enter);
    });
    on(csrKind.fflags, () => {
      f.store32(at(state.fflags), 0, and(wrap(value), 0x1f));
      dirtyFloat();
    });
    on(csrKind.frm, () => {
      f.store32(at(state.frm), 0, and(wrap(value), 7));
      dirtyFloat();
    });
    on(csrKind.fcsr, () => {
      f.store32(at(state.fflags), 0, and(wrap(value), 0x1f));
      f.store32(at(state.frm), 0, and(shr(wrap(value), 5), 7));
      dirtyFloat();
    });
    on(csrKind.instret, () => {
      // The write takes the place of this instruction's own count.
      f.store64(at(state.retired), 0, sub(value, add(sub(load64(at(state.slice)), load64(at(state.budget))), 1)));
      f.return(after.next);
    });
    on(csrKind.stimecmp, () => {
      f.store64(place, 0, value);
      f.do(imports.timer);
      lookAtInterrupts();
    });
    for (const each of [csrKind.pmpcfg, csrKind.pmpaddr]) {
      on(each, () => {
        writeProtection(each);
        f.return(after.enter);
      });
    }
    f.store64(place, 0, merged);
    f.push(constant(i32, after.next));
    f.define(module, writeCsr);

    function lookAtInterrupts(): void {
      f.push(call(runtime.takeInterrupt, i32)).drop();
      f.return(after.enter);
    }

    /** Changes what differs from what the instruction read, and so keeps what others set meanwhile. */
    function setPending(mask: Expression): void {
      f.code.i32Const(pendingWord);
      f.push(xor(and(and(wrap(seen), xor(wrap(value), -1)), mask), -1))
        .i32AtomicRmwAnd()
        .drop();
      f.code.i32Const(pendingWord);
      f.push(and(and(wrap(value), xor(wrap(seen), -1)), mask))
        .i32AtomicRmwOr()
        .drop();
    }

    function dirtyFloat(): void {
      f.store64(csr('mstatus'), 0, or(status, mstatus.fs));
      f.return(after.next);
    }

    /** Section 3.7: a locked entry cannot be written, nor the address below a locked range that begins there. */
    function writeProtection(of: number): void {
      const config = (i: number): Expression => shr(load64(csr(i < 8 ? 'pmpcfg0' : 'pmpcfg2')), (i % 8) * 8);
      if (of === csrKind.pmpaddr) {
        for (let i = 0; i < 16; i++) {
          const own = has(config(i), 0x80);
          const next = i < 15 ? eq(and(config(i + 1), 0x98), 0x88) : constant(i32, 0);
          f.if(and(eq(number, csrByName.get(`pmpaddr${i}`)!.number), or(own, next)), () => f.return(after.enter));
        }
        f.store64(place, 0, merged);
      } else {
        const locked = f.local(i64, and(before, 0x8080_8080_8080_8080n));
        // 0x80 to 0xff in each locked byte, which then keeps what it held.
        const kept = f.local(i64, or(sub(shl(locked, 1), shr(locked, 7)), locked));
        f.store64(place, 0, or(and(merged, xor(kept, -1n)), and(before, kept)));
      }
      f.do(imports.protection);
    }
  }
}
