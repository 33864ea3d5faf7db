// ICMP (RFC 792): echo of the stack's own addresses, and "destination unreachable" for what the host refused.
import { fold, sumOf } from './checksum.ts';
import { type IpOutput, lowerBytes } from './ip-output.ts';
import { protocol, writeIpv4 } from './ipv4.ts';
import { setU16, setU32 } from './network-order.ts';

const echoReply = 0;
const destinationUnreachable = 3;
const echoRequest = 8;
const headerBytes = 8;

/** Codes of "destination unreachable". */
export const unreachable = { host: 1, port: 3, prohibited: 13 } as const;

/** Answers an echo request to `local`; anything else is ignored. */
export function answerEcho(output: IpOutput, local: number, from: number, message: Uint8Array): void {
  if (message.length < headerBytes || message[0] !== echoRequest) return;
  if (fold(sumOf(message, 0, message.length)) !== 0xffff) return;
  const head = new Uint8Array(lowerBytes + message.length);
  head.set(message, lowerBytes);
  head[lowerBytes] = echoReply;
  send(output, local, from, head);
}

/** The first bytes of a packet of the guest, made again from what is known of it. */
export interface Refused {
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TCP's sequence number; for UDP length and checksum, of which Linux looks at neither. */
  readonly word?: number;
}

/** Tells the sender of `packet` that it cannot be delivered; `by` is the router that says so. */
export function sendUnreachable(output: IpOutput, by: number, packet: Refused, code: number): void {
  const head = new Uint8Array(lowerBytes + headerBytes + 28);
  head[lowerBytes] = destinationUnreachable;
  head[lowerBytes + 1] = code;
  const inner = lowerBytes + headerBytes;
  writeIpv4(head, inner, { ...packet, totalBytes: 28, identification: 0 });
  setU16(head, inner + 20, packet.sourcePort);
  setU16(head, inner + 22, packet.destinationPort);
  setU32(head, inner + 24, packet.word ?? 0x0008_0000);
  send(output, by, packet.source, head);
}

function send(output: IpOutput, source: number, destination: number, head: Uint8Array): void {
  setU16(head, lowerBytes + 2, 0);
  setU16(head, lowerBytes + 2, ~fold(sumOf(head, lowerBytes, head.length)));
  output.sendIp({ protocol: protocol.icmp, source, destination, head, body: [] });
}
