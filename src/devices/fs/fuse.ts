// The bytes of FUSE messages (include/uapi/linux/fuse.h, protocol 7.31), little-endian as on RISC-V.
import type { Attributes, Space } from './host-directory.ts';

export const fuseVersion = { major: 7, minor: 31 } as const;
export const rootId = 1;
export const inHeaderBytes = 40;
export const outHeaderBytes = 16;

export const opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  CREATE: 35,
  DESTROY: 38,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  RENAME2: 45,
} as const;

/** Flags of INIT that are asked for; the kernel has the last word. */
export const initFlag = {
  ASYNC_READ: 0x1,
  ATOMIC_O_TRUNC: 0x8,
  BIG_WRITES: 0x20,
  AUTO_INVAL_DATA: 0x1000,
  DO_READDIRPLUS: 0x2000,
  READDIRPLUS_AUTO: 0x4000,
  PARALLEL_DIROPS: 0x40000,
  MAX_PAGES: 0x400000,
  CACHE_SYMLINKS: 0x800000,
} as const;

/** Bits of SETATTR's `valid`. */
export const changed = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  accessed: 16,
  modified: 32,
  accessedNow: 128,
  modifiedNow: 256,
} as const;

export const FOPEN_KEEP_CACHE = 2;
export const FSYNC_FDATASYNC = 1;

export interface FuseHeader {
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
}

/** Reads the arguments of a request in order; what is not there reads as 0 and sets `short`. */
export class FuseReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  short = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u32(): number {
    return this.#has(4) ? this.#view.getUint32(this.#at - 4, true) : 0;
  }

  u64(): bigint {
    return this.#has(8) ? this.#view.getBigUint64(this.#at - 8, true) : 0n;
  }

  /** A 64-bit number that means nothing beyond 2^53. */
  number(): number {
    return Number(this.u64());
  }

  skip(bytes: number): void {
    this.#has(bytes);
  }

  /** A string that ends with NUL. */
  name(): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) {
      this.short = true;
      return new Uint8Array(0);
    }
    const name = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return name;
  }

  #has(bytes: number): boolean {
    if (this.#at + bytes > this.#bytes.length) this.short = true;
    else this.#at += bytes;
    return !this.short;
  }
}

export function readHeader(reader: FuseReader): FuseHeader {
  reader.skip(4);
  const code = reader.u32();
  const unique = reader.u64();
  const node = reader.number();
  const header = { opcode: code, unique, node, uid: reader.u32(), gid: reader.u32() };
  reader.skip(8);
  return header;
}

/** The head of a reply whose payload has `payloadBytes`; `error` is a positive error number, 0 for none. */
export function outHeader(unique: bigint, error: number, payloadBytes: number): Uint8Array {
  const header = new Uint8Array(outHeaderBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, outHeaderBytes + payloadBytes, true);
  view.setInt32(4, -error, true);
  view.setBigUint64(8, unique, true);
  return header;
}

export interface InitReply {
  readonly minor: number;
  readonly maxReadAhead: number;
  readonly flags: number;
  readonly maxWriteBytes: number;
  readonly maxPages: number;
}

export function encodeInit(reply: InitReply): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fuseVersion.major, true);
  view.setUint32(4, reply.minor, true);
  view.setUint32(8, reply.maxReadAhead, true);
  view.setUint32(12, reply.flags, true);
  view.setUint16(16, 64, true);
  view.setUint16(18, 48, true);
  view.setUint32(20, reply.maxWriteBytes, true);
  view.setUint32(24, 1, true);
  view.setUint16(28, reply.maxPages, true);
  return bytes;
}

const attributeBytes = 88;
export const entryBytes: number = 40 + attributeBytes;

function writeAttributes(view: DataView, at: number, attributes: Attributes): void {
  const times = [attributes.accessedNanos, attributes.modifiedNanos, attributes.changedNanos];
  view.setBigUint64(at, attributes.inode, true);
  view.setBigUint64(at + 8, attributes.size, true);
  view.setBigUint64(at + 16, attributes.blocks, true);
  for (const [index, nanos] of times.entries()) {
    const fraction = ((nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    view.setBigInt64(at + 24 + index * 8, (nanos - fraction) / 1_000_000_000n, true);
    view.setUint32(at + 48 + index * 4, Number(fraction), true);
  }
  view.setUint32(at + 60, attributes.mode, true);
  view.setUint32(at + 64, attributes.links, true);
  view.setUint32(at + 68, attributes.uid, true);
  view.setUint32(at + 72, attributes.gid, true);
  view.setUint32(at + 76, attributes.device, true);
  view.setUint32(at + 80, attributes.blockBytes, true);
}

/** A reply of LOOKUP and its like; the guest may keep it for `validSeconds`. Without attributes: there is no such name. */
export function encodeEntry(node: number, attributes: Attributes | undefined, validSeconds: number): Uint8Array {
  const bytes = new Uint8Array(entryBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(node), true);
  view.setBigUint64(16, BigInt(validSeconds), true);
  view.setBigUint64(24, BigInt(validSeconds), true);
  if (attributes !== undefined) writeAttributes(view, 40, attributes);
  return bytes;
}

export function encodeAttributes(attributes: Attributes, validSeconds: number): Uint8Array {
  const bytes = new Uint8Array(16 + attributeBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(validSeconds), true);
  writeAttributes(view, 16, attributes);
  return bytes;
}

export function encodeOpen(handle: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(handle), true);
  view.setUint32(8, flags, true);
  return bytes;
}

export function encodeWritten(written: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, written, true);
  return bytes;
}

export function encodeSpace(space: Space): Uint8Array {
  const bytes = new Uint8Array(80);
  const view = new DataView(bytes.buffer);
  const counts = [space.blocks, space.freeBlocks, space.availableBlocks, space.files, space.freeFiles];
  for (const [index, count] of counts.entries()) view.setBigUint64(index * 8, count, true);
  view.setUint32(40, space.blockBytes, true);
  view.setUint32(44, 255, true);
  view.setUint32(48, space.blockBytes, true);
  return bytes;
}

/** An entry of a directory; `next` is where reading goes on after it. */
export function encodeDirent(inode: bigint, next: number, name: Uint8Array, type: number): Uint8Array {
  const bytes = new Uint8Array((24 + name.length + 7) & ~7);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, inode, true);
  view.setBigUint64(8, BigInt(next), true);
  view.setUint32(16, name.length, true);
  view.setUint32(20, type, true);
  bytes.set(name, 24);
  return bytes;
}
