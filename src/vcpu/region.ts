// A region of guest code as the body of one WebAssembly function: its graph, ordered, walked down the dominator tree so that
// control flow is blocks, loops and branches.
import { Code } from './code.ts';
import type { Decoded } from './decode.ts';
import type { RegionCode } from './region-code.ts';
import { analyse, type Flow } from './region-flow.ts';
import type { Block, Graph } from './region-graph.ts';
import { type Order, order } from './region-order.ts';

/** What a region's function is made of; `body` ends with `end`. */
export interface RegionBody {
  readonly locals: readonly number[];
  readonly body: Code;
  readonly usesSoft: boolean;
}

/** Makes the function of `graph`. `code` is reset and used to emit with. */
export function emitRegion(graph: Graph, code: RegionCode): RegionBody {
  const emission = new Emission(graph, code);
  emission.emit();
  const body = new Code(code.length + 1024);
  code.prologue(body, emission.flow.live);
  body.append(code.finish());
  return { locals: code.locals, body, usesSoft: code.usesSoft };
}

function isFloat(decoded: Decoded): boolean {
  const { extension } = decoded.instruction;
  return extension === 'F' || extension === 'D';
}

class Emission {
  readonly #code: RegionCode;
  /** Blocks by node; node 0 is the way in. */
  readonly #blocks: (Block | undefined)[] = [undefined];
  readonly #nodes = new Map<number, number>();
  readonly #order: Order;
  /** Depth of the label by which a node is reached. */
  readonly #label: Int32Array;
  readonly flow: Flow;

  constructor(graph: Graph, code: RegionCode) {
    this.#code = code;
    for (const block of graph.blocks.values()) this.#nodes.set(block.start, this.#blocks.push(block) - 1);
    const entries = [this.#nodes.get(graph.entry.start)!];
    for (const offset of graph.returns) entries.push(this.#nodes.get(offset)!);
    const successors = this.#blocks.map((block) => (block === undefined ? [] : this.#successors(block)));
    this.#order = order(successors, entries);
    this.#label = new Int32Array(this.#blocks.length);
    this.flow = analyse(this.#blocks, successors, this.#order, this.#dispatches);
  }

  emit(): void {
    this.#code.reset(this.#blocks.some((block) => block?.instructions.some(isFloat)));
    if (this.#dispatches) this.#dispatch();
    else this.#tree(this.#order.entries[0]!);
    this.#code.finishBody();
  }

  get #dispatches(): boolean {
    return this.#order.entries.length > 1;
  }

  #successors(block: Block): number[] {
    const nodes: number[] = [];
    if (block.ending === 'branch' || block.ending === 'jump') this.#push(nodes, block.target);
    if (block.ending === 'branch' || block.ending === 'next') this.#push(nodes, block.end);
    return nodes;
  }

  #push(nodes: number[], offset: number): void {
    const node = this.#nodes.get(offset);
    if (node !== undefined && !nodes.includes(node)) nodes.push(node);
  }

  /** Node 0: goes to the entry at offset `target`, by halves; leaves if there is none. */
  #dispatch(): void {
    const code = this.#code;
    code.loop();
    this.#label[0] = code.depth;
    const merges = this.#order.children[0]!.toSorted((a, b) => this.#order.position[b]! - this.#order.position[a]!);
    for (const node of merges) {
      code.block();
      this.#label[node] = code.depth;
    }
    const entries = this.#order.entries.toSorted((a, b) => this.#blocks[a]!.start - this.#blocks[b]!.start);
    this.#choose(entries);
    this.#begin(0);
    code.leave(undefined, 0);
    for (const node of merges.toReversed()) {
      code.end();
      code.pending = 0;
      this.#tree(node);
    }
    code.end();
  }

  #choose(entries: readonly number[]): void {
    const code = this.#code;
    if (entries.length <= 3) {
      for (const node of entries) {
        code.localGet(code.target).i64Const(this.#blocks[node]!.start).i64Eq();
        code.brIf(code.depth - this.#label[node]!);
      }
      return;
    }
    const middle = entries.length >> 1;
    code.localGet(code.target).i64Const(this.#blocks[entries[middle]!]!.start).i64LtU();
    code.if_();
    this.#choose(entries.slice(0, middle));
    code.else_();
    this.#choose(entries.slice(middle));
    code.end();
  }

  /** Emits `node` and what it dominates. */
  #tree(node: number): void {
    const code = this.#code;
    const { isLoop, isMerge, children } = this.#order;
    if (isLoop[node] !== 0 || isMerge[node] !== 0) {
      code.known.loads = 0;
      code.known.stores = 0;
    }
    if (isLoop[node] !== 0) {
      code.loop();
      this.#label[node] = code.depth;
    }
    const merges = children[node]!.filter((child) => isMerge[child] !== 0);
    for (const merge of merges) {
      code.block();
      this.#label[merge] = code.depth;
    }
    this.#begin(node);
    this.#block(node, this.#blocks[node]!);
    for (const merge of merges.toReversed()) {
      code.end();
      code.pending = 0;
      this.#tree(merge);
    }
    if (isLoop[node] !== 0) code.end();
  }

  #begin(node: number): void {
    const { dirty, lazy, steady } = this.flow;
    this.#code.steady = steady[node]!;
    this.#code.lazy = lazy[node] !== 0;
    this.#code.dirty.x = dirty[node]!.x;
    this.#code.dirty.f = dirty[node]!.f;
  }

  #block(node: number, block: Block): void {
    const code = this.#code;
    let offset = block.start;
    for (const decoded of block.instructions) {
      code.instruction(decoded, offset);
      offset += decoded.bytes;
    }
    switch (block.ending) {
      case 'next':
        this.#go(node, block.end);
        return;
      case 'jump':
        this.#go(node, block.target);
        return;
      case 'leave':
        code.leave(block.end, 0);
        return;
      case 'branch': {
        const { pending, lazy } = code;
        const dirty = { ...code.dirty };
        const known = { ...code.known };
        code.if_();
        this.#go(node, block.target);
        code.end();
        code.pending = pending;
        code.lazy = lazy;
        Object.assign(code.dirty, dirty);
        Object.assign(code.known, known);
        this.#go(node, block.end);
        return;
      }
      case 'indirect':
        code.localGet(code.base).i64Sub().localSet(code.target);
        if (!this.#dispatches) {
          code.leave(undefined, 0);
          return;
        }
        // No loop but node 0's contains this block, so nothing is dirty.
        code.poll(undefined);
        code.br(code.depth - this.#label[0]!);
    }
  }

  /** From the end of `node` on to `offset`. */
  #go(node: number, offset: number): void {
    const code = this.#code;
    const to = this.#nodes.get(offset);
    if (to === undefined) {
      code.leave(offset, 0);
      return;
    }
    const { position, isMerge, isLoop } = this.#order;
    const leavesLoop = this.flow.lazy[node] !== this.flow.lazy[to];
    if (this.#order.throughDispatch(node, to)) {
      code.poll(offset);
      code.settle();
      code.i64Const(offset).localSet(code.target);
      code.br(code.depth - this.#label[0]!);
    } else if (position[to]! <= position[node]!) {
      code.poll(offset);
      if (leavesLoop) code.settle();
      code.br(code.depth - this.#label[to]!);
    } else if (isMerge[to] !== 0) {
      code.flush();
      if (leavesLoop) code.settle();
      code.br(code.depth - this.#label[to]!);
    } else {
      if (isLoop[to] !== 0) code.flush();
      if (leavesLoop) code.settle();
      this.#tree(to);
    }
  }
}
