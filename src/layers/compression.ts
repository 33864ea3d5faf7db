// Compressed streams, told by their first bytes. One pass: what is read is given out as soon as it is unpacked.
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { HolmError } from '../base/error.ts';
import type { ArchiveLimits } from './limits.ts';

export type Compression = 'none' | 'gzip' | 'zstd';
type Chunks = AsyncIterable<Uint8Array>;

const magics: readonly { name: Compression | 'xz' | 'bzip2'; bytes: readonly number[] }[] = [
  { name: 'gzip', bytes: [0x1f, 0x8b] },
  { name: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
];

/** Tells the compression by a stream's first bytes. Throws `unsupported` for those that holm does not read. */
export function detectCompression(head: Uint8Array): Compression {
  const name = magics.find(({ bytes }) => bytes.every((byte, at) => head[at] === byte))?.name ?? 'none';
  if (name === 'xz' || name === 'bzip2')
    throw new HolmError('unsupported', `Cannot read an archive compressed with ${name}: only gzip and zstd are read`);
  return name;
}

/** Reads at least `length` bytes (fewer at the end of the stream) and gives them and the whole stream again. */
export async function peek(source: Chunks, length: number): Promise<{ head: Uint8Array; whole: Chunks }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  let ended = false;
  while (size < length) {
    const next = await iterator.next();
    if (next.done === true) {
      ended = true;
      break;
    }
    first.push(next.value);
    size += next.value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    let finished = ended;
    try {
      yield* first;
      while (!finished) {
        const next = await iterator.next();
        if (next.done === true) finished = true;
        else yield next.value;
      }
    } finally {
      if (!finished) await iterator.return?.();
    }
  }
  return { head: first.length === 1 ? first[0]! : Buffer.concat(first), whole: whole() };
}

/** The uncompressed stream. Throws `corrupt` for damage and for an early end, `invalid` beyond the limits. */
export async function* decompress(source: Chunks, compression: Compression, limits: ArchiveLimits): Chunks {
  let taken = 0;
  let given = 0;
  async function* counted(): Chunks {
    for await (const chunk of source) {
      taken += chunk.length;
      yield chunk;
    }
  }
  const plain = compression === 'none' ? counted() : expand(counted(), compression);
  for await (const chunk of plain) {
    given += chunk.length;
    if (given > limits.mostBytes) {
      throw new HolmError('invalid', `Cannot read the archive: it is larger than ${limits.mostBytes} bytes unpacked`);
    }
    if (given > limits.ratioFromBytes && given > taken * limits.mostRatio) {
      throw new HolmError(
        'invalid',
        `Cannot read the archive: ${taken} bytes of it unpack to more than ${given}, over ${limits.mostRatio} to one`,
      );
    }
    yield chunk;
  }
}

async function* expand(source: Chunks, compression: 'gzip' | 'zstd'): Chunks {
  const chunkSize = 256 * 1024;
  const unpacker: Transform =
    compression === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize });
  let failure: unknown;
  const feeding = pipeline(source, unpacker).catch((error: unknown) => {
    failure ??= error;
  });
  try {
    for await (const chunk of unpacker) yield chunk as Uint8Array;
  } catch (error) {
    failure ??= error;
  } finally {
    unpacker.destroy();
  }
  await feeding;
  if (failure instanceof HolmError) throw failure;
  if (failure !== undefined)
    throw new HolmError('corrupt', `Cannot read the archive: its ${compression} data is damaged or ends early`, {
      cause: failure,
    });
}
