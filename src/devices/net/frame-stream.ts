// Frames over a byte stream, for a hub in another process: four bytes of length in network order, the header of the
// virtio network device, the frame. Both sides trust each other's kind but not its bytes.
import { decodeNetHeader, encodeNetHeader, netHeaderBytes } from '../virtio/net-header.ts';
import { ethernetBytes } from './ethernet.ts';
import { type Frame, frameOf, maxFrameBytes } from './frame.ts';
import { setU32, u32 } from './network-order.ts';

const lengthBytes = 4;

/** The frame as it goes over the stream. */
export function encodeFrame(frame: Frame): Uint8Array {
  const message = new Uint8Array(lengthBytes + netHeaderBytes + frame.bytes);
  setU32(message, 0, netHeaderBytes + frame.bytes);
  message.set(encodeNetHeader(frame.offload, 1), lengthBytes);
  let at = lengthBytes + netHeaderBytes;
  for (const piece of frame.pieces) {
    message.set(piece, at);
    at += piece.length;
  }
  return message;
}

/** Cuts what comes over the stream into frames again. */
export class FrameReader {
  #rest = new Uint8Array(0);

  /** The frames that `bytes` complete; undefined when the other side does not speak this protocol. */
  read(bytes: Uint8Array): Frame[] | undefined {
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    }
    const frames: Frame[] = [];
    let at = 0;
    while (all.length - at >= lengthBytes) {
      const length = u32(all, at);
      if (length < netHeaderBytes + ethernetBytes || length > netHeaderBytes + maxFrameBytes) return undefined;
      const end = at + lengthBytes + length;
      if (end > all.length) break;
      const start = at + lengthBytes + netHeaderBytes;
      const offload = decodeNetHeader(all.subarray(at + lengthBytes, start), end - start);
      if (offload !== undefined) frames.push(frameOf(all.subarray(start, end), offload));
      at = end;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}
