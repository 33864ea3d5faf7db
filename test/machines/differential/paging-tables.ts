// Random page tables of Sv39 for paging-program.ts: three address spaces, each with tables of its own, whose entries are of
// every kind there is: leaves of three sizes with any permission, pointers, invalid, reserved, misaligned.
import type { Random } from './random.ts';

export const ramStart = 0x8000_0000;
const bit = { v: 1, r: 2, w: 4, x: 8, u: 16, g: 32, a: 64, d: 128 } as const;
/** Physical addresses where neither machine has anything. */
const nowhere = 0x1800_0000;
const pageBytes = 4096;
const zoneBytes = 0x20_0000;

/** Where tables lie, from the start of RAM: a root, three tables of level 1 and four of level 0 for each address space. */
const tablesStart = 0x10_0000;
const tablesOfLevel = [4, 3, 1] as const;
const tablesOfSpace = 8;
export const spaces = 3;
/** Pages whose contents are code and data for the accesses: the first of each zone of 2 MiB, from the second zone on. */
export const zones = [1, 2, 3] as const;
export const pagesOfZone = 6;

/** How many entries of a table are used, from the first on. Low indices keep an access within a zone's first pages. */
const usedEntries = [8, 4, 8] as const;
/**
 * Not those addresses that are RAM's own: QEMU 7.2 takes what it knows of M mode's fetch from a page for loads and stores to the
 * same address by MPRV.
 */
const rootEntries = [0, 1, 3, 4, 5, 6, 7] as const;
/** A gigapage over all of RAM for the trap handler of S mode, in every space. */
const handlerEntry = 511;
export const handlerStart: bigint = 0xffff_ffff_c000_0000n;

export interface Entry {
  /** Offset from the start of RAM. */
  readonly at: number;
  readonly level: number;
  readonly pte: bigint;
}

