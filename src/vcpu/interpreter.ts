// The interpreter: one WebAssembly module a hart, made from the instruction table when the hart is. Its one function runs decoded
// records (decoded-record.ts): a loop around a table of cases, one a row of the table. A translated region is a case too.
import { hartWord, type Layout } from '../memory/layout.ts';
import { i32, i64 } from './code.ts';
import { mstatus } from './csr.ts';
import { decodedPage, handler, record } from './decoded-record.ts';
import { state, tables, tlb } from './hart-state.ts';
import { instructions } from './instructions.ts';
import { InterpreterMeaning, type Labels, local } from './interpreter-meaning.ts';
import { Module } from './module.ts';
import { call, constant, extend, has, load64, not, or, Routine } from './routine.ts';
import { accessKind, cause, defineRuntime, type Runtime, type RuntimeImports, translated } from './runtime.ts';
import { type Accesses, defineAccesses } from './runtime-access.ts';
import { defineSystem } from './runtime-system.ts';

export interface InterpreterImports extends RuntimeImports {
  /** Decodes what the record at this address stands for, and what follows it. */
  decode(record: number): void;
  /** The record, in the scratch page, of an instruction whose second half is at `offset` of the shared memory. */
  decodeCrossing(record: number, offset: number): number;
  /** The instruction of this record was jumped to `hotCount` times. */
  hot(record: number): void;
  /** The bits of the instruction at state.pc, which is being executed. */
  instructionBits(): number;
  /** Carries out an exact floating-point routine on the operands in state.call. */
  soft(routine: number, rounding: number): void;
}

export interface InterpreterOptions {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly index: number;
  readonly callsLeave: boolean;
  /** Where decoded pages lie: page 0 is the scratch page. */
  readonly scratchPage: number;
  /** Functions of translated regions, by slot; without it nothing is counted. */
  readonly regions: WebAssembly.Table | undefined;
  /** How often an instruction is jumped to before `hot` is told; below 65,536. */
  readonly hotCount: number;
  readonly softRoutines: readonly { readonly name: string; readonly operands: 1 | 2 | 3 }[];
}

/** Why `run` returned: 0 the budget or `attention`, else one of `after` in runtime-system.ts. */
export interface Interpreter {
  run(): number;
  /** Runtime functions, see runtime.ts. */
  takeInterrupt(): number;
  updateContexts(): void;
  flushAll(): void;
  fenceAddresses(va: bigint, asid: number, which: number): void;
  translate(va: bigint, access: number): number;
  pending(): bigint;
}

export function createInterpreter(options: InterpreterOptions, imports: InterpreterImports): Interpreter {
  const module = new Module();
  const runtime = defineRuntimeOf(module, options);
  const run = module.declare(module.type([], [i32]));
  module.define(run, ...writeLoop(module, runtime, options));
  module.exportFunction('run', run);
  for (const name of [
    'takeInterrupt',
    'updateContexts',
    'flushAll',
    'fenceAddresses',
    'translate',
    'pending',
  ] as const) {
    module.exportFunction(name, runtime.runtime[name]);
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    machine: { memory: options.memory, ...(options.regions && { regions: options.regions }) },
    runtime: imports as unknown as Record<string, () => void>,
  });
  return exports as unknown as Interpreter;
}

interface Parts {
  readonly runtime: Runtime;
  readonly accesses: Accesses;
  readonly system: ReadonlyMap<string, number>;
  readonly enableFloat: number;
  readonly illegal: number;
  readonly soft: number;
  readonly decode: number;
  readonly decodeCrossing: number;
  readonly hot: number;
}

function defineRuntimeOf(module: Module, options: InterpreterOptions): Parts {
  const pages = options.layout.totalBytes / 0x1_0000;
  module.importMemory('machine', 'memory', pages);
  if (options.regions) module.importTable('machine', 'regions', 1);
  const decode = module.importFunction('runtime', 'decode', module.type([i32]));
  const decodeCrossing = module.importFunction('runtime', 'decodeCrossing', module.type([i32, i32], [i32]));
  const hot = module.importFunction('runtime', 'hot', module.type([i32]));
  const soft = module.importFunction('runtime', 'soft', module.type([i32, i32]));
  const instructionBits = module.importFunction('runtime', 'instructionBits', module.type([], [i32]));
  const runtime = defineRuntime(module, options);
  const accesses = defineAccesses(module, runtime, options);
  const system = defineSystem(module, runtime, options);
  const illegal = defineIllegal(module, runtime, instructionBits);
  const enableFloat = defineEnableFloat(module, runtime, illegal);
  return { runtime, accesses, system, enableFloat, illegal, soft, decode, decodeCrossing, hot };
}

