// TCP headers (RFC 9293, section 3.1) and the options that the stack knows: maximum segment size, window scale
// (RFC 7323). Sequence numbers are 32-bit and compared by the sign of their difference.
import { fold, pseudoSum, sumOf } from './checksum.ts';
import { type IpOutput, lowerBytes } from './ip-output.ts';
import { protocol } from './ipv4.ts';
import { setU16, setU32, u16, u32 } from './network-order.ts';
import type { Address } from './udp.ts';

export const tcpBytes = 20;
export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly headerBytes: number;
  readonly flags: number;
  /** As in the header, not scaled. */
  readonly window: number;
  /** Options of a SYN. */
  readonly maxSegmentBytes: number | undefined;
  readonly windowScale: number | undefined;
}

/** The header of a segment; undefined when it is cut short. Options are read from a SYN only. */
export function parseTcp(bytes: Uint8Array): TcpSegment | undefined {
  if (bytes.length < tcpBytes) return undefined;
  const headerBytes = (bytes[12]! >> 4) * 4;
  if (headerBytes < tcpBytes || headerBytes > bytes.length) return undefined;
  const flags = bytes[13]! & 0x3f;
  const options = (flags & flag.syn) !== 0 ? parseOptions(bytes.subarray(tcpBytes, headerBytes)) : undefined;
  return {
    sourcePort: u16(bytes, 0),
    destinationPort: u16(bytes, 2),
    sequence: u32(bytes, 4),
    acknowledgment: u32(bytes, 8),
    headerBytes,
    flags,
    window: u16(bytes, 14),
    maxSegmentBytes: options?.maxSegmentBytes,
    windowScale: options?.windowScale,
  };
}

/** Whether a segment's checksum is right. */
export function isTcpValid(bytes: Uint8Array, source: number, destination: number): boolean {
  return fold(sumOf(bytes, 0, bytes.length, pseudoSum(source, destination, protocol.tcp, bytes.length))) === 0xffff;
}

interface Options {
  maxSegmentBytes?: number;
  windowScale?: number;
}

function parseOptions(options: Uint8Array): Options {
  const found: Options = {};
  for (let at = 0; at < options.length && options[at] !== 0; ) {
    if (options[at] === 1) {
      at++;
      continue;
    }
    const bytes = options[at + 1] ?? 0;
    if (bytes < 2 || at + bytes > options.length) break;
    if (options[at] === 2 && bytes === 4) found.maxSegmentBytes = u16(options, at + 2);
    if (options[at] === 3 && bytes === 3) found.windowScale = Math.min(14, options[at + 2]!);
    at += bytes;
  }
  return found;
}

export interface TcpFields {
  readonly from: Address;
  readonly to: Address;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** Sent with a SYN. */
  readonly maxSegmentBytes?: number;
  readonly windowScale?: number | undefined;
  readonly body?: readonly Uint8Array[];
  readonly bodyBytes?: number;
  /** A body larger than this is for the card to cut. */
  readonly segmentBytes?: number;
}

/** Sends a segment to the guest; false when there is no room for it. */
export function sendTcp(output: IpOutput, fields: TcpFields): boolean {
  const optionBytes = fields.maxSegmentBytes === undefined ? 0 : fields.windowScale === undefined ? 4 : 8;
  const head = new Uint8Array(lowerBytes + tcpBytes + optionBytes);
  const at = lowerBytes;
  const { from, to, bodyBytes = 0, segmentBytes } = fields;
  setU16(head, at, from.port);
  setU16(head, at + 2, to.port);
  setU32(head, at + 4, fields.sequence);
  setU32(head, at + 8, fields.acknowledgment);
  head[at + 12] = ((tcpBytes + optionBytes) / 4) << 4;
  head[at + 13] = fields.flags;
  setU16(head, at + 14, fields.window);
  const sum = pseudoSum(from.address, to.address, protocol.tcp, tcpBytes + optionBytes + bodyBytes);
  setU16(head, at + 16, fold(sum));
  if (fields.maxSegmentBytes !== undefined) {
    setU32(head, at + 20, 0x0204_0000 | fields.maxSegmentBytes);
    if (fields.windowScale !== undefined) setU32(head, at + 24, 0x0103_0300 | fields.windowScale);
  }
  return output.sendIp({
    protocol: protocol.tcp,
    source: from.address,
    destination: to.address,
    head,
    body: fields.body ?? [],
    checksumOffset: 16,
    ...(segmentBytes !== undefined && bodyBytes > segmentBytes ? { segmentBytes } : {}),
  });
}