export class PagingTables {
  /** The entries by offset, as they are once all pokes so far have been made (but for A and D, which machines set). */
  readonly #entries = new Map<number, Entry>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    for (let space = 0; space < spaces; space++) {
      for (let table = 0; table < tablesOfSpace; table++) {
        const level = table < 1 ? 2 : table < 4 ? 1 : 0;
        for (let i = 0; i < usedEntries[level]!; i++) this.#set(this.#tableAt(space, table) + i * 8, level, space);
      }
      const at = this.root(space) + handlerEntry * 8;
      const bits = bit.v | bit.r | bit.w | bit.x | bit.a | bit.d | (this.#random.chance(50) ? bit.g : 0);
      this.#entries.set(at, { at, level: 2, pte: leaf(ramStart, bits) });
    }
  }

  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  root(space: number): number {
    return this.#tableAt(space, 0);
  }

  satp(space: number): bigint {
    return (8n << 60n) | (BigInt(space * 77 + 1) << 44n) | BigInt((ramStart + this.root(space)) / pageBytes);
  }

  asid(space: number): number {
    return space * 77 + 1;
  }

  /** Gives an entry on the way to an address a new value; `alone` if no other address had its walk over it. */
  change(space: number, virtual: bigint): { before: Entry; after: Entry; alone: boolean } {
    const before = this.#random.one(this.#walk(space, virtual));
    const alone = this.#addressesOver(before, space) === 1;
    return { before, after: this.#set(before.at, before.level, space), alone };
  }

  /** Whether an address leads to where there is no memory. */
  leadsNowhere(space: number, virtual: bigint): boolean {
    const leaf = this.#walk(space, virtual).at(-1);
    return leaf !== undefined && Number((leaf.pte >> 10n) & 0xfff_ffff_ffffn) * pageBytes < ramStart;
  }

  #addressesOver(entry: Entry, space: number): number {
    let count = 0;
    for (let page = 0; page < 8 * 4 * 8; page++) {
      const [high, middle, low] = [page >> 5, (page >> 3) & 3, page & 7];
      const virtual = BigInt((high << 18) | (middle << 9) | low) << 12n;
      if (this.#walk(space, virtual).some(({ at }) => at === entry.at)) count++;
    }
    return count;
  }

  /** The entries that a walk of the address reads, from the root down. */
  #walk(space: number, virtual: bigint): Entry[] {
    const path: Entry[] = [];
    let table = this.root(space);
    for (const shift of [30n, 21n, 12n]) {
      const entry = this.#entries.get(table + Number((virtual >> shift) & 511n) * 8);
      if (entry === undefined) break;
      path.push(entry);
      if ((entry.pte & BigInt(bit.v | bit.r | bit.w | bit.x)) !== BigInt(bit.v)) break;
      table = Number((entry.pte >> 10n) & 0xfff_ffff_ffffn) * pageBytes - ramStart;
    }
    return path;
  }

  /** A page's address that the tables can say something about; most often one with these bits in its leaf, if there are any. */
  address(space?: number, bits = 0n, value = 0n): bigint {
    const random = this.#random;
    const wanted = space !== undefined && random.chance(75);
    for (let tries = 0; ; tries++) {
      const page = (random.one(rootEntries) << 18) | (random.between(1, 3) << 9) | random.below(pagesOfZone);
      const virtual = BigInt(page) << 12n;
      if (!wanted || tries > 50) return virtual;
      const leaf = this.#walk(space, virtual).at(-1);
      if (leaf && (leaf.pte & 0xen) !== 0n && (leaf.pte & bits) === value) return virtual;
    }
  }

  #set(at: number, level: number, space: number): Entry {
    const entry = { at, level, pte: this.#value(level, space) };
    this.#entries.set(at, entry);
    return entry;
  }

  #tableAt(space: number, table: number): number {
    return tablesStart + (space * tablesOfSpace + table) * pageBytes;
  }

  #value(level: number, space: number): bigint {
    const random = this.#random;
    if (random.chance(level === 0 ? 0 : 65)) return this.#pointer(level, space);
    const kind = random.below(100);
    const bits = kind < 70 ? usual(random) : random.below(256);
    if (level === 2) return leaf(ramStart, bits) | this.#misaligned(level) | reserved(random);
    const zone = ramStart + random.one(zones) * zoneBytes;
    if (level === 1) return leaf(zone, bits) | this.#misaligned(level) | reserved(random);
    const page = random.chance(4) ? nowhere : zone + random.below(pagesOfZone) * pageBytes;
    return leaf(page, bits) | reserved(random);
  }

  #pointer(level: number, space: number): bigint {
    const random = this.#random;
    const below = level - 1;
    const first = below === 1 ? 1 : 4;
    const table = this.#tableAt(space, first + random.below(tablesOfLevel[below]!));
    const odd = random.chance(6) ? random.one([bit.u, bit.a, bit.d, bit.g]) : 0;
    return leaf(ramStart + table, (random.chance(97) ? bit.v : 0) | odd) | reserved(random);
  }

  /** Now and then a bit of the page number that must be 0 in a superpage. */
  #misaligned(level: number): bigint {
    return this.#random.chance(5) ? 1n << BigInt(10 + this.#random.below(9 * level)) : 0n;
  }
}

function leaf(physical: number, bits: number): bigint {
  return (BigInt(physical / pageBytes) << 10n) | BigInt(bits);
}

function usual(random: Random): number {
  const permissions = random.one([
    bit.r,
    bit.r | bit.w,
    bit.x,
    bit.r | bit.x,
    bit.r | bit.w | bit.x,
    bit.r | bit.w | bit.x,
  ]);
  const dirty = random.one([bit.a | bit.d, bit.a | bit.d, bit.a, 0]);
  return bit.v | permissions | dirty | (random.chance(50) ? bit.u : 0) | (random.chance(20) ? bit.g : 0);
}

/** Bits 54 to 63, which say something only with extensions that neither machine has. */
function reserved(random: Random): bigint {
  return random.chance(3) ? 1n << BigInt(random.between(54, 63)) : 0n;
}
