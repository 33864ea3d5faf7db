// Content digests as the OCI image specification writes them: "sha256:" and 64 lower-case hexadecimal digits.
import { createHash } from 'node:crypto';
import { HolmError } from './error.ts';

export type Digest = string & { readonly brand: 'Digest' };

const shape = /^sha256:[0-9a-f]{64}$/;

/** Parses a digest; throws `invalid` when it is not a sha256 digest (OCI image-spec, descriptor.md, "Digests"). */
export function parseDigest(text: string): Digest {
  if (!shape.test(text))
    throw new HolmError(
      'invalid',
      `Cannot read digest "${text.slice(0, 100)}": not of the form sha256:<64 hex digits>`,
    );
  return text as Digest;
}

export function isDigest(text: string): boolean {
  return shape.test(text);
}

/** The digest of the given bytes. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

/** The 64 hexadecimal digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
