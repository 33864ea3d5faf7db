// Lists of buffers taken as one run of bytes (scatter and gather), without copying.

/** The bytes of all buffers. */
export function totalBytes(buffers: readonly Uint8Array[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}

/** Views of at most `bytes` bytes of `buffers` from `offset` on, as if they were one. */
export function slice(buffers: readonly Uint8Array[], offset: number, bytes: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let skip = offset;
  let left = bytes;
  for (const buffer of buffers) {
    if (left <= 0) break;
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    const part = buffer.subarray(skip, Math.min(buffer.length, skip + left));
    skip = 0;
    left -= part.length;
    found.push(part);
  }
  return found;
}

/** Copies `bytes` into `buffers` from `offset` on; returns how many of them found room. */
export function scatter(buffers: readonly Uint8Array[], offset: number, bytes: Uint8Array): number {
  let at = 0;
  for (const view of slice(buffers, offset, bytes.length)) {
    view.set(bytes.subarray(at, at + view.length));
    at += view.length;
  }
  return at;
}

/** A copy of at most `bytes` bytes of `buffers` from `offset` on. */
export function gather(buffers: readonly Uint8Array[], offset: number, bytes: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(Math.max(0, Math.min(bytes, totalBytes(buffers) - offset)));
  let at = 0;
  for (const view of slice(buffers, offset, copy.length)) {
    copy.set(view, at);
    at += view.length;
  }
  return copy;
}
