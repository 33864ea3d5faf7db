// Docker's multiplexed stream: frames of 8 bytes (stream 0, 1 or 2, three zero bytes, big-endian length) and payload.
import { HolmError } from '../base/error.ts';

/** Splits frames that come in pieces of any size; payloads are passed on as they come, without a copy. */
export class FrameSplitter {
  readonly #header = Buffer.alloc(8);
  #headerBytes = 0;
  #left = 0;
  #stream = 1;

  /** Yields the stream (1 output, 2 errors) and its bytes. */
  *split(chunk: Buffer): Generator<{ stream: number; bytes: Buffer }> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left);
        at += bytes.length;
        this.#left -= bytes.length;
        yield { stream: this.#stream, bytes };
        continue;
      }
      const taken = chunk.copy(this.#header, this.#headerBytes, at, at + 8 - this.#headerBytes);
      at += taken;
      this.#headerBytes += taken;
      if (this.#headerBytes < 8) return;
      this.#headerBytes = 0;
      this.#stream = this.#header[0]!;
      this.#left = this.#header.readUInt32BE(4);
      if (this.#stream > 3)
        throw new HolmError('corrupt', `Cannot read the stream: frame of unknown kind ${this.#stream}`);
    }
  }
}
