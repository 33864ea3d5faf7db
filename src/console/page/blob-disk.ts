// A disk that is only read, from a file that a person chose: the browser reads it piece by piece, as the guest asks.
import { type BlockBackend, sectorBytes } from '../../devices/block-backend.ts';
import { totalBytes } from '../../devices/buffers.ts';

export class BlobDisk implements BlockBackend {
  readonly bytes: number;
  readonly readOnly = true;
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.bytes = blob.size - (blob.size % sectorBytes);
  }

  async read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    const found = new Uint8Array(await this.#blob.slice(offset, offset + totalBytes(into)).arrayBuffer());
    let at = 0;
    for (const buffer of into) {
      buffer.set(found.subarray(at, at + buffer.length));
      at += buffer.length;
    }
  }

  write(): never {
    throw new Error('the disk is only read');
  }

  zero(): never {
    throw new Error('the disk is only read');
  }

  flush(): void {}

  close(): void {}
}
