// Writes tar archives by hand, also such as no program would: every field can be given, and the checksum can be wrong.

export interface TarEntry {
  readonly name: string;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly device?: readonly [major: number, minor: number];
  readonly data?: Uint8Array | string;
  /** In the header, in place of the data's length. */
  readonly size?: number;
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
  readonly prefix?: string;
  /** Bytes over the header before its checksum is made, by offset. */
  readonly patch?: Readonly<Record<number, Uint8Array | string>>;
  readonly badChecksum?: boolean;
}

/** An archive of these entries, with the two zero blocks at its end. */
export function tar(...entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);
}

/** One entry: header, data, padding; before it a pax header if it has one. */
export function tarEntry(entry: TarEntry): Buffer {
  if (entry.pax !== undefined) {
    const { pax, ...rest } = entry;
    return Buffer.concat([tarEntry({ name: 'pax', type: 'x', data: paxRecords(pax) }), tarEntry(rest)]);
  }
  const data = Buffer.from(entry.data ?? '');
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  header.write(entry.name, 0, 100, 'utf8');
  octal(entry.mode ?? 0o644, 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(entry.size ?? data.length, 124, 12);
  octal(entry.mtime ?? 1_000_000_000, 136, 12);
  header.write(entry.type ?? '0', 156, 1, 'latin1');
  header.write(entry.link ?? '', 157, 100, 'utf8');
  header.write('ustar\x0000', 257, 'latin1');
  octal(entry.device?.[0] ?? 0, 329, 8);
  octal(entry.device?.[1] ?? 0, 337, 8);
  header.write(entry.prefix ?? '', 345, 155, 'utf8');
  for (const [at, bytes] of Object.entries(entry.patch ?? {})) header.set(Buffer.from(bytes), Number(at));
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (entry.badChecksum ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, data, Buffer.alloc(-data.length & 511)]);
}

export function paxRecords(records: Readonly<Record<string, string | Uint8Array>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
      let length = rest.length + 1;
      while (`${length}`.length + rest.length !== length) length++;
      return Buffer.concat([Buffer.from(`${length}`), rest]);
    }),
  );
}
