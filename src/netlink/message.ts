// Netlink messages as values and as bytes: headers, attributes, nesting, alignment (linux/netlink.h, netlink(7)).
// Pure: carrying out is program.ts. All numbers are the host's, little-endian on every CPU type that holm runs on,
// but nf_tables attributes, which are big-endian: their builders say so in their names.
import { HolmError } from '../base/error.ts';
import type { Patched, Register } from '../kernel/steps.ts';

// linux/netlink.h, "Flags values" and what follows.
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const headerBytes = 16;

/** An attribute. A register's low 32 bits are stored in its place when the message is sent; a list is nested. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array | Register | Parts;
}
/** Fixed structures and attributes, one after another, each aligned to four bytes. */
export type Parts = readonly (Uint8Array | Attribute)[];

export interface Message {
  readonly type: number;
  /** NLM_F_REQUEST is always added. */
  readonly flags: number;
  readonly parts: Parts;
}

export interface ReceivedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Makers of attributes, one a type of value. */
export const attribute = {
  bytes: (type: number, value: Uint8Array): Attribute => ({ type, value }),
  /** With a NUL at the end. */
  text: (type: number, value: string): Attribute => ({ type, value: Buffer.from(`${value}\0`) }),
  u8: (type: number, value: number): Attribute => ({ type, value: Uint8Array.of(value) }),
  u32: (type: number, value: number): Attribute => ({ type, value: pack('<', 4, value) }),
  u32be: (type: number, value: number): Attribute => ({ type, value: pack('>', 4, value) }),
  u64be: (type: number, value: bigint): Attribute => ({ type, value: pack64be(value) }),
  /** A number known now, or one that a register will hold. */
  u32or: (type: number, value: number | Register): Attribute =>
    typeof value === 'number' ? attribute.u32(type, value) : { type, value },
  /** Without NLA_F_NESTED, as rtnetlink's clients write it; with it in `type`, as nf_tables demands. */
  nested: (type: number, value: Parts): Attribute => ({ type, value }),
};

function pack(order: '<' | '>', size: 4, value: number): Uint8Array {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setInt32(0, value | 0, order === '<');
  return bytes;
}

function pack64be(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** The bytes of messages sent together, numbered from `sequence`, with the places that registers fill. */
export function encodeMessages(messages: readonly Message[], sequence = 1): Patched {
  const writer = new Writer();
  for (const [index, message] of messages.entries()) {
    const start = writer.length;
    writer.reserve(headerBytes);
    writer.parts(message.parts);
    const header = new DataView(writer.buffer.buffer, writer.buffer.byteOffset + start, headerBytes);
    header.setUint32(0, writer.length - start, true);
    header.setUint16(4, message.type, true);
    header.setUint16(6, message.flags | NLM_F_REQUEST, true);
    header.setUint32(8, sequence + index, true);
  }
  return { bytes: new Uint8Array(writer.buffer.subarray(0, writer.length)), patches: writer.patches };
}

class Writer {
  buffer: Buffer = Buffer.alloc(1024);
  length = 0;
  readonly patches: { offset: number; register: Register }[] = [];

  /** Makes room for a structure, zeroed, and passes over it and its padding. */
  reserve(size: number): number {
    const at = this.length;
    this.length = at + ((size + 3) & ~3);
    while (this.length > this.buffer.length)
      this.buffer = Buffer.concat([this.buffer, Buffer.alloc(this.buffer.length)]);
    return at;
  }

  bytes(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  parts(parts: Parts): void {
    for (const part of parts) {
      if (part instanceof Uint8Array) this.bytes(part);
      else this.attribute(part);
    }
  }

  attribute({ type, value }: Attribute): void {
    const start = this.reserve(4);
    let end: number;
    if (value instanceof Uint8Array) {
      this.bytes(value);
      end = start + 4 + value.length;
    } else if ('register' in value) {
      this.patches.push({ offset: this.reserve(4), register: value });
      end = this.length;
    } else {
      this.parts(value);
      end = this.length;
    }
    if (end - start > 0xffff) throw new RangeError(`Cannot write netlink attribute ${type}: longer than 65535 bytes`);
    this.buffer.writeUInt16LE(end - start, start);
    this.buffer.writeUInt16LE(type, start + 2);
  }
}

/** The messages in what a socket received. */
export function decodeMessages(bytes: Uint8Array): ReceivedMessage[] {
  const view = viewOf(bytes);
  const messages: ReceivedMessage[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + headerBytes <= bytes.length ? view.getUint32(at, true) : 0;
    if (length < headerBytes || at + length > bytes.length)
      throw new HolmError('corrupt', `Cannot read netlink message at ${at}: wrong length`);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + headerBytes, at + length),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/** The attributes from `start` on, in order, their types without flags. */
export function listAttributes(bytes: Uint8Array, start = 0): [type: number, value: Uint8Array][] {
  const view = viewOf(bytes);
  const list: [number, Uint8Array][] = [];
  for (let at = start; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length)
      throw new HolmError('corrupt', `Cannot read netlink attribute at ${at}: wrong length`);
    list.push([view.getUint16(at + 2, true) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length)]);
    at += (length + 3) & ~3;
  }
  return list;
}

/** The attributes from `start` on, by type. */
export function decodeAttributes(bytes: Uint8Array, start = 0): Map<number, Uint8Array> {
  return new Map(listAttributes(bytes, start));
}

/** The text of an attribute up to its NUL. */
export function decodeText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString();
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
