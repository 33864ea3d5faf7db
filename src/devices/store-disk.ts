// A raw disk: byte n of the disk is byte n of a file. Also writes zeros for disks that cannot give space back.
import type { BlockBackend, ByteStore, Done } from './block-backend.ts';
import { sectorBytes } from './block-backend.ts';

export interface StoreDiskOptions {
  readonly readOnly?: boolean;
  /** The disk's size; the file's unless told. A last part of a sector is not seen by the guest. */
  readonly bytes?: number;
}

export class StoreDisk implements BlockBackend {
  readonly bytes: number;
  readonly readOnly: boolean;
  readonly discard?: (offset: number, bytes: number) => void;
  readonly #store: ByteStore;

  constructor(store: ByteStore, { readOnly, bytes }: StoreDiskOptions = {}) {
    this.#store = store;
    this.readOnly = readOnly ?? false;
    const size = bytes ?? store.bytes;
    this.bytes = size - (size % sectorBytes);
    if (store.discard && !this.readOnly) this.discard = (offset, length) => store.discard?.(offset, length);
  }

  read(offset: number, into: readonly Uint8Array[]): void {
    this.#store.read(offset, into);
  }

  write(offset: number, from: readonly Uint8Array[]): void {
    this.#store.write(offset, from);
  }

  flush(): Done {
    return this.#store.flush();
  }

  zero(offset: number, bytes: number): void {
    writeZeros(this.#store, offset, bytes);
  }

  close(): Done {
    this.#store.close();
  }
}

const zeros = new Uint8Array(0x1_0000);

/** Writes zeros over a range of a file. */
export function writeZeros(store: ByteStore, offset: number, bytes: number): void {
  for (let at = 0; at < bytes; at += zeros.length) {
    store.write(offset + at, [zeros.subarray(0, Math.min(zeros.length, bytes - at))]);
  }
}
