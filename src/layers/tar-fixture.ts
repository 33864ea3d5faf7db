// For tests: tars of any content, well-formed or hostile.
import { blockBytes, paddingOf } from './tar-format.ts';

export interface FixtureEntry {
  readonly name: string;
  /** The type byte; "0", a file, when absent. */
  readonly type?: string;
  readonly body?: string | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  /** What the header says, where it is to differ from the body. */
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
}

/** The tar's bytes, with two zero blocks at its end. */
export function tarOf(entries: readonly FixtureEntry[]): Buffer {
  return Buffer.concat([...entries.map((entry) => tarEntry(entry)), Buffer.alloc(2 * blockBytes)]);
}

/** One entry, header and body. */
export function tarEntry(entry: FixtureEntry): Buffer {
  const body = Buffer.from(entry.body ?? '');
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset);
  };
  block.write(entry.name, 0, 100);
  octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(entry.size ?? body.length, 124, 12);
  octal(entry.mtime ?? 1_700_000_000, 136, 12);
  block.write('        ', 148);
  block.write(entry.type ?? '0', 156);
  block.write(entry.link ?? '', 157, 100);
  block.write('ustar\x0000', 257);
  octal(entry.device?.[0] ?? 0, 329, 8);
  octal(entry.device?.[1] ?? 0, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, body, Buffer.alloc(paddingOf(body.length))]);
}

/** A pax extended header for the entry that follows. */
export function paxEntry(records: Readonly<Record<string, string>>): FixtureEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const text = ` ${key}=${value}\n`;
    const bytes = Buffer.byteLength(text);
    let length = bytes + String(bytes).length;
    if (length < bytes + String(length).length) length = bytes + String(length).length;
    return `${length}${text}`;
  });
  return { name: 'pax', type: 'x', body: lines.join('') };
}

/** The bytes in chunks of the given size. */
export async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
