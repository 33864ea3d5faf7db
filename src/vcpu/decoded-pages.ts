// A hart's decoded instructions: a pool of pages in its room of the shared memory, filled on demand, thrown away when the bytes
// they come from change. All of it is a cache. While any hart has instructions of a RAM page, the page is flagged `code` and
// nobody holds a write tag for it; `codeHolders` says who.
import { control, decodedBytes, hartWord, type Layout, pageBytes, pageFlag, pageShift } from '../memory/layout.ts';
import { type Decoded, decode, fieldsOf, isCompressed } from './decode.ts';
import { decodedPage, handler, isPure, record, registerBytes } from './decoded-record.ts';
import { state, tables, tlb } from './hart-state.ts';
import { instructions } from './instructions.ts';
import type { RegionEntries } from './translator.ts';

export interface DecodedPagesOptions {
  readonly buffer: ArrayBufferLike;
  readonly layout: Layout;
  readonly index: number;
  /** Has other harts drop their write tags, and waits. */
  readonly askForStores: (harts: readonly number[]) => void;
  /** The page's decoded instructions are about to go: translations of them must too. */
  readonly dropped: (ramPage: number) => void;
  /** The page got a place in the pool. */
  readonly placed: (ramPage: number) => void;
}

/** Stores to a page with instructions after which it is taken for data again. */
const storesUntilData = 32;
const handlers: ReadonlyMap<unknown, number> = new Map(instructions.map((row, i) => [row, handler.rows + i]));

export class DecodedPages implements RegionEntries {
  readonly #options: DecodedPagesOptions;
  readonly #layout: Layout;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #halfWords: Uint16Array;
  readonly #start: number;
  readonly #hart: number;
  readonly #own: number;
  /** Place in the pool of each RAM page, 0 for none; the RAM page in each place, -1 for none. */
  readonly #placeOf: Uint16Array;
  readonly #pageOf: Int32Array;
  readonly #stores: Uint8Array;
  readonly #translated: Uint8Array;
  readonly #toDrop = new Set<number>();
  #free: number[] = [];
  #fresh = 1;
  #victim = 1;
  #seenStale = 0;
  #crossingBits = 0;

