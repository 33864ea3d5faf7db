// The sequence of keys that leaves a guest and does not end it. The server acts on it; the client watches for it too, so that
// it knows why the stream ended.
import { HolmError } from '../base/error.ts';

export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** Bytes of "ctrl-p,ctrl-q" or "a,b"; throws `invalid`. */
export function parseDetachKeys(text: string): readonly number[] {
  return text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    throw new HolmError('invalid', `invalid detach keys (${text}): Unknown character: '${key}'`);
  });
}

/** Looks for the sequence in what was typed. */
export class DetachWatch {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(text: string) {
    this.#keys = parseDetachKeys(text === '' ? defaultDetachKeys : text);
  }

  /** Whether the sequence ended within these bytes. */
  sees(typed: Uint8Array): boolean {
    for (const byte of typed) {
      if (byte === this.#keys[this.#matched]) this.#matched++;
      else this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === this.#keys.length) return true;
    }
    return false;
  }
}
