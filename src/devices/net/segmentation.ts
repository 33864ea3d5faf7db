// A large TCP segment cut to the network's size, for a card whose driver cannot take it whole: what a network interface
// with segmentation offload does.
import { fold, pseudoSum, sumOf } from './checksum.ts';
import { ethernetBytes } from './ethernet.ts';
import { type Frame, frameOf, type Offload } from './frame.ts';
import { ipv4Bytes, protocol } from './ipv4.ts';
import { setU16, setU32, u16, u32 } from './network-order.ts';
import { flag, tcpBytes } from './tcp-segment.ts';

const ipv6Bytes = 40;
const cwr = 0x80;

/** The frames that `frame` becomes, their checksums still to be completed; none when its headers are malformed. */
export function segmentsOf(frame: Uint8Array, { segments }: Offload): Frame[] {
  const ipBytes = segments === undefined ? undefined : ipHeaderBytes(frame, segments.kind);
  if (segments === undefined || ipBytes === undefined) return [];
  const tcpAt = ethernetBytes + ipBytes;
  if (frame.length < tcpAt + tcpBytes) return [];
  const payloadAt = tcpAt + (frame[tcpAt + 12]! >> 4) * 4;
  if (payloadAt < tcpAt + tcpBytes || payloadAt > frame.length) return [];
  const frames: Frame[] = [];
  for (let at = payloadAt; at < frame.length || frames.length === 0; at += segments.bytes) {
    const end = Math.min(frame.length, at + segments.bytes);
    const part = new Uint8Array(payloadAt + end - at);
    part.set(frame.subarray(0, payloadAt));
    part.set(frame.subarray(at, end), payloadAt);
    setU32(part, tcpAt + 4, u32(frame, tcpAt + 4) + at - payloadAt);
    if (end < frame.length) part[tcpAt + 13]! &= ~(flag.fin | flag.psh);
    if (at > payloadAt) part[tcpAt + 13]! &= ~cwr;
    if (segments.kind === 'tcp4') finishIpv4(part, tcpAt, frames.length);
    else finishIpv6(part, tcpAt);
    frames.push(frameOf(part, { checksum: { start: tcpAt, offset: 16 } }));
  }
  return frames;
}

function ipHeaderBytes(frame: Uint8Array, kind: 'tcp4' | 'tcp6'): number | undefined {
  const at = ethernetBytes;
  if (kind === 'tcp6') return frame[at]! >> 4 === 6 && frame[at + 6] === protocol.tcp ? ipv6Bytes : undefined;
  const bytes = (frame[at]! & 15) * 4;
  return frame[at]! >> 4 === 4 && frame[at + 9] === protocol.tcp && bytes >= ipv4Bytes ? bytes : undefined;
}

function finishIpv4(part: Uint8Array, tcpAt: number, index: number): void {
  const at = ethernetBytes;
  setU16(part, at + 2, part.length - at);
  setU16(part, at + 4, u16(part, at + 4) + index);
  setU16(part, at + 10, 0);
  setU16(part, at + 10, ~fold(sumOf(part, at, tcpAt)));
  const sum = pseudoSum(u32(part, at + 12), u32(part, at + 16), protocol.tcp, part.length - tcpAt);
  setU16(part, tcpAt + 16, fold(sum));
}

function finishIpv6(part: Uint8Array, tcpAt: number): void {
  const at = ethernetBytes;
  setU16(part, at + 4, part.length - tcpAt);
  setU16(part, tcpAt + 16, fold(sumOf(part, at + 8, at + 40, protocol.tcp + part.length - tcpAt)));
}
