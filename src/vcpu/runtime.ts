// The hart's runtime in WebAssembly: address translation (Sv39), its TLBs and their flushing, traps and interrupts. It is written
// with routine.ts, and calls out only for what has no place here, with 32-bit numbers (see RuntimeImports).
// Functions give 0 where all is well, or not 0 when the hart must go on from state.pc.
import { hartWord, type Layout, pageFlag, ramStart } from '../memory/layout.ts';
import { i32, i64 } from './code.ts';
import { csrPlace, menvcfg, mstatus } from './csr.ts';
import { state, tables, tlb } from './hart-state.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  atomic8,
  atomic32,
  atomic64,
  call,
  choose,
  constant,
  type Expression,
  eq,
  extend,
  geU,
  has,
  load8,
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

/** What the runtime asks of JavaScript. Offsets and records are addresses in the shared memory. */
export interface RuntimeImports {
  /** The decoded page of a RAM page. */
  page(ramPage: number): number;
  /** Bytes of a page with decoded instructions were (or are about to be) written by this hart. */
  codeStore(offset: number, bytes: number): void;
  mmioHas(address: number, bytes: number): number;
  mmioRead(address: number, bytes: number): number;
  mmioWrite(address: number, bytes: number, value: number): void;
  clock(): number;
  /** stimecmp or what makes it count has changed. */
  timer(): void;
  /** fence.i: forgets code that other harts or devices changed. */
  instructionFence(): void;
  /** pmpcfg or pmpaddr has changed. */
  protection(): void;
}

/** Kinds of access: also the bit of a PMP entry's permissions. */
export const accessKind = { load: 0, store: 1, fetch: 2 } as const;

/** What `translate` gives instead of an offset. */
export const translated = { trapped: 0, device: -1 } as const;

