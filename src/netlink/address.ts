// Addresses as people write them, and as the kernel takes them: IPv4 (4 bytes), IPv6 (16), Ethernet (6).
import { isIPv4, isIPv6 } from 'node:net';
import { HolmError } from '../base/error.ts';

// linux/socket.h
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Parses an IPv4 or IPv6 address (RFC 4291 §2.2) to its 4 or 16 bytes. */
export function parseAddress(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (isIPv6(text) && !text.includes('%')) return parseAddress6(text);
  throw new HolmError('invalid', `Cannot read address "${text}": neither IPv4 nor IPv6`);
}

function parseAddress6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  return Uint8Array.from([...before, ...Array<number>(16 - before.length - after.length).fill(0), ...after]);
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

/** Formats 4 bytes as IPv4, 16 as IPv6 (RFC 5952 §4). */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new HolmError('corrupt', `Cannot read address of ${bytes.length} bytes`);
  const words = Array.from({ length: 8 }, (_, index) => bytes[index * 2]! * 256 + bytes[index * 2 + 1]!);
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]): string => part.map((word) => word.toString(16)).join(':');
  if (best.length === 1) return text(words);
  return `${text(words.slice(0, best.start))}::${text(words.slice(best.start + best.length))}`;
}

/** Parses an Ethernet address: six pairs of hexadecimal digits with ":" or "-" between. */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text))
    throw new HolmError('invalid', `Cannot read MAC address "${text}": not six pairs of hexadecimal digits`);
  return Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16));
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
