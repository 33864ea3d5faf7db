// IPv4 headers and addresses (RFC 791). Addresses are 32-bit numbers, never negative.
import { fold, sumOf } from './checksum.ts';
import { setU16, setU32, u16, u32 } from './network-order.ts';

export const ipv4Bytes = 20;
export const protocol = { icmp: 1, tcp: 6, udp: 17 } as const;

export interface Ipv4Header {
  readonly headerBytes: number;
  /** Header and payload. */
  readonly totalBytes: number;
  readonly identification: number;
  /** In bytes. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
}

/** The header at `at`; undefined when it is malformed, its checksum wrong or the packet cut short. */
export function parseIpv4(bytes: Uint8Array, at: number): Ipv4Header | undefined {
  if (bytes.length < at + ipv4Bytes || bytes[at]! >> 4 !== 4) return undefined;
  const headerBytes = (bytes[at]! & 15) * 4;
  const totalBytes = u16(bytes, at + 2);
  if (headerBytes < ipv4Bytes || totalBytes < headerBytes || at + totalBytes > bytes.length) return undefined;
  if (fold(sumOf(bytes, at, at + headerBytes)) !== 0xffff) return undefined;
  const fragment = u16(bytes, at + 6);
  return {
    headerBytes,
    totalBytes,
    identification: u16(bytes, at + 4),
    fragmentOffset: (fragment & 0x1fff) * 8,
    moreFragments: (fragment & 0x2000) !== 0,
    protocol: bytes[at + 9]!,
    source: u32(bytes, at + 12),
    destination: u32(bytes, at + 16),
  };
}

export interface Ipv4Fields {
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly totalBytes: number;
  readonly identification: number;
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
}

/** Writes a header of 20 bytes at `at`. A whole packet says "don't fragment". */
export function writeIpv4(into: Uint8Array, at: number, fields: Ipv4Fields): void {
  const offset = fields.fragmentOffset;
  const fragment = offset === undefined ? 0x4000 : (offset >> 3) | (fields.moreFragments === true ? 0x2000 : 0);
  setU16(into, at, 0x4500);
  setU16(into, at + 2, fields.totalBytes);
  setU16(into, at + 4, fields.identification);
  setU16(into, at + 6, fragment);
  into[at + 8] = 64;
  into[at + 9] = fields.protocol;
  setU16(into, at + 10, 0);
  setU32(into, at + 12, fields.source);
  setU32(into, at + 16, fields.destination);
  setU16(into, at + 10, ~fold(sumOf(into, at, at + ipv4Bytes)));
}

/** "10.0.2.15" as a number; undefined when the text is none. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  if (parts.some((part) => part > 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + part, 0);
}

export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}
