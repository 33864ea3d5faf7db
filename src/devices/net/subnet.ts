// The guest's network as the user-mode stack lays it out: which address is whose.
import { parseAddress } from './ipv4.ts';

export interface Subnet {
  readonly network: number;
  readonly prefix: number;
  readonly mask: number;
  readonly broadcast: number;
  /** The router; the host's own loopback lies behind it when that is allowed. */
  readonly gateway: number;
  readonly dns: number;
  /** Leases are given from here to the last address before the broadcast address. */
  readonly firstGuest: number;
}

export const defaultSubnet = '10.0.2.0/24';

/** Lays out a network in prefix form: .2 the gateway, .3 the name server, guests from .15. Throws RangeError. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = ''] = text.split('/');
  const network = parseAddress(address);
  const prefix = Number(length);
  if (network === undefined || !/^\d+$/.test(length) || prefix < 8 || prefix > 27) {
    throw new RangeError(`Cannot use subnet "${text}": must be an IPv4 network with a prefix of 8 to 27`);
  }
  const mask = (0xffff_ffff << (32 - prefix)) >>> 0;
  if ((network & mask) >>> 0 !== network) throw new RangeError(`Cannot use subnet "${text}": bits beyond its prefix`);
  return {
    network,
    prefix,
    mask,
    broadcast: (network | ~mask) >>> 0,
    gateway: network + 2,
    dns: network + 3,
    firstGuest: network + 15,
  };
}

export function isWithin(subnet: Subnet, address: number): boolean {
  return (address & subnet.mask) >>> 0 === subnet.network;
}
