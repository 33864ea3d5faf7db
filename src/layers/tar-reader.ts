// Reads an outer archive, of few and large entries, as a stream: one entry after another, its body in the chunks that come.
// Layers themselves are unpacked by the keeper.
import { HolmError } from '../base/error.ts';
import { blockBytes, isZeroBlock, paddingOf, parseHeader, type TarKind } from './tar-format.ts';
import { type PaxRecords, parsePax } from './tar-pax.ts';

export interface TarEntry {
  readonly name: string;
  readonly kind: TarKind;
  readonly size: number;
  readonly linkTarget: string;
  /** To be read before the next entry; what is left is passed over. */
  readonly body: AsyncIterable<Uint8Array>;
}

const mostEntries = 100_000;
const mostExtensionBytes = 1024 * 1024;

/** The entries of a tar, with names from GNU and pax extensions applied. Throws `corrupt` for damage and an early end. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  await using bytes = new ByteReader(source);
  let extension: PaxRecords = {};
  for (let entries = 0; ; entries++) {
    if (entries > mostEntries)
      throw new HolmError('invalid', `Cannot read the archive: it has more than ${mostEntries} entries`);
    const block = await bytes.readHeader();
    if (block === undefined || isZeroBlock(block)) {
      if (entries === 0 && block === undefined)
        throw new HolmError('corrupt', 'Cannot read the archive: it is empty or ends within its first header');
      await bytes.skipRest();
      return;
    }
    const header = parseHeader(block);
    if ('LKxg'.includes(header.type)) {
      if (header.size > mostExtensionBytes)
        throw new HolmError('invalid', `Cannot read the archive: an extended header has ${header.size} bytes`);
      const value = await bytes.readExactly(header.size);
      await bytes.skip(paddingOf(header.size));
      if (header.type === 'L') extension.name = textOf(value);
      else if (header.type === 'K') extension.linkTarget = textOf(value);
      else if (header.type === 'x') extension = { ...extension, ...parsePax(value) };
      continue;
    }
    const size = header.kind === 'file' ? (extension.size ?? header.size) : header.size;
    const body = new Body(bytes, size);
    yield {
      name: extension.name ?? header.name,
      kind: header.kind,
      size,
      linkTarget: extension.linkTarget ?? header.linkTarget,
      body,
    };
    extension = {};
    await bytes.skip(body.left + paddingOf(size));
  }
}

class Body implements AsyncIterable<Uint8Array> {
  left: number;
  readonly #bytes: ByteReader;

  constructor(bytes: ByteReader, size: number) {
    this.#bytes = bytes;
    this.left = size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (this.left > 0) {
      const chunk = await this.#bytes.readSome(this.left);
      this.left -= chunk.length;
      yield chunk;
    }
  }
}

/** Hands out a stream of chunks in the pieces asked for, without copying bodies. */
class ByteReader implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return true;
  }

  /** One to `most` bytes. */
  async readSome(most: number): Promise<Uint8Array> {
    if (this.#chunk.length === 0 && !(await this.#fill()))
      throw new HolmError('corrupt', 'Cannot read the archive: it ends within an entry');
    const taken = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(taken.length);
    return taken;
  }

  async readExactly(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let left = length; left > 0; left -= parts.at(-1)!.length) parts.push(await this.readSome(left));
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** The next block; undefined at the end of the stream, where an archive may end without its zero blocks. */
  async readHeader(): Promise<Uint8Array | undefined> {
    return (await this.#fill()) ? await this.readExactly(blockBytes) : undefined;
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.readSome(left)).length;
  }

  async skipRest(): Promise<void> {
    while (await this.#fill()) this.#chunk = new Uint8Array();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString('utf8').replace(/\0.*$/s, '');
}
