// The hart's runtime in WebAssembly, all that compiled code and the interpreter call: here its TLBs' contexts and flushing; traps,
// translation, slow accesses and system instructions in runtime-….ts beside. It is written with routine.ts, and calls out only
// for what has no place here, with 32-bit numbers (see RuntimeImports).
// Functions give 0 where all is well, or not 0 when the hart must go on from state.pc.
import type { Layout } from '../memory/layout.ts';
import { i32, i64 } from './code.ts';
import { csrPlace, mstatus } from './csr.ts';
import { state, tables, tlb } from './hart-state.ts';
import type { Module } from './module.ts';
import {
  add,
  and,
  choose,
  constant,
  type Expression,
  eq,
  extend,
  has,
  load8,
  load32,
  load64,
  ltU,
  not,
  or,
  Routine,
  shl,
  shr,
  wrap,
} from './routine.ts';
import { defineTranslation } from './runtime-translation.ts';
import { defineTraps } from './runtime-traps.ts';

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

  const runtime: Runtime = {
    ...{ trap, takeInterrupt, updateContexts, flushAll, flushLoads, translate, fetchMiss, fenceAddresses, pending },
    ...{ imports, at, csr },
  };
  const { status, privilege, field } = registers(runtime);
  defineUpdateContexts();
  defineFlushes();
  defineFenceAddresses();
  defineTraps(module, runtime);
  defineTranslation(module, runtime, place);
  return runtime;

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

/** What the runtime's functions often read: mstatus, the privilege, and a field of mstatus at its lowest place, as i32. */
export function registers({ at, csr }: Pick<Runtime, 'at' | 'csr'>): {
  readonly status: Expression;
  readonly privilege: Expression;
  readonly field: (mask: bigint) => Expression;
} {
  const status = load64(csr('mstatus'));
  const field = (mask: bigint): Expression => wrap(shr(and(status, mask), lowestBit(mask)));
  return { status, privilege: load32(at(state.privilege)), field };
}

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
