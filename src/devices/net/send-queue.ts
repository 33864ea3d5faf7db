// Bytes on their way to the guest: kept, in the pieces they came in, until the guest acknowledged them, since it may
// drop what it got. Positions count from the first byte that is not yet acknowledged.

/** Pieces smaller than this are copied together, so that a drip of bytes costs no more memory than a stream. */
const smallBytes = 4096;
const blockBytes = 16_384;

export class SendQueue {
  #pieces: Uint8Array[] = [];
  /** Bytes of the first piece that are acknowledged. */
  #skip = 0;
  #bytes = 0;
  /** The block that small pieces are copied to: its first `#filled` bytes are the last piece. */
  #block = new Uint8Array(0);
  #filled = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a piece that nobody changes any more. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (piece.length >= smallBytes || this.#pieces.length === 0) {
      this.#filled = this.#block.length;
      this.#pieces.push(piece);
    } else if (this.#filled + piece.length <= this.#block.length) {
      this.#block.set(piece, this.#filled);
      this.#filled += piece.length;
      this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, this.#filled);
    } else {
      this.#block = new Uint8Array(blockBytes);
      this.#block.set(piece);
      this.#filled = piece.length;
      this.#pieces.push(this.#block.subarray(0, piece.length));
    }
  }

  /** Views of `bytes` bytes from position `from` on; the queue must have as many. */
  slice(from: number, bytes: number): Uint8Array[] {
    const slices: Uint8Array[] = [];
    let skip = this.#skip + from;
    let left = bytes;
    for (const piece of this.#pieces) {
      if (left === 0) break;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const slice = piece.subarray(skip, Math.min(piece.length, skip + left));
      slices.push(slice);
      left -= slice.length;
      skip = 0;
    }
    return slices;
  }

  /** Forgets the first `bytes` bytes. */
  acknowledge(bytes: number): void {
    this.#bytes -= bytes;
    let skip = this.#skip + bytes;
    let done = 0;
    for (; done < this.#pieces.length && skip >= this.#pieces[done]!.length; done++) skip -= this.#pieces[done]!.length;
    if (done > 0) this.#pieces.splice(0, done);
    this.#skip = skip;
    if (this.#pieces.length === 0) this.clear();
  }

  clear(): void {
    this.#pieces = [];
    this.#skip = this.#bytes = this.#filled = 0;
    this.#block = new Uint8Array(0);
  }
}
