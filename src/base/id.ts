// Identifiers of guests, networks and exec sessions: 64 hexadecimal digits, as Docker's clients expect.
import { randomBytes } from 'node:crypto';

export type Id = string & { readonly brand: 'Id' };

/** A fresh random identifier. Its first twelve digits are never all decimal, so that a short id is no number. */
export function createId(): Id {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^[0-9]{12}/.test(id)) return id as Id;
  }
}

/** The first twelve digits, as people see them. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
