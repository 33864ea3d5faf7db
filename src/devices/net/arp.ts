// ARP for IPv4 over Ethernet (RFC 826).
import { ethernetBytes, etherType, writeEthernet } from './ethernet.ts';
import { setU16, setU32, u16, u32 } from './network-order.ts';

export interface ArpMessage {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Uint8Array;
  readonly sender: number;
  readonly targetMac: Uint8Array;
  readonly target: number;
}

const arpBytes = 28;

/** The message in a whole frame; undefined when it is another hardware, protocol or operation, or too short. */
export function parseArp(frame: Uint8Array): ArpMessage | undefined {
  const at = ethernetBytes;
  if (frame.length < at + arpBytes) return undefined;
  if (u16(frame, at) !== 1 || u16(frame, at + 2) !== etherType.ipv4) return undefined;
  if (frame[at + 4] !== 6 || frame[at + 5] !== 4) return undefined;
  const operation = u16(frame, at + 6);
  if (operation !== 1 && operation !== 2) return undefined;
  return {
    operation: operation === 1 ? 'request' : 'reply',
    senderMac: frame.slice(at + 8, at + 14),
    sender: u32(frame, at + 14),
    targetMac: frame.slice(at + 18, at + 24),
    target: u32(frame, at + 24),
  };
}

/** The whole frame that carries `message` to `destination`. */
export function encodeArp(message: ArpMessage, destination: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ethernetBytes + arpBytes);
  writeEthernet(frame, destination, message.senderMac, etherType.arp);
  const at = ethernetBytes;
  setU16(frame, at, 1);
  setU16(frame, at + 2, etherType.ipv4);
  frame[at + 4] = 6;
  frame[at + 5] = 4;
  setU16(frame, at + 6, message.operation === 'request' ? 1 : 2);
  frame.set(message.senderMac, at + 8);
  setU32(frame, at + 14, message.sender);
  frame.set(message.targetMac, at + 18);
  setU32(frame, at + 24, message.target);
  return frame;
}
