// The Internet checksum (RFC 1071). Sums are of 16-bit words, unfolded, so that they can be added; `fold` ends one.
import { setU16 } from './network-order.ts';

/** Adds the bytes from `from` to `to` as big-endian words to `sum`; an odd last byte counts as a high byte. */
export function sumOf(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  let at = from;
  let total = sum;
  for (const end = to - 7; at < end; at += 8) {
    total +=
      ((bytes[at]! << 8) | bytes[at + 1]!) +
      ((bytes[at + 2]! << 8) | bytes[at + 3]!) +
      ((bytes[at + 4]! << 8) | bytes[at + 5]!) +
      ((bytes[at + 6]! << 8) | bytes[at + 7]!);
  }
  for (; at < to - 1; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < to) total += bytes[at]! << 8;
  return total;
}

/** The sum as 16 bits, not inverted; takes sums up to 2^53. */
export function fold(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = Math.floor(rest / 0x1_0000) + (rest % 0x1_0000);
  return rest;
}

/** The sum of the pseudo-header of TCP and UDP over IPv4 (RFC 9293, section 3.1). */
export function pseudoSum(source: number, destination: number, protocol: number, bytes: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + bytes;
}

/** Carries out a checksum that was left undone: see Offload.checksum. A sum of 0 is written as 0xffff (RFC 768). */
export function completeChecksum(frame: Uint8Array, start: number, offset: number): void {
  if (start + offset + 2 > frame.length) return;
  const sum = ~fold(sumOf(frame, start, frame.length)) & 0xffff;
  setU16(frame, start + offset, sum === 0 ? 0xffff : sum);
}