/** Exception codes (privileged architecture, table 14). */
export const cause = {
  fetchAccess: 1,
  illegal: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  userCall: 8,
  fetchPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;

/** Short numbers for address spaces: 7 bits in a TLB tag; 0 to 2 are for bare modes, 127 would make a tag look free. */
const firstSpace = 3;
const lastSpace = 126;

/** Context bits of a TLB tag: mode in bits 3 and 4, the address space's short number above. */
const context = { user: 0x08, supervisor: 0x10, supervisorSum: 0x18, bareSupervisor: 0x20, bareUser: 0x40 } as const;

export interface Place {
  readonly layout: Layout;
  readonly index: number;
}

/** Functions of the runtime, by index in the module. */
export interface Runtime {
  /** (cause: i32, tval: i64): enters the trap handler; epc is state.pc. Bit 31 of cause says interrupt. */
  readonly trap: number;
  /** () -> i32: enters the handler of a pending and enabled interrupt. */
  readonly takeInterrupt: number;
  /** () recomputes the contexts after mstatus, satp or the privilege have changed. */
  readonly updateContexts: number;
  /** () forgets all translations. */
  readonly flushAll: number;
  /** () forgets all tags of the load TLB. */
  readonly flushLoads: number;
  /** (va: i64, access: i32) -> i32: the offset in the shared memory, or one of `translated`, the address then in state.call. */
  readonly translate: number;
  /** () -> i32: the decoded page of state.pc, put in the fetch TLB; 0 if it trapped. */
  readonly fetchMiss: number;
  /** (va: i64, asid: i32, which: i32): sfence.vma; bit 0 of which: only va; bit 1: only asid. */
  readonly fenceAddresses: number;
  /** () -> i64: mip. */
  readonly pending: number;
  readonly imports: Readonly<Record<keyof RuntimeImports, number>>;
  /** Absolute address of a word of the hart's area, of a CSR. */
  readonly at: (offset: number) => number;
  readonly csr: (name: string) => number;
}

export function defineRuntime(module: Module, place: Place): Runtime {
  const { layout, index } = place;
  const hart = layout.hart(index);
  const at = (offset: number): number => hart + offset;
  const csr = (name: string): number => hart + csrPlace(name);
  const imports = importAll(module);
  const trap = module.declare(module.type([i32, i64]));
  const takeInterrupt = module.declare(module.type([], [i32]));
  const updateContexts = module.declare(module.type([]));
  const flushAll = module.declare(module.type([]));
  const flushTables = module.declare(module.type([]));
  const flushLoads = module.declare(module.type([]));
  const translate = module.declare(module.type([i64, i32], [i32]));
  const fetchMiss = module.declare(module.type([], [i32]));
  const fenceAddresses = module.declare(module.type([i64, i32, i32]));
  const pending = module.declare(module.type([], [i64]));
  const permitted = module.declare(module.type([i64, i32, i32], [i32]));
  const fault = module.declare(module.type([i32, i32, i64], [i32]));
  const fill = module.declare(module.type([i64, i64, i32], [i32]));

  const status = load64(csr('mstatus'));
  const privilege = load32(at(state.privilege));
  /** The bits of a field of mstatus, at its lowest place, as i32. */
  const field = (mask: bigint): Expression => wrap(shr(and(status, mask), lowestBit(mask)));

  defineTrap();
  defineTakeInterrupt();
  defineUpdateContexts();
  defineFlushes();
  definePermitted();
  defineFault();
  defineFill();
  defineTranslate();
  defineFetchMiss();
  defineFenceAddresses();
  definePending();
  return {
    ...{ trap, takeInterrupt, updateContexts, flushAll, flushLoads, translate, fetchMiss, fenceAddresses, pending },
    ...{ imports, at, csr },
  };

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

  function defineUpdateContexts(): void {
    const f = new Routine(0);
    const satp = f.local(i64, load64(csr('satp')));
    const fetchMode = f.local(i32, privilege);
    const dataMode = f.local(i32, choose(has(status, mstatus.mprv), field(mstatus.mpp), fetchMode));
    const space = f.local(i32);
    f.if(
      not(shr(satp, 60)),
      () => {
        f.store64(at(state.fetchContext), 0, bare(fetchMode));
        f.store64(at(state.dataContext), 0, bare(dataMode));
      },
      () => {
        const entry = f.local(i32, add(and(wrap(shr(satp, 44)), 0xffff), at(tables.spaces)));
        f.set(space, load8(entry));
        f.if(not(space), () => {
          f.set(space, add(load32(at(state.spaces)), 1));
          f.if(ltU(space, firstSpace), () => f.set(space, firstSpace));
          f.if(ltU(lastSpace, space), () => {
            f.do(flushTables);
            f.set(space, firstSpace);
          });
          f.store32(at(state.spaces), 0, space);
          f.store8(entry, 0, space);
        });
        const high = shl(extend(space), 5);
        const supervisor = choose(has(status, mstatus.sum), constant(i64, context.supervisorSum), context.supervisor);
        f.store64(at(state.fetchContext), 0, paged(fetchMode, constant(i64, context.supervisor)));
        f.store64(at(state.dataContext), 0, paged(dataMode, supervisor));

        function paged(mode: Expression, inSupervisor: Expression): Expression {
          const lower = or(high, choose(not(mode), constant(i64, context.user), inSupervisor));
          return choose(eq(mode, 3), constant(i64, 0), lower);
        }
      },
    );
    f.define(module, updateContexts);

    function bare(mode: Expression): Expression {
      const lower = choose(not(mode), constant(i64, context.bareUser), constant(i64, context.bareSupervisor));
      return choose(eq(mode, 3), constant(i64, 0), lower);
    }
  }

  function defineFlushes(): void {
    const f = new Routine(0);
    f.fill(at(tlb.load), 0xff, 3 * tlb.entries * tlb.entryBytes);
    f.fill(at(tables.spaces), 0, 0x1_0000);
    f.fill(at(tables.superpages), 0, tables.superpageEntries);
    f.store32(at(state.spaces), 0, 0);
    f.store32(at(state.gigapages), 0, 0);
    f.define(module, flushTables);

    const all = new Routine(0);
    all.do(flushTables);
    all.do(updateContexts);
    all.define(module, flushAll);

    const loads = new Routine(0);
    loads.fill(at(tlb.load), 0xff, tlb.entries * tlb.entryBytes);
    loads.define(module, flushLoads);
  }

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

  function defineFenceAddresses(): void {
    const f = new Routine(3);
    const va = f.parameter(0, i64);
    const asid = f.parameter(1, i32);
    const which = f.parameter(2, i32);
    const mark = load8(and(wrap(shr(va, 21)), tables.superpageEntries - 1), at(tables.superpages));
    f.if(and(which, 1), () =>
      f.if(not(or(load32(at(state.gigapages)), mark)), () => {
        const entry = f.local(i32, and(shr(wrap(va), 8), (tlb.entries - 1) * tlb.entryBytes));
        for (const kind of [tlb.load, tlb.store, tlb.fetch]) f.store64(entry, at(kind), -1n);
        f.return();
      }),
    );
    f.if(
      and(which, 2),
      () => {
        // The address space gets a new short number when it is next used.
        f.store8(and(asid, 0xffff), at(tables.spaces), 0);
        f.do(updateContexts);
      },
      () => f.do(flushAll),
    );
    f.define(module, fenceAddresses);
  }
}

const pteBit = { v: 1, r: 2, w: 4, x: 8, u: 16, a: 64, d: 128 } as const;

function lowestBit(mask: bigint): number {
  let bit = 0;
  while (!((mask >> BigInt(bit)) & 1n)) bit++;
  return bit;
}

function importAll(module: Module): Record<keyof RuntimeImports, number> {
  const f64 = 0x7c;
  const none: readonly number[] = [];
  const names: Record<keyof RuntimeImports, readonly [readonly number[], readonly number[]]> = {
    page: [[i32], [i32]],
    codeStore: [[i32, i32], none],
    mmioHas: [[i32, i32], [i32]],
    mmioRead: [[i32, i32], [i32]],
    mmioWrite: [[i32, i32, i32], none],
    clock: [none, [f64]],
    timer: [none, none],
    instructionFence: [none, none],
    protection: [none, none],
  };
  const indices = {} as Record<keyof RuntimeImports, number>;
  for (const name of Object.keys(names) as (keyof RuntimeImports)[]) {
    const [parameters, results] = names[name];
    indices[name] = module.importFunction('runtime', name, module.type(parameters, results));
  }
  return indices;
}
