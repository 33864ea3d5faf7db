// What registers do between the blocks of a region. Outside of loops a written register goes to memory at once, so that ways out
// are short. In small loops it stays in its local ("lazy") and goes to memory where the loop ends or the region is left.
import { type Decoded, fieldsOf, rdField, rs1Field, rs2Field, rs3Field } from './decode.ts';
import type { Block } from './region-graph.ts';
import type { Order } from './region-order.ts';

/** Sets of registers: a bit each for x0 to x31 and f0 to f31. */
export interface Registers {
  x: number;
  f: number;
}

export interface Flow {
  /** By node: registers whose memory may be out of date where it begins. */
  readonly dirty: readonly Registers[];
  /** By node: which lazy loop it belongs to, 0 for none. */
  readonly lazy: Int32Array;
  /** By node: in loops, base registers that are likely to stay in their page, as none of the loop's loads writes them. */
  readonly steady: Int32Array;
  /** Registers whose value at the way in matters. */
  readonly live: Registers;
}

/** Ways out times registers written, of a loop that may be lazy: so much code each way out is. */
const lazyCost = 200;

/** Analyses blocks by node (node 0 is the way in); `edges` are those of the region, `dispatches` says that node 0 is a loop. */
export function analyse(
  blocks: readonly (Block | undefined)[],
  edges: readonly (readonly number[])[],
  order: Order,
  dispatches: boolean,
): Flow {
  const written = blocks.map((block) => allOf(block, writes));
  const successors = edges.map((list, node) => {
    if (node === 0) return order.entries;
    const detour = list.some((to) => order.throughDispatch(node, to)) || blocks[node]?.ending === 'indirect';
    const direct = list.filter((to) => !order.throughDispatch(node, to));
    return dispatches && detour ? [...direct, 0] : direct;
  });
  const loops = findLoops(successors, order);
  const lazy = new Int32Array(blocks.length);
  const steady = new Int32Array(blocks.length);
  for (const loop of loops) {
    let loaded = 0;
    let exits = 1;
    const all = { x: 0, f: 0 };
    for (const node of loop) {
      include(all, written[node]!);
      for (const decoded of blocks[node]!.instructions) {
        if (!accesses(decoded)) continue;
        exits++;
        loaded |= writes(decoded).x;
      }
    }
    for (const node of loop) steady[node] = ~loaded;
    const [first] = loop;
    const cost = exits * (bits(all.x) + bits(all.f));
    if (lazy[first!] === 0 && cost <= lazyCost) for (const node of loop) lazy[node] = first!;
  }
  return {
    ...{ lazy, steady },
    dirty: findDirty(successors, order, written, lazy),
    live: findLive(blocks, successors, order, written, lazy),
  };
}

/** The nodes of each loop, its header first; larger loops first. Node 0 makes none. */
function findLoops(successors: readonly (readonly number[])[], order: Order): Set<number>[] {
  const predecessors: number[][] = successors.map(() => []);
  for (const node of order.sequence) for (const to of successors[node]!) predecessors[to]!.push(node);
  const loops = new Map<number, Set<number>>();
  for (const node of order.sequence) {
    for (const header of successors[node]!) {
      if (header === 0 || order.position[header]! > order.position[node]!) continue;
      const loop = loops.get(header) ?? new Set([header]);
      loops.set(header, loop);
      const waiting = [node];
      for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
        if (loop.has(one)) continue;
        loop.add(one);
        waiting.push(...predecessors[one]!);
      }
    }
  }
  return [...loops.values()].sort((a, b) => b.size - a.size);
}

function findDirty(
  successors: readonly (readonly number[])[],
  order: Order,
  written: readonly Registers[],
  lazy: Int32Array,
): Registers[] {
  const into = successors.map(() => ({ x: 0, f: 0 }));
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order.sequence) {
      if (lazy[node] === 0) continue;
      for (const to of successors[node]!) {
        if (lazy[to] !== lazy[node]) continue;
        changed = include(into[to]!, into[node]!) || changed;
        changed = include(into[to]!, written[node]!) || changed;
      }
    }
  }
  return into;
}

/** Read before written on some way from the way in; a lazy loop reads all that it writes, as its ways out store these. */
function findLive(
  blocks: readonly (Block | undefined)[],
  successors: readonly (readonly number[])[],
  order: Order,
  written: readonly Registers[],
  lazy: Int32Array,
): Registers {
  const read = blocks.map((block) => upwardExposed(block));
  for (const [node, loop] of lazy.entries()) {
    if (loop === 0) continue;
    for (const [other, same] of lazy.entries()) if (same === loop) include(read[node]!, written[other]!);
  }
  const live = read.map((each) => ({ ...each }));
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = order.sequence.length - 1; i >= 0; i--) {
      const node = order.sequence[i]!;
      for (const to of successors[node]!) {
        const through = { x: live[to]!.x & ~written[node]!.x, f: live[to]!.f & ~written[node]!.f };
        changed = include(live[node]!, through) || changed;
      }
    }
  }
  return live[0]!;
}

function upwardExposed(block: Block | undefined): Registers {
  const exposed = { x: 0, f: 0 };
  const defined = { x: 0, f: 0 };
  for (const decoded of block?.instructions ?? []) {
    const read = reads(decoded);
    include(exposed, { x: read.x & ~defined.x, f: read.f & ~defined.f });
    include(defined, writes(decoded));
  }
  return exposed;
}

function allOf(block: Block | undefined, which: (decoded: Decoded) => Registers): Registers {
  const all = { x: 0, f: 0 };
  for (const decoded of block?.instructions ?? []) include(all, which(decoded));
  return all;
}

/** Registers that an instruction may write. */
export function writes(decoded: Decoded): Registers {
  const { format, files } = decoded.instruction;
  if ((fieldsOf[format] & rdField) === 0) return { x: 0, f: 0 };
  return inFile(files?.[0], decoded.rd);
}

function reads(decoded: Decoded): Registers {
  const { format, files } = decoded.instruction;
  const fields = fieldsOf[format];
  const all = { x: 0, f: 0 };
  if (fields & rs1Field) include(all, inFile(files?.[1], decoded.rs1));
  if (fields & rs2Field) include(all, inFile(files?.[2], decoded.rs2));
  if (fields & rs3Field) include(all, inFile(files?.[3], decoded.rs3));
  return all;
}

function inFile(file: string | undefined, register: number): Registers {
  return file === 'f' ? { x: 0, f: 1 << register } : { x: (1 << register) & ~1, f: 0 };
}

/** Whether an instruction goes to memory, and so may leave the region. */
function accesses(decoded: Decoded): boolean {
  const opcode = decoded.instruction.match & 0x7f;
  return opcode === 0x03 || opcode === 0x07 || opcode === 0x23 || opcode === 0x27 || opcode === 0x2f;
}

/** Adds `more`; whether anything was new. */
function include(to: Registers, more: Registers): boolean {
  const changed = (more.x & ~to.x) !== 0 || (more.f & ~to.f) !== 0;
  to.x |= more.x;
  to.f |= more.f;
  return changed;
}

function bits(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}
