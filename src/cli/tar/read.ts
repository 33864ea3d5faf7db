// Reads a tar stream: entries in order, each with its content as a stream that must be read before the next entry.
import { HolmError } from '../../base/error.ts';
import type { Body } from '../client.ts';
import { applyRecords, blockBytes, decodeBlock, decodeRecords, type TarEntry } from './header.ts';

/** No name, link or pax header is longer. */
const mostExtensionBytes = 1024 * 1024;

export interface ReadEntry {
  readonly entry: TarEntry;
  readonly content: AsyncIterable<Buffer>;
}

export async function* readTar(body: Body): AsyncIterable<ReadEntry> {
  const source = new ByteSource(body);
  let records: Record<string, string> = {};
  for (;;) {
    const block = await source.take(blockBytes);
    if (block === undefined || block.every((byte) => byte === 0)) break;
    const { extension, ...entry } = decodeBlock(block);
    if (extension !== '') {
      if (entry.sizeBytes > mostExtensionBytes)
        throw new HolmError('corrupt', 'Cannot read the archive: a header is too long');
      const content = await source.takeAll(entry.sizeBytes);
      await source.takeAll(padLength(entry.sizeBytes));
      const text = content.toString('utf8').replace(/\0.*$/s, '');
      if (extension === 'x') records = { ...records, ...decodeRecords(content) };
      if (extension === 'L') records.path = text;
      if (extension === 'K') records.linkpath = text;
      continue;
    }
    const full = applyRecords(entry, records);
    records = {};
    let left = full.sizeBytes;
    const content = async function* () {
      while (left > 0) {
        const chunk = await source.some(left);
        left -= chunk.length;
        yield chunk;
      }
    };
    yield { entry: full, content: content() };
    while (left > 0) left -= (await source.some(left)).length;
    await source.takeAll(padLength(full.sizeBytes));
  }
  await source.drain();
}

const padLength = (bytes: number): number => (blockBytes - (bytes % blockBytes)) % blockBytes;

/** Bytes of a stream by count. */
class ByteSource {
  readonly #from: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(body: Body) {
    this.#from = body[Symbol.asyncIterator]();
  }

  /** So many bytes, or undefined at the end of the stream. */
  async take(bytes: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0 && !(await this.#fill())) return undefined;
    return this.takeAll(bytes);
  }

  async takeAll(bytes: number): Promise<Buffer> {
    while (this.#rest.length < bytes)
      if (!(await this.#fill())) throw new HolmError('corrupt', 'Cannot read the archive: it ends too early');
    const taken = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    return taken;
  }

  /** At least one byte, at most so many. */
  async some(most: number): Promise<Buffer> {
    if (this.#rest.length === 0 && !(await this.#fill()))
      throw new HolmError('corrupt', 'Cannot read the archive: it ends too early');
    return this.takeAll(Math.min(most, this.#rest.length));
  }

  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0);
    while (await this.#fill()) this.#rest = Buffer.alloc(0);
  }

  async #fill(): Promise<boolean> {
    const { value, done } = await this.#from.next();
    if (done) return false;
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    return true;
  }
}
