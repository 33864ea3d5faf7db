// The tar format's numbers (POSIX pax, "ustar Interchange Format"): one header block, read and written.
import { HolmError } from '../base/error.ts';

export const blockBytes = 512;

export type TarKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';

export interface TarHeader {
  readonly name: string;
  readonly kind: TarKind;
  readonly size: number;
  readonly linkTarget: string;
  /** The type byte itself: "0", "5", "x" … */
  readonly type: string;
}

const kinds: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'directory',
  '2': 'symlink',
  '1': 'hardlink',
};

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Whether these first bytes can be a tar's: a header with a right checksum, or the end of an empty one. */
export function looksLikeTar(head: Uint8Array): boolean {
  if (head.length < blockBytes) return false;
  const block = head.subarray(0, blockBytes);
  return isZeroBlock(block) || checksumOf(block) === readNumber(block, 148, 8);
}

/** Reads a header block; throws `corrupt` when its checksum is wrong. */
export function parseHeader(block: Uint8Array): TarHeader {
  if (checksumOf(block) !== readNumber(block, 148, 8))
    throw new HolmError('corrupt', 'Cannot read the archive: a header has a wrong checksum, or it is no tar at all');
  const size = readNumber(block, 124, 12);
  if (!Number.isSafeInteger(size) || size < 0)
    throw new HolmError('corrupt', 'Cannot read the archive: a header has a size that is no number');
  const type = String.fromCharCode(block[156]!);
  const ustar = readText(block, 257, 5) === 'ustar' && block[262] === 0;
  const prefix = ustar ? readText(block, 345, 155) : '';
  const name = readText(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    kind: kinds[type] ?? 'other',
    size: kinds[type] === 'file' || kinds[type] === undefined ? size : 0,
    linkTarget: readText(block, 157, 100),
    type,
  };
}

/** A header block for a plain file or directory that belongs to root. Names are at most 100 bytes. */
export function formatHeader(name: string, kind: 'file' | 'directory', size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  if (Buffer.byteLength(name) > 100) throw new RangeError(`Cannot write an archive: the name "${name}" is too long`);
  block.write(name, 0);
  block.write(kind === 'file' ? '0000644\0' : '0000755\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  if (size < 8 ** 11) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(kind === 'file' ? '0' : '5', 156);
  block.write('ustar\x0000', 257);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** How many zero bytes follow a body of this size. */
export function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

function checksumOf(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < 148; at++) sum += block[at]!;
  for (let at = 156; at < blockBytes; at++) sum += block[at]!;
  return sum;
}

function readText(block: Uint8Array, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

/** An octal number, or a base-256 one when the first bit is set; NaN when neither. */
function readNumber(block: Uint8Array, offset: number, length: number): number {
  if ((block[offset]! & 0x80) !== 0) {
    let value = block[offset]! & 0x7f;
    for (let at = offset + 1; at < offset + length; at++) value = value * 256 + block[at]!;
    return value;
  }
  const text = readText(block, offset, length).trim();
  if (text === '') return 0;
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}
