// A copy-on-write disk: an overlay file of the clusters that were written, over a base that never changes. The file is
// sparse: a header, a bitmap with a bit a cluster, then the clusters, each at its own place. Numbers are little-endian.
//   0 magic "HOLMCOW1" | 8 u32 cluster bytes, 4096 | 12 u32 zero | 16 u64 disk bytes | 24 u64 base bytes | 32 base id, 32 bytes
//   4096 bitmap, padded to 4096 | then cluster n at n * 4096
// The rule: a bit reaches the file only after its cluster is safe there, so a crash leaves old clusters whole or new ones
// whole, and what the guest flushed is always there. Bits never go back to 0.
import { HolmError } from '../base/error.ts';
import type { BlockBackend, ByteSource, ByteStore, Done } from './block-backend.ts';
import { slice, totalBytes } from './buffers.ts';
import { writeZeros } from './store-disk.ts';

const magic = 'HOLMCOW1';
const headerBytes = 4096;
const clusterBytes = 4096;
const idStart = 32;
const idBytes = 32;
/** Bitmap bytes written at a time. */
const mapPageBytes = 4096;

export interface OverlayBase {
  readonly source: ByteSource;
  /** What tells this base from all others, 32 bytes (a SHA-256 digest): an overlay on another base is a broken disk. */
  readonly id: Uint8Array;
}

/** Makes an empty overlay of `bytes` bytes, at least the base's, in an empty file. Beyond the base it reads as zeros. */
export function createOverlay(store: ByteStore, bytes: number, base?: OverlayBase): BlockOverlay {
  const baseBytes = base?.source.bytes ?? 0;
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0 || bytes < baseBytes) {
    throw new HolmError('invalid', `Cannot make a disk of ${bytes} bytes over a base of ${baseBytes}`);
  }
  const header = new Uint8Array(headerBytes);
  header.set(new TextEncoder().encode(magic));
  const view = new DataView(header.buffer);
  view.setUint32(8, clusterBytes, true);
  view.setBigUint64(16, BigInt(bytes), true);
  view.setBigUint64(24, BigInt(baseBytes), true);
  if (base) header.set(base.id.subarray(0, idBytes), idStart);
  store.write(0, [header]);
  return openOverlay(store, base);
}

/** Opens an overlay on the base that it was made on. Throws 'corrupt' for any other file or base. */
export function openOverlay(store: ByteStore, base?: OverlayBase): BlockOverlay {
  const header = new Uint8Array(headerBytes);
  store.read(0, [header]);
  const view = new DataView(header.buffer);
  const bytes = Number(view.getBigUint64(16, true));
  const sound = new TextDecoder().decode(header.subarray(0, 8)) === magic && view.getUint32(8, true) === clusterBytes;
  if (!sound || !Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0) {
    throw new HolmError('corrupt', 'Cannot open an overlay disk: its header is not one');
  }
  const id = header.subarray(idStart, idStart + idBytes);
  const itsBase = base?.id ?? new Uint8Array(idBytes);
  const same =
    Number(view.getBigUint64(24, true)) === (base?.source.bytes ?? 0) && id.every((b, i) => b === itsBase[i]);
  if (!same) throw new HolmError('corrupt', 'Cannot open an overlay disk: it was made on another base');
  return new BlockOverlay(store, bytes, base?.source);
}

class BlockOverlay implements BlockBackend {
  readonly bytes: number;
  readonly readOnly = false;
  readonly discard?: (offset: number, bytes: number) => void;
  readonly #store: ByteStore;
  readonly #base: ByteSource | undefined;
  readonly #map: Uint8Array;
  readonly #data: number;
  /** Pages of the bitmap with bits that are not in the file yet. */
  #dirty = new Set<number>();
  #flushing: Promise<void> | undefined;