/** (): the trap of an instruction that turned out to be illegal only when it was executed. */
function defineIllegal(module: Module, runtime: Runtime, instructionBits: number): number {
  const func = module.declare(module.type([]));
  const f = new Routine(0);
  f.do(runtime.trap, constant(i32, cause.illegal), extend(call(instructionBits, i32)));
  f.define(module, func);
  return func;
}

/** () -> i32: floating point with mstatus.FS not Dirty (privileged architecture, section 3.1.6.6); not 0 if it trapped. */
function defineEnableFloat(module: Module, runtime: Runtime, illegal: number): number {
  const func = module.declare(module.type([], [i32]));
  const status = load64(runtime.csr('mstatus'));
  const f = new Routine(0);
  f.if(not(has(status, mstatus.fs)), () => {
    f.do(illegal);
    f.return(1);
  });
  f.store64(runtime.csr('mstatus'), 0, or(status, mstatus.fs));
  f.push(constant(i32, 0));
  f.define(module, func);
  return func;
}

function writeLoop(module: Module, parts: Parts, options: InterpreterOptions): [number[], InterpreterMeaning] {
  const { runtime } = parts;
  const { at } = runtime;
  const { layout, index } = options;
  const m = new InterpreterMeaning({ ...parts, softRoutines: options.softRoutines });
  const regionType = module.type([i32], [i32]);
  const scratch = options.scratchPage;

  m.i32Const(0).i64Load(at(state.budget)).i32WrapI64().localSet(local.left);
  m.call(runtime.takeInterrupt).drop();
  // Begin with the record that goes on from state.pc.
  m.i32Const(scratch).localSet(local.page);
  m.i32Const(scratch + decodedPage.enter).localSet(local.record);
  m.loop();
  const next = m.depth;
  m.block();
  const looked = m.depth;
  m.block();
  const enter = m.depth;
  const labels: Labels = { next, looked, enter };
  const cases = handler.rows + instructions.length;
  for (let i = 0; i < cases; i++) m.block();
  m.localGet(local.left).i32Const(1).i32Sub().localSet(local.left);
  m.field(record.handler).brTable(
    Array.from({ length: cases }, (_, i) => i),
    0,
  );
  const special: Record<number, () => void> = {
    [handler.none]: () => {
      m.localGet(local.record).call(parts.decode);
      uncount().goto('next');
    },
    [handler.next]: () => {
      m.storePc();
      uncount().goto('enter');
    },
    [handler.illegal]: () => m.illegal(),
    [handler.region]: region,
    [handler.crossing]: crossing,
    [handler.enter]: () => uncount().goto('enter'),
    [handler.nop]: () => m.advance(),
  };
  for (let i = 0; i < cases; i++) {
    m.end();
    const row = instructions[i - handler.rows];
    m.begin(row, labels);
    if (row === undefined) special[i]!();
    else {
      if (row.extension === 'F' || row.extension === 'D') m.requireFloat();
      row.meaning(m);
      if (row.ends !== 'jump' && row.ends !== 'indirect') m.advance();
    }
  }
  m.begin(undefined, labels);
  m.end();
  lookUp();
  m.end();
  look();
  m.goto('next');
  m.end().unreachable().end();
  return [m.locals.slice(), m];

  function uncount(): InterpreterMeaning {
    return m.localGet(local.left).i32Const(1).i32Add().localSet(local.left);
  }

  /** `enter`: from state.pc to page and record, by the fetch TLB. */
  function lookUp(): void {
    const entry = m.temp(i32);
    const pc = m.temp(i64);
    m.loop();
    const again = m.depth;
    m.i32Const(0).i64Load(at(state.pc)).localSet(pc);
    m.localGet(pc)
      .i32WrapI64()
      .i32Const(8)
      .i32ShrU()
      .i32Const((tlb.entries - 1) * tlb.entryBytes)
      .i32And()
      .localSet(entry);
    m.localGet(pc).i64Const(-4096).i64And().i32Const(0).i64Load(at(state.fetchContext)).i64Xor();
    m.localGet(entry).i64Load(at(tlb.fetch)).i64Eq().if_();
    m.localGet(entry)
      .i32Load(at(tlb.fetch) + 8)
      .localSet(local.page);
    m.else_();
    m.call(runtime.fetchMiss).localTee(local.page).i32Eqz().if_();
    // It trapped; a handler that cannot be fetched either must not spin here for ever.
    m.localGet(local.left).i32Const(1).i32Sub().localTee(local.left).i32Const(0).i32LeS().if_();
    m.spillBudget().i32Const(0).return_().end();
    m.br(m.depth - again)
      .end()
      .end()
      .end();
    m.localGet(pc).i64Const(-4096).i64And().localSet(local.virtualPage);
    m.localGet(pc).i32WrapI64().i32Const(0xffe).i32And().i32Const(2).i32Shl();
    m.localGet(local.page).i32Add().localSet(local.record);
  }

  /** `looked`: counts, and leaves when it is time. */
  function look(): void {
    if (options.regions) {
      const counter = m.temp(i32);
      const count = m.temp(i32);
      m.localGet(local.record).localGet(local.page).i32Sub().i32Const(2).i32ShrU();
      m.localGet(local.page).i32Add().localTee(counter);
      m.localGet(counter).i32Load16U(decodedPage.counters).i32Const(1).i32Add().localTee(count);
      m.i32Store16(decodedPage.counters);
      m.localGet(count).i32Const(options.hotCount).i32Eq().if_();
      m.localGet(local.record).call(parts.hot).end();
    }
    leaveIfTime();
  }

  function leaveIfTime(): void {
    m.localGet(local.left).i32Const(0).i32LeS();
    m.i32Const(0).i32AtomicLoad(at(hartWord.attention)).i32Or().if_();
    m.storePc().spillBudget().i32Const(0).return_().end();
  }

  function region(): void {
    if (!options.regions) {
      m.unreachable();
      return;
    }
    uncount();
    leaveIfTime();
    m.storePc().spillBudget();
    const slot = m.temp(i32);
    m.imm32().localSet(slot);
    m.i32Const(layout.hart(index)).localGet(slot).callIndirect(regionType);
    m.i32Const(0).i64Load(at(state.budget)).i32WrapI64().localSet(local.left);
    m.i32Eqz().if_().goto('enter').end();
    // One instruction by its own meaning; it is in this page, as the region is.
    m.i32Const(0).i32Load(at(state.pc)).i32Const(0xffe).i32And().i32Const(2).i32Shl();
    m.localGet(local.page).i32Add().localSet(local.record);
    m.field(record.handler).i32Const(handler.region).i32Eq().if_();
    const replaced = m.temp(i32);
    m.imm32().i32Const(3).i32Shl().localSet(replaced);
    const borrowed = m.temp(i32);
    m.localGet(local.record).localGet(local.page).i32Sub().i32Const(scratch).i32Add().localSet(borrowed);
    // The place lent before goes back to saying `next`.
    m.i32Const(0).i32Load(at(state.scratch)).i64Const(handler.next).i64Store();
    m.localGet(borrowed).localGet(replaced).i64Load(at(tables.replaced)).i64Store();
    m.i32Const(0).localGet(borrowed).i32Store(at(state.scratch));
    m.i32Const(scratch).localSet(local.page).localGet(borrowed).localSet(local.record).end();
    m.goto('next');
  }

  function crossing(): void {
    uncount();
    m.storePc();
    const address = m.temp(i64);
    const offset = m.temp(i32);
    m.pc().i64Const(2).i64Add().localTee(address).i32Const(accessKind.fetch).call(runtime.translate);
    m.localTee(offset).i32Eqz().if_().goto('enter').end();
    m.localGet(offset).i32Const(translated.device).i32Eq().if_();
    m.i32Const(cause.fetchAccess).localGet(address).call(runtime.trap).goto('enter').end();
    m.localGet(local.record).localGet(offset).call(parts.decodeCrossing).localSet(local.record);
    m.i32Const(scratch).localSet(local.page).goto('next');
  }
}
