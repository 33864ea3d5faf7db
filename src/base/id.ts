// Identifiers of guests, networks and exec sessions: 64 hexadecimal digits, as Docker's clients expect.
import { randomFillSync } from 'node:crypto';

export type Id = string & { readonly brand: 'Id' };

const idBytes = 32;
/** The system's randomness, asked for by the page: one call of it costs as much as the rest of an id. */
const pool = Buffer.alloc(128 * idBytes);
let used = pool.length;

/** A fresh random identifier. Its first twelve digits are never all decimal, so that a short id is no number. */
export function createId(): Id {
  for (;;) {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const id = pool.toString('hex', used, used + idBytes);
    pool.fill(0, used, used + idBytes);
    used += idBytes;
    if (!/^[0-9]{12}/.test(id)) return id as Id;
  }
}

/** The first twelve digits, as people see them. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
