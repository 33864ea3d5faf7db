// Writes tar archives (ustar) of any entries, hostile ones too, which tar(1) would not make.

export interface TarEntry {
  /** Written as it is. */
  readonly name: string;
  readonly content?: string;
  /** Target of a symbolic link. */
  readonly link?: string;
  /** Target of a hard link. */
  readonly hardLink?: string;
  readonly mode?: number;
}

/** An archive of these entries in this order. A name or target longer than 100 bytes gets a pax header. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryOf), Buffer.alloc(1024)]);
}

function entryOf(entry: TarEntry): Buffer {
  const target = entry.link ?? entry.hardLink ?? '';
  const long = [
    ...(entry.name.length > 100 ? [paxRecord('path', entry.name)] : []),
    ...(target.length > 100 ? [paxRecord('linkpath', target)] : []),
  ].join('');
  const pax = long === '' ? [] : [header('pax', 'x', long.length, '', 0o644), pad(long)];
  const type = entry.link !== undefined ? '2' : entry.hardLink !== undefined ? '1' : '0';
  const content = entry.content ?? '';
  const mode = entry.mode ?? (type === '2' ? 0o777 : 0o644);
  return Buffer.concat([...pax, header(entry.name, type, content.length, target, mode), pad(content)]);
}

// "LENGTH key=value\n", the length counting itself.
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

function pad(content: string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function header(name: string, type: string, size: number, target: string, mode: number): Buffer {
  const bytes = Buffer.alloc(512);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  bytes.write(name.slice(0, 100), 0);
  bytes.write(octal(mode, 8), 100);
  bytes.write(octal(0, 8) + octal(0, 8), 108);
  bytes.write(octal(size, 12), 124);
  bytes.write(octal(1_700_000_000, 12), 136);
  bytes.write('        ', 148);
  bytes.write(type, 156);
  bytes.write(target.slice(0, 100), 157);
  bytes.write('ustar\x0000', 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}
