// The key sequence by which a person leaves a terminal without ending the guest (docker's --detach-keys).
import { HolmError } from '../base/error.ts';

const special: Record<string, number> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 };

/** Parses "ctrl-p,ctrl-q" to bytes; empty text is that default. */
export function parseDetachKeys(text: string): Buffer {
  const keys = (text === '' ? 'ctrl-p,ctrl-q' : text).split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key);
    if (control !== null) {
      const letter = control[1]!.toLowerCase();
      return special[letter] ?? letter.charCodeAt(0) - 96;
    }
    if (Buffer.byteLength(key) !== 1) throw new HolmError('invalid', `Invalid escape keys (${text}) provided`);
    return key.charCodeAt(0);
  });
  return Buffer.from(keys);
}

/** Looks for the sequence in standard input as it passes; a beginning of it is held back until it is clear what it is. */
export class DetachFilter {
  readonly #keys: Buffer;
  #matched = 0;
  isDetached = false;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What of the chunk goes on to the guest. */
  pass(chunk: Uint8Array): Buffer {
    const out: number[] = [];
    for (const byte of chunk) {
      if (this.isDetached) break;
      if (byte !== this.#keys[this.#matched]) {
        out.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) this.#matched++;
      else out.push(byte);
      this.isDetached = this.#matched === this.#keys.length;
    }
    return Buffer.from(out);
  }
}
