// A pax extended header's records, "length key=value\n" (POSIX pax, "pax Extended Header"); those that matter for reading.
import { HolmError } from '../base/error.ts';

export interface PaxRecords {
  name?: string;
  linkTarget?: string;
  size?: number;
}

/** Throws `corrupt` when the header is malformed. */
export function parsePax(value: Uint8Array): PaxRecords {
  const found: PaxRecords = {};
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space);
    const length = /^\d{1,8}$/.test(digits) ? Number(digits) : 0;
    const equals = bytes.indexOf(0x3d, space);
    const end = at + length;
    if (length < digits.length + 3 || end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end)
      throw new HolmError('corrupt', 'Cannot read the archive: an extended header is malformed');
    const key = bytes.toString('utf8', space + 1, equals);
    const text = bytes.toString('utf8', equals + 1, end - 1);
    if (key === 'path') found.name = text;
    else if (key === 'linkpath') found.linkTarget = text;
    else if (key === 'size') {
      if (!/^\d{1,15}$/.test(text)) throw new HolmError('corrupt', 'Cannot read the archive: a size is no number');
      found.size = Number(text);
    }
    at = end;
  }
  return found;
}
