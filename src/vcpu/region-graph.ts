// The control-flow graph of a region: all code that can be reached from its entry without leaving the entry's physical page. An
// instruction that crosses the page's end is not part of it, as the next page may be anywhere.

import { pageBytes } from '../memory/layout.ts';
import type { Decoded } from './decode.ts';

/** A region stops growing here; edges to what is not in it leave the region. */
export const maxRegionInstructions = 512;

/** How a block ends. `leave`: the instruction at `end` is the interpreter's. `next`: the following block begins here. */
export type Ending = 'branch' | 'jump' | 'indirect' | 'leave' | 'next';

export interface Block {
  readonly start: number;
  /** Offset behind the last instruction that the region carries out itself. */
  end: number;
  readonly instructions: Decoded[];
  ending: Ending;
  /** Offset that a branch or jump goes to when taken; may lie outside of the page. */
  target: number;
}

export interface Graph {
  readonly entry: Block;
  /** The blocks by the offset of their first instruction. */
  readonly blocks: ReadonlyMap<number, Block>;
  /** Offsets behind calls that stay in the region: where returns come to. */
  readonly returns: ReadonlySet<number>;
  readonly instructions: number;
}

export type DecodeAt = (page: number, offset: number) => Decoded | undefined;

/** Finds the region of `offset` in RAM page `page`; undefined if not even its first instruction can be translated. */
export function findRegion(decodeAt: DecodeAt, page: number, offset: number): Graph | undefined {
  const found = new Map<number, Decoded>();
  const leaders = new Set<number>([offset]);
  const returns = new Set<number>();
  const calls: number[] = [];
  const waiting = [offset];
  for (;;) {
    // What is behind a call comes last, so that a region that grows too large loses that first.
    const start = waiting.shift() ?? calls.shift();
    if (start === undefined) break;
    let at = start;
    while (at < pageBytes && found.size < maxRegionInstructions) {
      if (found.has(at)) {
        leaders.add(at);
        break;
      }
      const decoded = decodeAt(page, at);
      if (decoded === undefined) break;
      found.set(at, decoded);
      const next = at + decoded.bytes;
      const target = at + decoded.imm;
      const ends = decoded.instruction.ends;
      if (ends === 'branch') {
        follow(target);
        follow(next);
      } else if (ends === 'jump') {
        follow(target);
        if (isLink(decoded.rd) && target >= 0 && target < pageBytes && next < pageBytes) {
          returns.add(next);
          leaders.add(next);
          calls.push(next);
        }
      }
      if (ends !== undefined) break;
      at = next;
    }
  }
  const blocks = new Map<number, Block>();
  for (const leader of leaders) if (found.has(leader)) blocks.set(leader, cut(leader));
  const entry = blocks.get(offset);
  if (entry === undefined || (entry.instructions.length === 0 && entry.ending === 'leave')) return undefined;
  for (const point of returns) if (!blocks.has(point)) returns.delete(point);
  return { entry, blocks, returns, instructions: found.size };

  function follow(target: number): void {
    if (target < 0 || target >= pageBytes) return;
    if (!leaders.has(target)) {
      leaders.add(target);
      waiting.push(target);
    }
  }

  function cut(start: number): Block {
    const block: Block = { start, end: start, instructions: [], ending: 'next', target: 0 };
    for (;;) {
      const decoded = found.get(block.end);
      if (decoded === undefined) {
        // Not decodable here, or the region is full: the interpreter goes on.
        block.ending = 'leave';
        return block;
      }
      const ends = decoded.instruction.ends;
      if (ends === 'system') {
        block.ending = 'leave';
        return block;
      }
      block.instructions.push(decoded);
      const at = block.end;
      block.end += decoded.bytes;
      if (ends !== undefined) {
        block.ending = ends;
        block.target = at + decoded.imm;
        return block;
      }
      if (leaders.has(block.end) && found.has(block.end)) return block;
    }
  }
}

/** Registers that hold return addresses by convention (unprivileged architecture, section 2.5.1). */
function isLink(register: number): boolean {
  return register === 1 || register === 5;
}
