// Ranges of IPv4 addresses: reading, comparing, and choosing one that the host does not route already.
import { HolmError } from '../base/error.ts';
import { formatAddress, parseAddress } from '../netlink/address.ts';

/** Addresses as numbers. `gateway` is the bridge's own: the first, unless another was written. */
export interface Subnet {
  readonly first: number;
  readonly prefixLength: number;
  readonly gateway: number;
}

/** Parses "172.17.0.0/16", or "172.17.0.9/16" for a gateway other than the first address. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = '', ...rest] = text.split('/');
  const prefixLength = /^\d{1,2}$/.test(length) ? Number(length) : -1;
  if (rest.length > 0 || prefixLength < 8 || prefixLength > 30 || !/^[\d.]+$/.test(address))
    throw new HolmError(
      'invalid',
      `Cannot read subnet "${text}": not of the form 172.17.0.0/16, with a prefix of 8 to 30`,
    );
  const given = toNumber(address);
  const first = (given & mask(prefixLength)) >>> 0;
  return { first, prefixLength, gateway: given === first ? first + 1 : given };
}

export function formatSubnet({ first, prefixLength }: Subnet): string {
  return `${toText(first)}/${prefixLength}`;
}

/** The broadcast address. */
export function lastOf({ first, prefixLength }: Pick<Subnet, 'first' | 'prefixLength'>): number {
  return first + 2 ** (32 - prefixLength) - 1;
}

export function toNumber(address: string): number {
  return Buffer.from(parseAddress(address)).readUInt32BE(0);
}

export function toText(address: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return formatAddress(bytes);
}

function mask(prefixLength: number): number {
  return (0xffffffff << (32 - prefixLength)) >>> 0;
}

/** The ranges that docker takes for bridges, in its order: 172.17.0.0/16 … 172.31.0.0/16, 192.168.0.0/20 …. */
const candidates: readonly string[] = [
  ...Array.from({ length: 15 }, (_, index) => `172.${17 + index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `192.168.${index * 16}.0/20`),
];

/** The first candidate that overlaps none of the ranges in use. */
export function chooseSubnet(used: readonly Pick<Subnet, 'first' | 'prefixLength'>[]): Subnet {
  const free = candidates.map(parseSubnet).find((subnet) => !used.some((other) => overlaps(subnet, other)));
  if (free === undefined)
    throw new HolmError(
      'unavailable',
      'Cannot choose a subnet: the host routes all of 172.17.0.0/16 to 192.168.240.0/20',
    );
  return free;
}

export function overlaps(
  one: Pick<Subnet, 'first' | 'prefixLength'>,
  other: Pick<Subnet, 'first' | 'prefixLength'>,
): boolean {
  return one.first <= lastOf(other) && other.first <= lastOf(one);
}
