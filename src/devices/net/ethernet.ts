// Ethernet II (IEEE 802.3, RFC 894).
import { setU16 } from './network-order.ts';

export const ethernetBytes = 14;
export const etherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const broadcastMac: Uint8Array = new Uint8Array(6).fill(0xff);

export function writeEthernet(into: Uint8Array, destination: Uint8Array, source: Uint8Array, type: number): void {
  into.set(destination, 0);
  into.set(source, 6);
  setU16(into, 12, type);
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The group bit: multicast and broadcast. */
export function isGroupMac(mac: Uint8Array): boolean {
  return (mac[0]! & 1) !== 0;
}

export function isSameMac(one: Uint8Array, other: Uint8Array): boolean {
  for (let byte = 0; byte < 6; byte++) if (one[byte] !== other[byte]) return false;
  return true;
}
