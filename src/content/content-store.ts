// All blobs, in an OCI image layout on disk (OCI image-spec, image-layout.md) that other tools can read at any time.
// A blob lives while the index names it, directly or through a manifest, or while a lease keeps it.
import { createReadStream } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { HolmError, hasCode } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { type Blob, type BlobExpectation, BlobWriter } from './blob-writer.ts';
import { replaceFile, syncDirectory } from './durable.ts';
import { Lease, LeasedDigests } from './lease.ts';
import {
  type Descriptor,
  isIndexType,
  isManifestType,
  mediaTypes,
  mostDocumentBytes,
  parseIndex,
  parseJsonObject,
  parseManifest,
  referenceAnnotation,
} from './oci.ts';

/** One image of the index: its manifest under each of its names, or without one. */
export interface IndexEntry {
  readonly descriptor: Descriptor;
  readonly references: readonly string[];
}

/** Indexes within indexes deeper than this are not followed. */
const mostDepth = 4;

export class ContentStore {
  readonly directory: string;
  readonly #leased = new LeasedDigests();
  readonly #locks = new Locks();

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Opens the layout, making it when absent; what an interrupted write left is removed. */
  static async open(directory: string): Promise<ContentStore> {
    const store = new ContentStore(directory);
    await mkdir(store.#blobs, { recursive: true });
    await rm(store.#ingest, { recursive: true, force: true });
    await mkdir(store.#ingest);
    for (const file of await readdir(directory)) if (file.endsWith('.new')) await rm(join(directory, file));
    const layout = join(directory, 'oci-layout');
    if (!(await exists(layout))) await replaceFile(layout, '{"imageLayoutVersion":"1.0.0"}\n');
    if (!(await exists(store.#index))) await store.setIndex([]);
    return store;
  }

  /** Keeps blobs from being collected until it is disposed. */
  acquire(): Lease {
    return new Lease(this.#leased);
  }

  /** Opens a blob for writing; the lease keeps it from the instant it has its name. */
  createBlob(lease: Lease, expectation: BlobExpectation = {}): Promise<BlobWriter> {
    return BlobWriter.open(this.#ingest, expectation, (path, blob) =>
      this.#locks.hold('blobs', async () => {
        lease.keep(blob.digest);
        if ((await this.sizeOf(blob.digest)) === blob.size) return;
        await rename(path, this.pathOf(blob.digest));
        await syncDirectory(this.#blobs);
      }),
    );
  }

  /** Keeps a stored blob; false when it is not stored (it is kept from its storing on then). */
  keepBlob(lease: Lease, digest: Digest): Promise<boolean> {
    return this.#locks.hold('blobs', () => {
      lease.keep(digest);
      return this.hasBlob(digest);
    });
  }

  /** Stores all of a stream. Throws `corrupt` and leaves nothing when it is not what was expected. */
  async writeBlob(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    lease: Lease,
    expectation: BlobExpectation = {},
  ): Promise<Blob> {
    await using writer = await this.createBlob(lease, expectation);
    for await (const chunk of source) await writer.write(chunk);
    return await writer.commit();
  }

  pathOf(digest: Digest): string {
    return join(this.#blobs, hexOf(digest));
  }

  /** The blob's bytes in large chunks; its digest is not checked again. */
  readBlob(digest: Digest): Readable {
    return createReadStream(this.pathOf(digest), { highWaterMark: 1024 * 1024 });
  }

  /** A small blob, checked against its digest. */
  async readDocument(digest: Digest): Promise<Buffer> {
    const size = await this.sizeOf(digest);
    if (size === undefined) throw new HolmError('notFound', `Cannot read blob "${digest}": it is not stored`);
    if (size > mostDocumentBytes)
      throw new HolmError('corrupt', `Cannot read blob "${digest}": ${size} bytes are too many for a document`);
    const bytes = await readFile(this.pathOf(digest));
    if (digestOf(bytes) !== digest)
      throw new HolmError('corrupt', `Cannot read blob "${digest}": its content on disk has changed`);
    return bytes;
  }

  async readJson(digest: Digest): Promise<Record<string, unknown>> {
    return parseJsonObject(await this.readDocument(digest), `blob "${digest}"`);
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return (await this.sizeOf(digest)) !== undefined;
  }

  /** Bytes of a stored blob; undefined when it is not stored. */
  async sizeOf(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(digest))).size;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async removeBlob(digest: Digest): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  /** Replaces index.json at once. */
  setIndex(entries: readonly IndexEntry[]): Promise<void> {
    const manifests = entries.flatMap(({ descriptor, references }) =>
      references.length === 0
        ? [descriptor]
        : references.map((name) => ({
            ...descriptor,
            annotations: { ...descriptor.annotations, [referenceAnnotation]: name },
          })),
    );
    const text = `${JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests })}\n`;
    return this.#locks.hold('index', async () => {
      if ((await readFile(this.#index, 'utf8').catch(() => '')) !== text) await replaceFile(this.#index, text);
    });
  }

  /** Removes every blob that neither the index nor a lease names; gives what was freed. */
  collect(): Promise<{ removed: readonly Digest[]; bytes: number }> {
    return this.#locks.hold('index', async () => {
      const named = new Set<Digest>();
      const index = parseIndex(parseJsonObject(await readFile(this.#index), 'index.json'), 'index.json');
      for (const descriptor of index.manifests) await this.#mark(descriptor, named, 0);
      const removed: Digest[] = [];
      let bytes = 0;
      for (const file of await readdir(this.#blobs)) {
        const digest = `sha256:${file}` as Digest;
        if (named.has(digest)) continue;
        await this.#locks.hold('blobs', async () => {
          if (this.#leased.has(digest)) return;
          bytes += (await this.sizeOf(digest)) ?? 0;
          await this.removeBlob(digest);
          removed.push(digest);
        });
      }
      return { removed, bytes };
    });
  }

  async #mark(descriptor: Descriptor, named: Set<Digest>, depth: number): Promise<void> {
    if (named.has(descriptor.digest)) return;
    named.add(descriptor.digest);
    const title = `blob "${descriptor.digest}"`;
    if (isManifestType(descriptor.mediaType)) {
      if (!(await this.hasBlob(descriptor.digest))) return;
      const manifest = parseManifest(await this.readJson(descriptor.digest), title);
      for (const part of [manifest.config, ...manifest.layers]) named.add(part.digest);
    } else if (isIndexType(descriptor.mediaType) && depth < mostDepth) {
      if (!(await this.hasBlob(descriptor.digest))) return;
      const index = parseIndex(await this.readJson(descriptor.digest), title);
      for (const child of index.manifests) await this.#mark(child, named, depth + 1);
    }
  }

  get #blobs(): string {
    return join(this.directory, 'blobs', 'sha256');
  }

  get #ingest(): string {
    return join(this.directory, 'ingest');
  }

  get #index(): string {
    return join(this.directory, 'index.json');
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
