// UDP datagrams (RFC 768).
import { fold, pseudoSum, sumOf } from './checksum.ts';
import { type IpOutput, lowerBytes, type Packet } from './ip-output.ts';
import { protocol } from './ipv4.ts';
import { setU16, u16 } from './network-order.ts';

export const udpBytes = 8;

export interface Address {
  readonly address: number;
  readonly port: number;
}

/** The payload of a datagram; undefined when it is cut short or its checksum is wrong. */
export function udpPayload(
  datagram: Uint8Array,
  source: number,
  destination: number,
  valid: boolean,
): Uint8Array | undefined {
  const bytes = datagram.length < udpBytes ? 0 : u16(datagram, 4);
  if (bytes < udpBytes || bytes > datagram.length) return undefined;
  if (!valid && u16(datagram, 6) !== 0) {
    if (fold(sumOf(datagram, 0, bytes, pseudoSum(source, destination, protocol.udp, bytes))) !== 0xffff)
      return undefined;
  }
  return datagram.subarray(udpBytes, bytes);
}

/** Sends a datagram to the guest; false when there is no room for it. */
export function sendUdp(output: IpOutput, from: Address, to: Address, payload: Uint8Array): boolean {
  const bytes = udpBytes + payload.length;
  const head = new Uint8Array(lowerBytes + udpBytes);
  setU16(head, lowerBytes, from.port);
  setU16(head, lowerBytes + 2, to.port);
  setU16(head, lowerBytes + 4, bytes);
  const sum = pseudoSum(from.address, to.address, protocol.udp, bytes);
  setU16(head, lowerBytes + 6, fold(sum));
  const packet: Packet = {
    protocol: protocol.udp,
    source: from.address,
    destination: to.address,
    head,
    body: [payload],
    checksumOffset: 6,
  };
  return output.sendIp(packet);
}
