// Headers of tar archives: POSIX ustar with pax records, and GNU's long names when reading (POSIX.1-2017, pax).
import { HolmError } from '../../base/error.ts';

export const blockBytes = 512;

export interface TarEntry {
  readonly name: string;
  readonly type: 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Seconds since 1970, with a fraction. */
  readonly modifiedAt: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

const typeFlags = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;
const types = Object.fromEntries(Object.entries(typeFlags).map(([type, flag]) => [flag, type])) as Record<
  string,
  TarEntry['type']
>;

/** The header's blocks, with a pax header before when a value does not fit or is not ASCII. */
export function encodeHeader(entry: TarEntry): Buffer {
  const records: Record<string, string> = {};
  const fits = (text: string) => Buffer.byteLength(text) <= 100 && /^[\x20-\x7e]*$/.test(text);
  if (!fits(entry.name)) records.path = entry.name;
  if (!fits(entry.linkName)) records.linkpath = entry.linkName;
  if (entry.sizeBytes >= 8 ** 11) records.size = String(entry.sizeBytes);
  if (entry.uid >= 8 ** 7) records.uid = String(entry.uid);
  if (entry.gid >= 8 ** 7) records.gid = String(entry.gid);
  if (!Number.isInteger(entry.modifiedAt) || entry.modifiedAt < 0) records.mtime = entry.modifiedAt.toFixed(6);
  const header = encodeBlock(entry, typeFlags[entry.type]);
  if (Object.keys(records).length === 0) return header;
  const content = Buffer.from(Object.entries(records).map(encodeRecord).join(''));
  const extended = { ...entry, name: 'PaxHeaders/entry', linkName: '', sizeBytes: content.length };
  return Buffer.concat([encodeBlock(extended, 'x'), content, padding(content.length), header]);
}

/** The zero bytes that fill the last block of a content. */
export function padding(contentBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (contentBytes % blockBytes)) % blockBytes);
}

function encodeBlock(entry: TarEntry, flag: string): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number) => {
    const fits = value >= 0 && value < 8 ** (length - 1);
    block.write(
      Math.floor(fits ? value : 0)
        .toString(8)
        .padStart(length - 1, '0'),
      at,
      'latin1',
    );
  };
  block.write(entry.name, 0, 100, 'utf8');
  octal(entry.mode, 100, 8);
  octal(entry.uid, 108, 8);
  octal(entry.gid, 116, 8);
  octal(entry.sizeBytes, 124, 12);
  octal(entry.modifiedAt, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write(entry.linkName, 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  octal(entry.major, 329, 8);
  octal(entry.minor, 337, 8);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** "LENGTH key=value\n", the length counting itself. */
function encodeRecord([key, value]: [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  length = bytes + String(length).length;
  return `${length}${rest}`;
}

/** What stands in one header block; `extension` for those that tell about the next entry. */
export function decodeBlock(block: Buffer): TarEntry & { readonly extension: string } {
  if (checksumOf(block) !== readNumber(block, 148, 8))
    throw new HolmError('corrupt', 'Cannot read the archive: a header is damaged');
  const flag = block.toString('latin1', 156, 157);
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? readText(block, 345, 155) : '';
  const name = readText(block, 0, 100);
  const directory = (flag === '0' || flag === '\0') && name.endsWith('/');
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: directory ? 'directory' : (types[flag] ?? 'file'),
    extension: 'xgLK'.includes(flag) ? flag : '',
    mode: readNumber(block, 100, 8) & 0o7777,
    uid: readNumber(block, 108, 8),
    gid: readNumber(block, 116, 8),
    sizeBytes: ['1', '2', '3', '4', '5', '6'].includes(flag) ? 0 : readNumber(block, 124, 12),
    modifiedAt: readNumber(block, 136, 12),
    linkName: readText(block, 157, 100),
    major: readNumber(block, 329, 8),
    minor: readNumber(block, 337, 8),
  };
}

/** Records of a pax header. */
export function decodeRecords(content: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(' ', at);
    const length = Number(content.toString('latin1', at, space));
    if (space < 0 || !Number.isInteger(length) || length < 5 || at + length > content.length)
      throw new HolmError('corrupt', 'Cannot read the archive: a pax record is damaged');
    const record = content.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    records[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return records;
}

/** The entry as a pax header before it says. */
export function applyRecords(entry: TarEntry, records: Readonly<Record<string, string>>): TarEntry {
  const { path, linkpath, size, uid, gid, mtime } = records;
  return {
    ...entry,
    name: path ?? entry.name,
    linkName: linkpath ?? entry.linkName,
    sizeBytes: size === undefined || entry.type !== 'file' ? entry.sizeBytes : Number(size),
    uid: uid === undefined ? entry.uid : Number(uid),
    gid: gid === undefined ? entry.gid : Number(gid),
    modifiedAt: mtime === undefined ? entry.modifiedAt : Number(mtime),
  };
}

function checksumOf(block: Buffer): number {
  let sum = 8 * 32;
  for (let at = 0; at < blockBytes; at++) if (at < 148 || at >= 156) sum += block[at]!;
  return sum;
}

function readText(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

/** Octal digits, or GNU's binary form for large numbers. */
function readNumber(block: Buffer, at: number, length: number): number {
  if ((block[at]! & 0x80) !== 0) return Number(block.readBigUInt64BE(at + length - 8));
  const digits =
    block
      .toString('latin1', at, at + length)
      .replace(/[\0 ].*$/s, '')
      .trim() || block.toString('latin1', at, at + length).trim();
  return Number.parseInt(digits, 8) || 0;
}