  constructor(options: DecodedPagesOptions) {
    const { buffer, layout, index } = options;
    this.#options = options;
    this.#layout = layout;
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer);
    this.#halfWords = new Uint16Array(buffer);
    this.#start = layout.decoded(index);
    this.#hart = layout.hart(index);
    this.#own = 1 << index;
    const places = Math.floor(decodedBytes / decodedPage.bytes);
    this.#placeOf = new Uint16Array(layout.ramBytes / pageBytes);
    this.#pageOf = new Int32Array(places).fill(-1);
    this.#stores = new Uint8Array(places);
    this.#translated = new Uint8Array(places);
    this.#prepareScratch();
  }

  /** The scratch page (decoded-record.ts). */
  get scratchPage(): number {
    return this.#start;
  }

  /** Address of the decoded page of a RAM page, which gets a place if it has none. */
  page(ramPage: number): number {
    const place = this.#placeOf[ramPage]!;
    return this.#address(place === 0 ? this.#take(ramPage) : place);
  }

  /** Decodes the record and those behind it, up to one that is known or that jumps away. */
  decode(address: number): void {
    const place = Math.floor((address - this.#start) / decodedPage.bytes);
    const page = this.#address(place);
    const ram = this.#layout.ram + this.#pageOf[place]! * pageBytes;
    let offset = (address - page) >> 2;
    while (offset < pageBytes) {
      const at = page + offset * 4;
      if (this.#bytes[at + record.handler] !== handler.none) return;
      const low = this.#halfWords[(ram + offset) >> 1]!;
      if (!isCompressed(low) && offset === pageBytes - 2) {
        this.#bytes[at + record.handler] = handler.crossing;
        return;
      }
      const bits = isCompressed(low) ? low : low | (this.#halfWords[(ram + offset + 2) >> 1]! << 16);
      const decoded = decode(bits);
      this.#write(at, decoded, bits);
      if (decoded === undefined || decoded.instruction.ends === 'jump' || decoded.instruction.ends === 'indirect')
        return;
      offset += decoded.bytes;
    }
  }

  /** Decodes into the scratch page the instruction of the page's last record, whose second half is at `offset`. */
  decodeCrossing(address: number, offset: number): number {
    const place = Math.floor((address - this.#start) / decodedPage.bytes);
    const low = this.#halfWords[(this.#layout.ram + (this.#pageOf[place]! + 1) * pageBytes - 2) >> 1]!;
    const bits = low | (this.#halfWords[offset >> 1]! << 16);
    const borrowed = this.#start + decodedPage.records - record.bytes;
    const lent = (this.#hart + state.scratch) >> 2;
    this.#writeNext(this.#words[lent]!);
    this.#words[lent] = borrowed;
    this.#write(borrowed, decode(bits), bits);
    this.#crossingBits = bits;
    return borrowed;
  }

  /** The bits of the instruction at `pc`, which is being executed: so the fetch TLB knows its page. */
  bitsAt(pc: number): number {
    const offset = pc & (pageBytes - 1);
    const entry = (this.#hart + tlb.fetch + ((pc >>> pageShift) & (tlb.entries - 1)) * tlb.entryBytes) >> 2;
    const place = ((this.#words[entry + 2]! >>> 0) - this.#start) / decodedPage.bytes;
    const at = (this.#layout.ram + this.#pageOf[place]! * pageBytes + offset) >> 1;
    const low = this.#halfWords[at]!;
    if (isCompressed(low)) return low;
    return offset === pageBytes - 2 ? this.#crossingBits : low | (this.#halfWords[at + 1]! << 16);
  }

  /** RAM page and byte offset of a record. */
  locate(address: number): { page: number; offset: number } {
    const place = Math.floor((address - this.#start) / decodedPage.bytes);
    return { page: this.#pageOf[place]!, offset: (address - this.#address(place)) >> 2 };
  }

  /** The instruction at an offset of a RAM page; undefined if it is illegal or crosses the page's end. */
  decodeAt(ramPage: number, offset: number): Decoded | undefined {
    const at = (this.#layout.ram + ramPage * pageBytes + offset) >> 1;
    const low = this.#halfWords[at]!;
    if (isCompressed(low)) return decode(low);
    if (offset >= pageBytes - 2) return undefined;
    return decode(low | (this.#halfWords[at + 1]! << 16));
  }

  /** This hart wrote bytes of a page flagged `code`. The records go at once; pages go later (`tidy`), as one may be running. */
  codeStore(offset: number, bytes: number): void {
    const inRam = offset - this.#layout.ram;
    const ramPage = inRam >>> pageShift;
    const place = this.#placeOf[ramPage]!;
    if (place !== 0) {
      const page = this.#address(place);
      const within = inRam & (pageBytes - 1);
      if (this.#translated[place] === 1) this.#forgetTranslations(ramPage, place);
      for (let at = Math.max(0, within - 2) & ~1; at < within + bytes; at += 2) this.#clearRecord(page + at * 4);
      if (++this.#stores[place]! >= storesUntilData) this.#dropSoon(ramPage);
    }
    if ((Atomics.load(this.#bytes, this.#layout.codeHolders + ramPage) & ~this.#own) === 0) return;
    Atomics.or(this.#bytes, this.#layout.pageFlags + ramPage, pageFlag.stale);
    Atomics.add(this.#words, control.staleCode >> 2, 1);
    this.#seenStale++;
    for (let hart = 0; hart < this.#layout.harts; hart++) {
      Atomics.store(this.#words, (this.#layout.hart(hart) + hartWord.attention) >> 2, 1);
    }
  }

  /** Drops what is due: pages that others changed, and pages that turned into data. Not while a record of them may be running. */
  tidy(): void {
    const count = Atomics.load(this.#words, control.staleCode >> 2);
    if (count !== this.#seenStale) {
      this.#seenStale = count;
      for (let place = 1; place < this.#fresh; place++) {
        const ramPage = this.#pageOf[place]!;
        if (ramPage < 0) continue;
        if (Atomics.load(this.#bytes, this.#layout.pageFlags + ramPage) & pageFlag.stale) this.#drop(ramPage);
      }
    }
    if (this.#toDrop.size === 0) return;
    for (const ramPage of this.#toDrop) this.#drop(ramPage);
    this.#toDrop.clear();
  }

  /** Forgets everything. */
  dropAll(): void {
    for (let place = 1; place < this.#fresh; place++) if (this.#pageOf[place]! >= 0) this.#drop(this.#pageOf[place]!);
  }

  setRegion(ramPage: number, offset: number, slot: number): boolean {
    const place = this.#placeOf[ramPage]!;
    if (place === 0) return false;
    const at = this.#address(place) + offset * 4;
    if (this.#bytes[at + record.handler] === handler.none) this.decode(at);
    if (this.#bytes[at + record.handler] === handler.region) return true;
    this.#translated[place] = 1;
    const replaced = this.#hart + tables.replaced + slot * 8;
    this.#bytes.copyWithin(replaced, at, at + record.bytes);
    this.#words[at >> 2] = handler.region | (this.#words[at >> 2]! & ~0xff);
    this.#words[(at + record.imm) >> 2] = slot;
    return true;
  }

  clearRegion(ramPage: number, offset: number): void {
    const place = this.#placeOf[ramPage]!;
    if (place !== 0) this.#clearRecord(this.#address(place) + offset * 4);
  }

  /** Forgets the store TLB's tags, of one page if given. */
  dropStoreTags(ramPage?: number): void {
    const first = (this.#hart + tlb.store) >> 2;
    const end = first + (tlb.entries * tlb.entryBytes) / 4;
    if (ramPage === undefined) {
      this.#words.fill(-1, first, end);
      return;
    }
    const host = (this.#layout.ram + ramPage * pageBytes) | 0;
    for (let at = first; at < end; at += tlb.entryBytes / 4) {
      if ((((this.#words[at]! & -pageBytes) + this.#words[at + 2]!) | 0) === host) this.#words.fill(-1, at, at + 2);
    }
  }

  #take(ramPage: number): number {
    const place = this.#freePlace();
    this.#placeOf[ramPage] = place;
    this.#pageOf[place] = ramPage;
    this.#stores[place] = 0;
    this.#translated[place] = 0;
    this.#writeNext(this.#address(place) + decodedPage.records);
    this.#writeNext(this.#address(place) + decodedPage.records + record.bytes);
    this.#hold(ramPage);
    this.#options.placed(ramPage);
    return place;
  }

  /** From here on no hart writes to the page unnoticed; only then may its bytes be read. */
  #hold(ramPage: number): void {
    const flags = this.#layout.pageFlags + ramPage;
    Atomics.or(this.#bytes, this.#layout.codeHolders + ramPage, this.#own);
    const before = Atomics.or(this.#bytes, flags, pageFlag.code);
    const writers = before & (pageFlag.code - 1);
    if (writers === 0) return;
    if (writers & this.#own) this.dropStoreTags(ramPage);
    const others = Array.from({ length: this.#layout.harts }, (_, hart) => hart).filter(
      (hart) => writers & (1 << hart) & ~this.#own,
    );
    if (others.length > 0) this.#options.askForStores(others);
    Atomics.and(this.#bytes, flags, ~writers);
  }

  #drop(ramPage: number): void {
    const place = this.#placeOf[ramPage]!;
    if (place === 0) return;
    if (this.#translated[place] === 1) this.#forgetTranslations(ramPage, place);
    const address = this.#address(place);
    this.#placeOf[ramPage] = 0;
    this.#pageOf[place] = -1;
    this.#bytes.fill(0, address, address + decodedPage.bytes);
    this.#free.push(place);
    this.#dropFetchTags(address);
    this.#release(ramPage);
  }

  /** The last holder gives the page back; a hart that comes to hold it meanwhile is seen by the second look. */
  #release(ramPage: number): void {
    const holders = this.#layout.codeHolders + ramPage;
    const flags = this.#layout.pageFlags + ramPage;
    if ((Atomics.and(this.#bytes, holders, ~this.#own) & ~this.#own) !== 0) return;
    Atomics.and(this.#bytes, flags, ~(pageFlag.code | pageFlag.stale));
    if (Atomics.load(this.#bytes, holders) === 0) return;
    Atomics.or(this.#bytes, flags, pageFlag.code | pageFlag.stale);
    Atomics.add(this.#words, control.staleCode >> 2, 1);
  }

  #forgetTranslations(ramPage: number, place: number): void {
    this.#translated[place] = 0;
    this.#options.dropped(ramPage);
  }

  #dropFetchTags(address: number): void {
    const first = (this.#hart + tlb.fetch) >> 2;
    const end = first + (tlb.entries * tlb.entryBytes) / 4;
    for (let at = first; at < end; at += tlb.entryBytes / 4) {
      if (this.#words[at + 2] === (address | 0)) this.#words.fill(-1, at, at + 2);
    }
  }

  #freePlace(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#fresh < this.#pageOf.length) return this.#fresh++;
    this.#victim = this.#victim + 1 < this.#pageOf.length ? this.#victim + 1 : 1;
    this.#drop(this.#pageOf[this.#victim]!);
    return this.#free.pop()!;
  }

  #dropSoon(ramPage: number): void {
    this.#toDrop.add(ramPage);
    Atomics.store(this.#words, (this.#hart + hartWord.attention) >> 2, 1);
  }

  #write(at: number, decoded: Decoded | undefined, bits: number): void {
    const bytes = this.#bytes;
    if (decoded === undefined) {
      this.#words[at >> 2] = handler.illegal;
      this.#words[(at + record.imm) >> 2] = isCompressed(bits) ? bits & 0xffff : bits;
      return;
    }
    const { instruction, rd, rs1, rs2, rs3, rounding } = decoded;
    const fields = fieldsOf[instruction.format];
    const withoutRd = (fields & 1) === 0;
    bytes[at + record.step] = decoded.bytes * 4;
    bytes[at + record.rd] = (withoutRd ? rs2 : rd) * registerBytes;
    bytes[at + record.rs1] = rs1 * registerBytes;
    if (instruction.ends === 'system') this.#words[(at + record.imm) >> 2] = decoded.bits;
    else if (instruction.format === 'R' || instruction.format === 'R4' || instruction.format === 'atomic') {
      bytes[at + record.rs2] = rs2 * registerBytes;
      bytes[at + record.rs3] = rs3 * registerBytes;
      bytes[at + record.rounding] = rounding;
    } else if (instruction.format === 'unary') bytes[at + record.rounding] = rounding;
    else this.#words[(at + record.imm) >> 2] = decoded.imm;
    const nop = rd === 0 && !withoutRd && isPure(instruction);
    bytes[at + record.handler] = nop ? handler.nop : handlers.get(instruction)!;
  }

  /** To be decoded anew. An instruction that changed itself still reads its operands and its length here. */
  #clearRecord(at: number): void {
    this.#bytes[at + record.handler] = handler.none;
  }

  #writeNext(at: number): void {
    this.#words[at >> 2] = handler.next;
    this.#words[(at >> 2) + 1] = 0;
  }

  #prepareScratch(): void {
    for (let at = 0; at < decodedPage.enter; at += record.bytes) this.#writeNext(this.#start + at);
    this.#words[(this.#start + decodedPage.enter) >> 2] = handler.enter;
    this.#words[(this.#hart + state.scratch) >> 2] = this.#start;
  }

  #address(place: number): number {
    return this.#start + place * decodedPage.bytes;
  }
}
