// A request of a driver: buffers that the device reads, then buffers that it writes, as views of guest memory without a
// copy. The guest may change them at any time: copy a header before deciding on it.
import type { GuestMemory } from '../../memory/guest-memory.ts';
import { gather, scatter, slice } from '../buffers.ts';

export class Chain {
  readonly head: number;
  /** The queue's life that the chain belongs to; a reset ends it. */
  readonly generation: number;
  readonly readable: Uint8Array[] = [];
  readonly writable: Uint8Array[] = [];
  readonly #addresses: number[] = [];
  readableBytes = 0;
  writableBytes = 0;

  constructor(head: number, generation: number) {
    this.head = head;
    this.generation = generation;
  }

  /** Adds a buffer that lies in RAM; returns what is wrong with it: readable after writable, or more than RAM in all. */
  add(memory: GuestMemory, address: number, bytes: number, writable: boolean): string | undefined {
    if (!writable && this.writable.length > 0) return 'readable buffer after a writable one';
    if (bytes === 0) return undefined;
    const view = memory.bytes(address, bytes);
    if (writable) {
      this.writable.push(view);
      this.#addresses.push(address);
      this.writableBytes += bytes;
    } else {
      this.readable.push(view);
      this.readableBytes += bytes;
    }
    // A chain longer than RAM names the same bytes twice: its work would have no bound.
    return this.readableBytes + this.writableBytes > memory.layout.ramBytes ? 'chain longer than RAM' : undefined;
  }

  /** Guest address of each writable buffer. */
  get addresses(): readonly number[] {
    return this.#addresses;
  }

  /** A copy of at most `bytes` bytes of the readable part from `offset` on. */
  read(offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    return gather(this.readable, offset, bytes);
  }

  /** Copies `bytes` into the writable part at `offset`; returns how many of them found room. */
  write(offset: number, bytes: Uint8Array): number {
    return scatter(this.writable, offset, bytes);
  }

  /** Views of `bytes` bytes of the readable part from `offset` on. */
  readableSlice(offset: number, bytes: number): Uint8Array[] {
    return slice(this.readable, offset, bytes);
  }

  /** Views of `bytes` bytes of the writable part from `offset` on. */
  writableSlice(offset: number, bytes: number): Uint8Array[] {
    return slice(this.writable, offset, bytes);
  }

  /** Tells the memory that the first `bytes` bytes of the writable part were written; the queue's `push` calls it. */
  written(memory: GuestMemory, bytes: number): void {
    let left = bytes;
    for (let i = 0; i < this.writable.length && left > 0; i++) {
      const part = Math.min(left, this.writable[i]!.length);
      memory.written(this.#addresses[i]!, part);
      left -= part;
    }
  }
}
