// One blob on its way to disk: hashed as it passes, gathered into large writes, synced, and only then given its name.
// A blob that is not committed leaves nothing.
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';

export interface Blob {
  readonly digest: Digest;
  readonly size: number;
}

export interface BlobExpectation {
  readonly expectedDigest?: Digest;
  readonly expectedSize?: number;
}

/** Gives the finished file its name, unless the same blob is there already. */
export type Settle = (path: string, blob: Blob) => Promise<void>;

const batchBytes = 1024 * 1024;
const batchChunks = 512;
/** So much is on its way to the disk while more comes in, so that little is left for the end. */
const syncBytes = 16 * 1024 * 1024;

export class BlobWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #expectation: BlobExpectation;
  readonly #settle: Settle;
  readonly #hash: Hash = createHash('sha256');
  #size = 0;
  #batch: Uint8Array[] = [];
  #batchSize = 0;
  #writing: Promise<void> | undefined;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;

  private constructor(file: FileHandle, path: string, expectation: BlobExpectation, settle: Settle) {
    this.#file = file;
    this.#path = path;
    this.#expectation = expectation;
    this.#settle = settle;
  }

  /** Opens a file in the directory `ingest`. */
  static async open(ingest: string, expectation: BlobExpectation, settle: Settle): Promise<BlobWriter> {
    const path = join(ingest, randomBytes(12).toString('hex'));
    return new BlobWriter(await open(path, 'wx', 0o644), path, expectation, settle);
  }

  /** Takes a chunk, which must not change afterwards. Gives a promise when the caller should wait before the next. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#size += chunk.length;
    if (this.#expectation.expectedSize !== undefined && this.#size > this.#expectation.expectedSize) {
      throw new HolmError(
        'corrupt',
        `Cannot store blob "${this.#title()}": it is longer than its ${this.#expectation.expectedSize} bytes`,
      );
    }
    this.#hash.update(chunk);
    this.#batch.push(chunk);
    this.#batchSize += chunk.length;
    if (this.#batchSize < batchBytes && this.#batch.length < batchChunks) return undefined;
    return this.#flush();
  }

  /** Syncs and names the blob. Throws `corrupt` when it is not what was expected. */
  async commit(): Promise<Blob> {
    const digest = `sha256:${this.#hash.digest('hex')}` as Digest;
    const { expectedDigest, expectedSize } = this.#expectation;
    if (expectedSize !== undefined && expectedSize !== this.#size) {
      throw new HolmError(
        'corrupt',
        `Cannot store blob "${this.#title()}": it has ${this.#size} bytes, not ${expectedSize}`,
      );
    }
    if (expectedDigest !== undefined && expectedDigest !== digest)
      throw new HolmError('corrupt', `Cannot store blob "${expectedDigest}": its content has the digest "${digest}"`);
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    await this.#file.datasync();
    await this.#settle(this.#path, { digest, size: this.#size });
    return { digest, size: this.#size };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing?.catch(() => undefined);
    await this.#syncing;
    await this.#file.close();
    await rm(this.#path, { force: true });
  }

  /** Starts writing the batch once the one before is on its way; resolves when that earlier one is done. */
  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchSize = 0;
    await this.#writing;
    const writing = writeAll(this.#file, batch);
    writing.catch(() => undefined);
    this.#writing = writing;
    this.#syncEarly(batch);
  }

  /** Errors show again at the end, when all is synced. */
  #syncEarly(batch: readonly Uint8Array[]): void {
    this.#unsynced += batch.reduce((bytes, chunk) => bytes + chunk.length, 0);
    if (this.#unsynced < syncBytes || this.#syncing !== undefined) return;
    this.#unsynced = 0;
    this.#syncing = this.#file
      .datasync()
      .catch(() => undefined)
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  #title(): string {
    return this.#expectation.expectedDigest ?? 'without a name yet';
  }
}

async function writeAll(file: FileHandle, chunks: Uint8Array[]): Promise<void> {
  let left = chunks;
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    let whole = 0;
    while (whole < left.length && bytesWritten >= left[whole]!.length) bytesWritten -= left[whole++]!.length;
    left = left.slice(whole);
    if (bytesWritten > 0) left[0] = left[0]!.subarray(bytesWritten);
  }
}