  constructor(store: ByteStore, bytes: number, base: ByteSource | undefined) {
    this.#store = store;
    this.#base = base;
    this.bytes = bytes;
    const clusters = Math.ceil(bytes / clusterBytes);
    this.#map = new Uint8Array(Math.ceil(clusters / 8 / mapPageBytes) * mapPageBytes);
    this.#data = headerBytes + this.#map.length;
    store.read(headerBytes, [this.#map]);
    if (store.discard) this.discard = (offset, length) => this.#forget(offset, length);
  }

  read(offset: number, into: readonly Uint8Array[]): void {
    const end = offset + totalBytes(into);
    for (let at = offset; at < end; ) {
      const own = this.#has(Math.floor(at / clusterBytes));
      let next = at - (at % clusterBytes) + clusterBytes;
      while (next < end && this.#has(next / clusterBytes) === own) next += clusterBytes;
      next = Math.min(next, end);
      const part = at === offset && next === end ? into : slice(into, at - offset, next - at);
      if (own) this.#store.read(this.#data + at, part);
      else this.#readBase(at, part);
      at = next;
    }
  }

  write(offset: number, from: readonly Uint8Array[]): void {
    const end = offset + totalBytes(from);
    this.#adoptEdges(offset, end);
    this.#store.write(this.#data + offset, from);
    this.#mark(offset, end);
  }

  zero(offset: number, bytes: number): void {
    const end = offset + bytes;
    this.#adoptEdges(offset, end);
    writeZeros(this.#store, this.#data + offset, bytes);
    this.#mark(offset, end);
  }

  /** One after the other: an older copy of the bitmap must not overwrite a newer one. */
  flush(): Done {
    if (this.#flushing === undefined && this.#dirty.size === 0) return this.#store.flush();
    const before = this.#flushing ?? Promise.resolve();
    const mine = before.catch(() => {}).then(() => this.#flushOnce());
    this.#flushing = mine;
    const over = (): void => {
      if (this.#flushing === mine) this.#flushing = undefined;
    };
    mine.then(over, over);
    return mine;
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#store.close();
    }
  }

  async #flushOnce(): Promise<void> {
    // Bits set from now on belong to clusters that this flush may miss.
    const pages = [...this.#dirty].map((page) => ({ page, copy: this.#map.slice(page, page + mapPageBytes) }));
    this.#dirty = new Set();
    try {
      await this.#store.flush();
      for (const { page, copy } of pages) this.#store.write(headerBytes + page, [copy]);
      if (pages.length > 0) await this.#store.flush();
    } catch (error) {
      for (const { page } of pages) this.#dirty.add(page);
      throw error;
    }
  }

  /** Gives a range back: it reads as zeros, also where the base has something else. */
  #forget(offset: number, bytes: number): void {
    const end = offset + bytes;
    this.#adoptEdges(offset, end);
    this.#store.discard?.(this.#data + offset, bytes);
    this.#mark(offset, end);
  }

  /** Copies clusters that a write covers in part: the first and the last. */
  #adoptEdges(offset: number, end: number): void {
    if (offset % clusterBytes !== 0) this.#adopt(Math.floor(offset / clusterBytes));
    if (end % clusterBytes !== 0 && end < this.bytes) this.#adopt(Math.floor(end / clusterBytes));
  }

  #adopt(cluster: number): void {
    if (this.#has(cluster)) return;
    const start = cluster * clusterBytes;
    const copy = new Uint8Array(clusterBytes);
    this.#readBase(start, [copy]);
    // Also where there is no base: a write that a crash undid may have left something here.
    this.#store.write(this.#data + start, [copy]);
    this.#mark(start, start + 1);
  }

  #readBase(offset: number, into: readonly Uint8Array[]): void {
    if (this.#base !== undefined && offset < this.#base.bytes) this.#base.read(offset, into);
    else for (const buffer of into) buffer.fill(0);
  }

  #has(cluster: number): boolean {
    return (this.#map[cluster >> 3]! & (1 << (cluster & 7))) !== 0;
  }

  #mark(offset: number, end: number): void {
    for (let cluster = Math.floor(offset / clusterBytes); cluster * clusterBytes < end; cluster++) {
      const byte = cluster >> 3;
      const bit = 1 << (cluster & 7);
      if ((this.#map[byte]! & bit) !== 0) continue;
      this.#map[byte]! |= bit;
      this.#dirty.add(byte - (byte % mapPageBytes));
    }
  }
}
