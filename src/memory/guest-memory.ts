// A guest's RAM as devices see it: physical addresses in, checked views out. A device that wrote says so with
// `written`, so that instructions decoded or translated from those pages are thrown away.
import { control, hartWord, type Layout, pageBytes, pageFlag, ramStart } from './layout.ts';

/** A guest's address that is not RAM; devices answer it as their specification says (virtio: device needs reset). */
export class OutsideRam extends Error {
  constructor(address: number, bytes: number) {
    super(`Cannot reach ${bytes} bytes at guest address 0x${address.toString(16)}: not RAM`);
  }
}

export class GuestMemory {
  readonly layout: Layout;
  readonly buffer: ArrayBufferLike;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #halfWords: Uint16Array;

  constructor(buffer: ArrayBufferLike, layout: Layout) {
    this.layout = layout;
    this.buffer = buffer;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    this.#halfWords = new Uint16Array(buffer);
  }

  /** Whether `bytes` bytes at guest-physical `address` are all RAM. */
  contains(address: number, bytes: number): boolean {
    const offset = address - ramStart;
    return offset >= 0 && bytes >= 0 && offset + bytes <= this.layout.ramBytes;
  }

  /** A view of `bytes` bytes at guest-physical `address`. Throws OutsideRam. */
  bytes(address: number, bytes: number): Uint8Array {
    const start = this.#offset(address, bytes);
    return this.#bytes.subarray(start, start + bytes);
  }

  u16(address: number): number {
    return this.#view.getUint16(this.#offset(address, 2), true);
  }

  /** Reads an aligned half-word in order with every access of the harts that is atomic or fenced. */
  loadU16(address: number): number {
    return Atomics.load(this.#halfWords, this.#offset(address, 2) / 2);
  }

  storeU16(address: number, value: number): void {
    Atomics.store(this.#halfWords, this.#offset(address, 2) / 2, value);
    this.written(address, 2);
  }

  u32(address: number): number {
    return this.#view.getUint32(this.#offset(address, 4), true);
  }

  /** A 64-bit word that must be a safe integer, as guest addresses and lengths are. */
  u64(address: number): number {
    const start = this.#offset(address, 8);
    return this.#view.getUint32(start, true) + this.#view.getUint32(start + 4, true) * 2 ** 32;
  }

  setU16(address: number, value: number): void {
    this.#view.setUint16(this.#offset(address, 2), value, true);
    this.written(address, 2);
  }

  setU32(address: number, value: number): void {
    this.#view.setUint32(this.#offset(address, 4), value, true);
    this.written(address, 4);
  }

  setU64(address: number, value: number): void {
    const start = this.#offset(address, 8);
    this.#view.setUint32(start, value >>> 0, true);
    this.#view.setUint32(start + 4, Math.floor(value / 2 ** 32), true);
    this.written(address, 8);
  }

  set(address: number, bytes: Uint8Array): void {
    this.bytes(address, bytes.length).set(bytes);
    this.written(address, bytes.length);
  }

  /** Says that a device wrote these bytes: pages with decoded instructions become stale on every hart. */
  written(address: number, bytes: number): void {
    if (bytes === 0) return;
    const first = Math.floor((address - ramStart) / pageBytes);
    const last = Math.floor((address - ramStart + bytes - 1) / pageBytes);
    let stale = false;
    // A read and write, not a load: it keeps the bytes just written from becoming visible after the flags were looked at, when a
    // hart that decodes this page at this moment (flag first, then the bytes) would take the old bytes for good.
    Atomics.or(this.#bytes, this.layout.pageFlags + first, 0);
    for (let page = first; page <= last; page++) {
      const flag = this.layout.pageFlags + page;
      if ((Atomics.load(this.#bytes, flag) & pageFlag.code) === 0) continue;
      Atomics.or(this.#bytes, flag, pageFlag.stale);
      stale = true;
    }
    if (!stale) return;
    Atomics.add(this.#words, control.staleCode >> 2, 1);
    for (let hart = 0; hart < this.layout.harts; hart++) {
      Atomics.store(this.#words, (this.layout.hart(hart) + hartWord.attention) >> 2, 1);
    }
  }

  #offset(address: number, bytes: number): number {
    if (!this.contains(address, bytes)) throw new OutsideRam(address, bytes);
    return this.layout.ram + (address - ramStart);
  }
}
