// A directory as READDIR and READDIRPLUS answer it: entries one after another until the room is full. READDIRPLUS tells
// of each node too, so that the guest need not look it up.
import { encodeDirent, encodeEntry, entryBytes } from './fuse.ts';
import type { DirectoryEntry, Found } from './host-directory.ts';

const dot = 0x2e;
const directoryType = 4;
/** FUSE_UNKNOWN_INO. */
const unknownInode = 0xffff_ffffn;

/** Every directory's first two entries. */
export const dots: readonly DirectoryEntry[] = [Uint8Array.of(dot), Uint8Array.of(dot, dot)].map((name) => {
  return { name, type: directoryType };
});

export function isDots(name: Uint8Array): boolean {
  return name[0] === dot && (name.length === 1 || (name.length === 2 && name[1] === dot));
}

export interface ListingRequest {
  readonly entries: readonly DirectoryEntry[];
  /** The first entry, by its index. */
  readonly offset: number;
  readonly roomBytes: number;
  /**
   * For READDIRPLUS: finds an entry and gives its number; undefined when it is gone meanwhile. The guest then knows the
   * node once more, so this is called for what is sent only.
   */
  readonly tell?: (name: Uint8Array) => { readonly found: Found; readonly id: number } | undefined;
  readonly validSeconds: number;
}

export function encodeListing({ entries, offset, roomBytes, tell, validSeconds }: ListingRequest): Uint8Array {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (let next = offset; next < entries.length; next++) {
    const { name, type } = entries[next]!;
    const each = ((24 + name.length + 7) & ~7) + (tell === undefined ? 0 : entryBytes);
    if (bytes + each > roomBytes) break;
    const told = tell === undefined || isDots(name) ? undefined : tell(name);
    const attributes = told?.found.attributes;
    if (tell !== undefined) pieces.push(encodeEntry(told?.id ?? 0, attributes, told === undefined ? 0 : validSeconds));
    pieces.push(encodeDirent(attributes?.inode ?? unknownInode, next + 1, name, type));
    bytes += each;
  }
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
