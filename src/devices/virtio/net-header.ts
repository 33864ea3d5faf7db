// The header before each packet of the network device (virtio 1.2, section 5.1.6), which taps speak too: what is left
// to be done to the packet. Whatever does not fit the packet makes it undeliverable.
import type { Offload } from '../net/frame.ts';

/** With num_buffers, as always with VIRTIO_F_VERSION_1. */
export const netHeaderBytes = 12;

const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
const VIRTIO_NET_HDR_F_DATA_VALID = 2;
const VIRTIO_NET_HDR_GSO_NONE = 0;
const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
const VIRTIO_NET_HDR_GSO_ECN = 0x80;
/** Smaller segments would make thousands of frames from one. */
const leastSegmentBytes = 48;

/** Reads the header of a packet of `frameBytes` bytes; undefined when it asks for what cannot be done. */
export function decodeNetHeader(header: Uint8Array, frameBytes: number): Offload | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const flags = view.getUint8(0);
  const kind = view.getUint8(1) & ~VIRTIO_NET_HDR_GSO_ECN;
  const valid = (flags & VIRTIO_NET_HDR_F_DATA_VALID) !== 0 ? ({ valid: true } as const) : {};
  if ((flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return kind === VIRTIO_NET_HDR_GSO_NONE ? valid : undefined;
  const checksum = { start: view.getUint16(6, true), offset: view.getUint16(8, true) };
  if (checksum.start + checksum.offset + 2 > frameBytes) return undefined;
  if (kind === VIRTIO_NET_HDR_GSO_NONE) return { checksum };
  const bytes = view.getUint16(4, true);
  if (bytes < leastSegmentBytes) return undefined;
  if (kind !== VIRTIO_NET_HDR_GSO_TCPV4 && kind !== VIRTIO_NET_HDR_GSO_TCPV6) return undefined;
  const version = kind === VIRTIO_NET_HDR_GSO_TCPV4 ? 'tcp4' : 'tcp6';
  return { checksum, segments: { kind: version, bytes, headerBytes: view.getUint16(2, true) } };
}

/** A header of `netHeaderBytes` for a frame that takes `buffers` buffers. */
export function encodeNetHeader(offload: Offload, buffers: number): Uint8Array {
  const header = new Uint8Array(netHeaderBytes);
  const view = new DataView(header.buffer);
  const { checksum, segments } = offload;
  if (checksum !== undefined) {
    view.setUint8(0, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    view.setUint16(6, checksum.start, true);
    view.setUint16(8, checksum.offset, true);
  } else if (offload.valid === true) view.setUint8(0, VIRTIO_NET_HDR_F_DATA_VALID);
  if (segments !== undefined) {
    view.setUint8(1, segments.kind === 'tcp4' ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6);
    view.setUint16(2, segments.headerBytes, true);
    view.setUint16(4, segments.bytes, true);
  }
  view.setUint16(10, buffers, true);
  return header;
}
