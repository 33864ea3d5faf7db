// An Ethernet frame on its way between a guest's card and a link: pieces that lie one after another, without the
// frame check sequence, and what is still to be done to it. The pieces belong to the sender: a receiver that wants
// them after its call returned copies them.

export interface Frame {
  readonly pieces: readonly Uint8Array[];
  /** The sum of the pieces' lengths. */
  readonly bytes: number;
  readonly offload: Offload;
}

/** Work left to whoever ends the frame's way (virtio 1.2, section 5.1.6.2). */
export interface Offload {
  /** The sum from byte `start` to the end is to be stored at `start + offset`, where the pseudo-header's sum lies. */
  readonly checksum?: { readonly start: number; readonly offset: number };
  /** A TCP segment larger than the network's: to be cut into `bytes` of payload each. `headerBytes` may be 0. */
  readonly segments?: { readonly kind: 'tcp4' | 'tcp6'; readonly bytes: number; readonly headerBytes: number };
  /** The checksums were verified, or the frame never left memory. */
  readonly valid?: true;
}

export const noOffload: Offload = {};

/** The largest frame: an Ethernet header and the largest IP packet. */
export const maxFrameBytes: number = 14 + 65_535;

export function frameOf(bytes: Uint8Array, offload: Offload = noOffload): Frame {
  return { pieces: [bytes], bytes: bytes.length, offload };
}

/** The frame in one piece: its only piece, or a copy. */
export function gather(frame: Frame): Uint8Array {
  if (frame.pieces.length === 1) return frame.pieces[0]!;
  const whole = new Uint8Array(frame.bytes);
  let at = 0;
  for (const piece of frame.pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
