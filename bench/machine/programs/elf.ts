// The loadable segments of a 64-bit little-endian ELF file.

/** Calls `place` with the physical address and the bytes of each segment. */
export function loadSegments(file: Uint8Array, place: (address: number, bytes: Uint8Array) => void): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u64 = (offset: number): number => Number(view.getBigUint64(offset, true));
  const headers = u64(32);
  const headerBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  const loadable = 1;
  for (let i = 0; i < count; i++) {
    const header = headers + i * headerBytes;
    if (view.getUint32(header, true) !== loadable) continue;
    const start = u64(header + 8);
    place(u64(header + 24), file.subarray(start, start + u64(header + 32)));
  }
}
