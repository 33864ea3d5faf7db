// The way down for the protocols of the user-mode stack: a packet with room for its lower headers in front.
import { ethernetBytes } from './ethernet.ts';
import { ipv4Bytes } from './ipv4.ts';

/** Bytes that a protocol leaves free at the start of `head` for Ethernet and IPv4. */
export const lowerBytes: number = ethernetBytes + ipv4Bytes;

export interface Packet {
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  /** `lowerBytes` free bytes, then the protocol's own header. */
  readonly head: Uint8Array;
  readonly body: readonly Uint8Array[];
  /** Where in its header the protocol keeps its checksum, the pseudo-header's sum; undefined when it is done. */
  readonly checksumOffset?: number;
  /** The payload is to be cut into TCP segments of so many bytes. */
  readonly segmentBytes?: number;
}

export interface IpOutput {
  /** The largest IP packet on the guest's network. */
  readonly mtu: number;
  /** False when the guest has no room; the packet was not sent then. */
  sendIp(packet: Packet): boolean;
}
