// A file of bytes in memory, allocated as it is written: disks of a machine in a browser page, and of tests.

import type { ByteStore } from './block-backend.ts';
import { totalBytes } from './buffers.ts';

const chunkBytes = 0x1_0000;

export class MemoryStore implements ByteStore {
  readonly #chunks = new Map<number, Uint8Array>();
  #bytes: number;

  constructor(bytes = 0) {
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of memory that are held. */
  get heldBytes(): number {
    return this.#chunks.size * chunkBytes;
  }

  read(offset: number, into: readonly Uint8Array[]): void {
    let at = offset;
    for (const buffer of into) {
      for (const [chunk, start, from, to] of pieces(at, buffer.length)) {
        const held = this.#chunks.get(chunk);
        const target = buffer.subarray(from, to);
        if (held) target.set(held.subarray(start, start + to - from));
        else target.fill(0);
      }
      at += buffer.length;
    }
  }

  write(offset: number, from: readonly Uint8Array[]): void {
    let at = offset;
    for (const buffer of from) {
      for (const [chunk, start, first, end] of pieces(at, buffer.length)) {
        let held = this.#chunks.get(chunk);
        if (held === undefined) {
          held = new Uint8Array(chunkBytes);
          this.#chunks.set(chunk, held);
        }
        held.set(buffer.subarray(first, end), start);
      }
      at += buffer.length;
    }
    this.#bytes = Math.max(this.#bytes, offset + totalBytes(from));
  }

  discard(offset: number, bytes: number): void {
    for (const [chunk, start, from, to] of pieces(offset, bytes)) {
      if (to - from === chunkBytes) this.#chunks.delete(chunk);
      else this.#chunks.get(chunk)?.fill(0, start, start + to - from);
    }
  }

  flush(): void {}

  close(): void {}
}

/** The pieces of a range by chunk: its number, the start within it, and the range of the buffer. */
function* pieces(offset: number, bytes: number): Generator<readonly [number, number, number, number]> {
  for (let from = 0; from < bytes; ) {
    const at = offset + from;
    const start = at % chunkBytes;
    const to = Math.min(bytes, from + chunkBytes - start);
    yield [(at - start) / chunkBytes, start, from, to];
    from = to;
  }
}
