// What the block device asks of whatever holds a disk's bytes, and the smaller contract of a plain file of bytes from which
// disks are made (block-overlay.ts). Carried out for Node in src/machines/soft/files.ts, in memory by memory-store.ts.

/** Done already, or a promise. What is quick (a page in the host's cache) is done at once: that is four times as fast. */
export type Done = void | Promise<void>;

/** A disk. Offsets and lengths are multiples of 512; ranges lie within `bytes`. Throws or rejects if it fails. */
export interface BlockBackend {
  readonly bytes: number;
  readonly readOnly: boolean;
  /** Fills the buffers, in turn, from `offset` on. They lie in guest memory. */
  read(offset: number, into: readonly Uint8Array[]): Done;
  write(offset: number, from: readonly Uint8Array[]): Done;
  /** Makes what was written survive a loss of power. */
  flush(): Done;
  /** Makes a range read as zeros. */
  zero(offset: number, bytes: number): Done;
  /** The guest has no more use for a range; absent if nothing can be given back. Reads as zeros afterwards. */
  discard?(offset: number, bytes: number): Done;
  close(): Done;
}

/** Bytes that can be read at once: what an overlay lies on. */
export interface ByteSource {
  readonly bytes: number;
  /** Fills the buffers, in turn, from `offset` on; with zeros beyond the end. Throws if it fails. */
  read(offset: number, into: readonly Uint8Array[]): void;
}

/** A file of bytes, which grows as it is written to; reading where nothing was written gives zeros. Throws if it fails. */
export interface ByteStore extends ByteSource {
  write(offset: number, from: readonly Uint8Array[]): void;
  flush(): Done;
  /** Gives a range back to the host, which then reads as zeros; absent if that cannot be. */
  discard?(offset: number, bytes: number): void;
  close(): void;
}

export const sectorBytes = 512;
