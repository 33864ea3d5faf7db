// Packets of the socket device (virtio 1.2, section 5.10.6): a header of 44 bytes, then the payload.

export const vsockHeaderBytes = 44;

/** Section 5.10.6, the operations. */
export const operation = {
  request: 1,
  response: 2,
  reset: 3,
  shutdown: 4,
  data: 5,
  creditUpdate: 6,
  creditRequest: 7,
} as const;

/** Section 5.10.6.6: which way of the connection is over. */
export const shutdownFlag = { receive: 1, send: 2 } as const;
export const streamType = 1;

/** Well-known context identifiers (section 5.10.4). */
export const hostCid = 2;

export interface VsockHeader {
  readonly sourceCid: number;
  readonly destinationCid: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly bytes: number;
  readonly type: number;
  readonly operation: number;
  readonly flags: number;
  /** The sender's room for this connection, and how much it has passed on so far (modulo 2^32). */
  readonly bufferBytes: number;
  readonly forwarded: number;
}

/** The header in the first bytes of a packet; undefined when they are too few. */
export function parseVsock(packet: Uint8Array): VsockHeader | undefined {
  if (packet.length < vsockHeaderBytes) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  // Identifiers are 64 bits, of which the upper 32 are reserved and zero.
  if (view.getUint32(4, true) !== 0 || view.getUint32(12, true) !== 0) return undefined;
  return {
    sourceCid: view.getUint32(0, true),
    destinationCid: view.getUint32(8, true),
    sourcePort: view.getUint32(16, true),
    destinationPort: view.getUint32(20, true),
    bytes: view.getUint32(24, true),
    type: view.getUint16(28, true),
    operation: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufferBytes: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
  };
}

export function encodeVsock(header: VsockHeader): Uint8Array {
  const packet = new Uint8Array(vsockHeaderBytes);
  const view = new DataView(packet.buffer);
  view.setUint32(0, header.sourceCid, true);
  view.setUint32(8, header.destinationCid, true);
  view.setUint32(16, header.sourcePort, true);
  view.setUint32(20, header.destinationPort, true);
  view.setUint32(24, header.bytes, true);
  view.setUint16(28, header.type, true);
  view.setUint16(30, header.operation, true);
  view.setUint32(32, header.flags, true);
  view.setUint32(36, header.bufferBytes, true);
  view.setUint32(40, header.forwarded, true);
  return packet;
}
