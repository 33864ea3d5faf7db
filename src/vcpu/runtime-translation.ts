// Address translation: the walk of Sv39's tables, memory protection, and what fills the TLBs (privileged architecture,
// sections 4.3, 4.4 and 3.7).
import { pageFlag, ramStart } from '../memory/layout.ts';
import { i32, i64 } from './code.ts';
import { menvcfg, mstatus } from './csr.ts';
import { state, tables, tlb } from './hart-state.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  atomic8,
  atomic64,
  call,
  choose,
  constant,
  type Expression,
  eq,
  extend,
  geU,
  has,
  load32,
  load64,
  ltU,
  mul,
  ne,
  not,
  or,
  Routine,
  sar,
  shl,
  shr,
  sub,
  wrap,
  xor,
} from './routine.ts';
import { accessKind, cause, type Place, type Runtime, registers, translated } from './runtime.ts';

const pteBit = { v: 1, r: 2, w: 4, x: 8, u: 16, a: 64, d: 128 } as const;

/** Defines `translate` and `fetchMiss` of the runtime. */
export function defineTranslation(module: Module, runtime: Runtime, { layout, index }: Place): void {
  const { trap, translate, fetchMiss, imports, at, csr } = runtime;
  const { status, privilege, field } = registers(runtime);
  const permitted = module.declare(module.type([i64, i32, i32], [i32]));
  const fault = module.declare(module.type([i32, i32, i64], [i32]));
  const fill = module.declare(module.type([i64, i64, i32], [i32]));
  definePermitted();
  defineFault();
  defineFill();
  defineTranslate();
  defineFetchMiss();

  /** (address, access, mode) -> i32: whether PMP allows it (section 3.7). Entries are of whole pages. */
  function definePermitted(): void {
    const f = new Routine(3);
    const address = f.parameter(0, i64);
    const kind = f.parameter(1, i32);
    const mode = f.parameter(2, i32);
    const entry = f.local(i32, at(tables.protection + 8));
    const end = f.local(i32, add(mul(load32(at(tables.protection)), 24), entry));
    f.while(ltU(entry, end), () => {
      f.if(and(geU(address, load64(entry)), ltU(address, load64(entry, 8))), () => {
        const bits = load32(entry, 16);
        // Machine mode heeds locked entries only.
        f.return(or(and(eq(mode, 3), not(and(bits, 0x80))), and(shr(bits, kind), 1)));
      });
      f.set(entry, add(entry, 24));
    });
    f.push(eq(mode, 3));
    f.define(module, permitted);
  }

  /** (access, page: 1 for a page fault, 0 for an access fault, va) -> 0: the trap of a failed access. */
  function defineFault(): void {
    const f = new Routine(3);
    const kind = f.parameter(0, i32);
    const page = f.parameter(1, i32);
    const byKind = (load: number, store: number, fetch: number): Expression =>
      choose(
        eq(kind, accessKind.load),
        constant(i32, load),
        choose(eq(kind, accessKind.store), constant(i32, store), fetch),
      );
    f.do(
      trap,
      choose(
        page,
        byKind(cause.loadPage, cause.storePage, cause.fetchPage),
        byKind(cause.loadAccess, cause.storeAccess, cause.fetchAccess),
      ),
      f.parameter(2, i64),
    );
    f.push(constant(i32, translated.trapped));
    f.define(module, fault);
  }

  /** (va, physical, access) -> offset: fills the TLB for an access that is allowed, if it is to RAM. */
  function defineFill(): void {
    const f = new Routine(3);
    const va = f.parameter(0, i64);
    const physical = f.parameter(1, i64);
    const kind = f.parameter(2, i32);
    const inRam = f.local(i64, sub(physical, ramStart));
    f.if(geU(inRam, layout.ramBytes), () => {
      f.store64(at(state.call), 0, physical);
      f.return(translated.device);
    });
    const offset = f.local(i32, add(wrap(inRam), layout.ram));
    f.if(eq(kind, accessKind.fetch), () => f.return(offset));
    const entry = f.local(i32, and(shr(wrap(va), 8), (tlb.entries - 1) * tlb.entryBytes));
    const tag = f.local(i64, xor(and(va, -4096n), load64(at(state.dataContext))));
    const addend = f.local(i64, extend(sub(offset, wrap(va))));
    f.if(eq(kind, accessKind.load), () => {
      f.store64(entry, at(tlb.load), tag);
      f.store64(entry, at(tlb.load) + 8, addend);
      f.return(offset);
    });
    // A hart that decodes this page first flags it, then looks at who may hold a write tag; so here it is the other way round.
    const flags = f.local(i32, add(wrap(shr(inRam, 12)), layout.pageFlags));
    f.push(flags).i32Const(pageFlag.writableBy(index)).i32AtomicRmw8OrU();
    f.code.i32Const(pageFlag.code).i32And().i32Eqz().if_();
    f.store64(entry, at(tlb.store) + 8, addend);
    f.push(entry);
    f.push(tag).i64AtomicStore(at(tlb.store));
    f.if(has(atomic8(flags), pageFlag.code), () => f.store64(entry, at(tlb.store), -1n));
    f.code.end();
    f.push(offset);
    f.define(module, fill);
  }

  /** Section 4.3.2 and 4.4: the walk of Sv39's tables. Accessed and dirty bits are set here while menvcfg.ADUE says so. */
  function defineTranslate(): void {
    const f = new Routine(2);
    const va = f.parameter(0, i64);
    const kind = f.parameter(1, i32);
    const mode = f.local(i32, privilege);
    f.if(and(ne(kind, accessKind.fetch), has(status, mstatus.mprv)), () => f.set(mode, field(mstatus.mpp)));
    const satp = f.local(i64, load64(csr('satp')));
    const physical = f.local(i64);
    const failPage = (): void => f.return(call(fault, i32, kind, constant(i32, 1), va));
    const failAccess = (): void => f.return(call(fault, i32, kind, constant(i32, 0), va));

    f.if(
      or(eq(mode, 3), not(shr(satp, 60))),
      () => {
        f.if(ne(shr(va, 56), 0), failAccess);
        f.set(physical, va);
      },
      walk,
    );
    f.if(not(call(permitted, i32, physical, kind, mode)), failAccess);
    f.push(call(fill, i32, va, physical, kind));
    f.define(module, translate);

    function walk(): void {
      const table = f.local(i64);
      const shift = f.local(i64);
      const pteAt = f.local(i64);
      const pteOffset = f.local(i32);
      const pte = f.local(i64);
      f.if(ne(sar(shl(va, 25), 25), va), failPage);
      f.set(table, shl(and(satp, 0xfff_ffff_ffffn), 12));
      f.set(shift, 30);
      f.code.block().loop();
      f.set(pteAt, add(table, shl(and(shr(va, shift), 511), 3)));
      f.if(geU(sub(pteAt, ramStart), layout.ramBytes), failAccess);
      f.if(not(call(permitted, i32, pteAt, constant(i32, accessKind.load), constant(i32, 1))), failAccess);
      f.set(pteOffset, add(wrap(sub(pteAt, ramStart)), layout.ram));
      f.set(pte, atomic64(pteOffset));
      // Invalid, or writable but not readable, or bits of extensions that are not here.
      f.if(
        or(not(and(wrap(pte), pteBit.v)), or(eq(and(wrap(pte), pteBit.r | pteBit.w), pteBit.w), ne(shr(pte, 54), 0))),
        failPage,
      );
      f.if(not(and(wrap(pte), pteBit.r | pteBit.x)), () => {
        f.if(or(eq(shift, 12), and(wrap(pte), pteBit.u | pteBit.a | pteBit.d)), failPage);
        f.set(table, shl(and(shr(pte, 10), 0xfff_ffff_ffffn), 12));
        f.set(shift, sub(shift, 9));
        f.code.br(1);
      });
      checkLeaf(pte, shift);
      const wanted = choose(eq(kind, accessKind.store), constant(i32, pteBit.a | pteBit.d), pteBit.a);
      f.if(ne(and(wrap(pte), wanted), wanted), () => {
        f.if(not(has(load64(csr('menvcfg')), menvcfg.adue)), failPage);
        f.if(not(call(permitted, i32, pteAt, constant(i32, accessKind.store), constant(i32, 1))), failAccess);
        f.push(pteOffset);
        f.push(pte);
        f.push(or(pte, extend(wanted))).i64AtomicRmwCmpxchg();
        f.push(pte).i64Ne().brIf(1);
        const flags = add(shr(sub(pteOffset, layout.ram), 12), layout.pageFlags);
        f.if(has(atomic8(flags), pageFlag.code), () => f.do(imports.codeStore, pteOffset, constant(i32, 8)));
      });
      const offsetBits = f.local(i64, sub(shl(constant(i64, 1), shift), 1));
      f.set(physical, or(and(shl(and(shr(pte, 10), 0xfff_ffff_ffffn), 12), xor(offsetBits, -1n)), and(va, offsetBits)));
      f.if(eq(shift, 21), () =>
        f.store8(and(wrap(shr(va, 21)), tables.superpageEntries - 1), at(tables.superpages), 1),
      );
      f.if(eq(shift, 30), () => f.store32(at(state.gigapages), 0, 1));
      f.code.br(1).end().end();
    }

    function checkLeaf(pte: Expression, shift: Expression): void {
      const bits = f.local(i32, wrap(pte));
      const isUser = ne(and(bits, pteBit.u), 0);
      f.if(
        eq(mode, 0),
        () => f.if(not(isUser), failPage),
        () => f.if(and(isUser, or(eq(kind, accessKind.fetch), not(field(mstatus.sum)))), failPage),
      );
      const readable = choose(has(status, mstatus.mxr), constant(i32, pteBit.r | pteBit.x), pteBit.r);
      const needed = choose(
        eq(kind, accessKind.load),
        readable,
        choose(eq(kind, accessKind.store), constant(i32, pteBit.w), pteBit.x),
      );
      f.if(not(and(bits, needed)), failPage);
      // A superpage's low page number bits must be 0.
      f.if(ne(and(shl(and(shr(pte, 10), 0xfff_ffff_ffffn), 12), sub(shl(constant(i64, 1), shift), 1)), 0), failPage);
    }
  }

  function defineFetchMiss(): void {
    const f = new Routine(0);
    const va = f.local(i64, load64(at(state.pc)));
    const offset = f.local(i32, call(translate, i32, va, constant(i32, accessKind.fetch)));
    f.if(eq(offset, translated.device), () =>
      f.return(call(fault, i32, constant(i32, accessKind.fetch), constant(i32, 0), va)),
    );
    f.if(not(offset), () => f.return(0));
    const page = f.local(i32, call(imports.page, i32, shr(sub(offset, layout.ram), 12)));
    const entry = and(shr(wrap(va), 8), (tlb.entries - 1) * tlb.entryBytes);
    f.store64(entry, at(tlb.fetch), xor(and(va, -4096n), load64(at(state.fetchContext))));
    f.store64(entry, at(tlb.fetch) + 8, extend(page));
    f.push(page);
    f.define(module, fetchMiss);
  }
}
