// Adds up the bytes of a layer's files while its tar streams by; says nothing about damage, which is the keeper's to find.
import { blockBytes, paddingOf, parseHeader } from './tar-format.ts';
import { parsePax } from './tar-pax.ts';

const mostExtensionBytes = 1024 * 1024;

export class TarMeter {
  /** Bytes of all files so far. */
  bytes = 0;
  #skip = 0;
  #wanted: Uint8Array[] = [];
  #missing = blockBytes;
  #reading: 'header' | 'extension' | 'nothing' = 'header';
  #extensionPadding = 0;
  #nextSize: number | undefined;

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && this.#reading !== 'nothing'; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      const part = chunk.subarray(at, at + this.#missing);
      at += part.length;
      this.#missing -= part.length;
      this.#wanted.push(part);
      if (this.#missing === 0) this.#take();
    }
  }

  #take(): void {
    const piece = this.#wanted.length === 1 ? this.#wanted[0]! : Buffer.concat(this.#wanted);
    this.#wanted = [];
    this.#missing = blockBytes;
    try {
      if (this.#reading === 'extension') this.#takeExtension(piece);
      else this.#takeHeader(piece);
    } catch {
      this.#reading = 'nothing';
    }
  }

  #takeHeader(block: Uint8Array): void {
    if (block[0] === 0) {
      this.#reading = 'nothing';
      return;
    }
    const header = parseHeader(block);
    if (header.type === 'x' && header.size > 0 && header.size <= mostExtensionBytes) {
      this.#reading = 'extension';
      this.#missing = header.size;
      this.#extensionPadding = paddingOf(header.size);
      return;
    }
    const isFile = header.kind === 'file';
    const size = isFile ? (this.#nextSize ?? header.size) : header.size;
    this.#skip = size + paddingOf(size);
    if (isFile) this.bytes += size;
    if (isFile || header.kind !== 'other') this.#nextSize = undefined;
  }

  #takeExtension(value: Uint8Array): void {
    this.#reading = 'header';
    this.#skip = this.#extensionPadding;
    this.#nextSize = parsePax(value).size;
  }
}
