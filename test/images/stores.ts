// For the tests of images: all stores in a directory of their own, upon the real keeper.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { ContentStore } from '../../src/content/content-store.ts';
import { Images } from '../../src/images/images.ts';
import { openKeeper } from '../../src/kernel/keeper.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { LayerStore } from '../../src/layers/layer-store.ts';
import { type ArchiveLimits, defaultLimits } from '../../src/layers/limits.ts';

const keeper = fileURLToPath(new URL('../../build/holm-keeper', import.meta.url));

export class TestStores implements AsyncDisposable {
  readonly directory: string;
  readonly kernel: Kernel;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly images: Images;
  readonly #database: DatabaseSync;

  private constructor(
    directory: string,
    kernel: Kernel,
    content: ContentStore,
    layers: LayerStore,
    images: Images,
    database: DatabaseSync,
  ) {
    this.directory = directory;
    this.kernel = kernel;
    this.content = content;
    this.layers = layers;
    this.images = images;
    this.#database = database;
  }

  /** Opens the stores in the directory, or in a fresh one. */
  static async open(directory?: string, limits: Partial<ArchiveLimits> = {}): Promise<TestStores> {
    const where = directory ?? (await mkdtemp(join(tmpdir(), 'holm-test-images-')));
    await mkdir(where, { recursive: true });
    const kernel = await openKeeper(keeper, join(where, 'keeper.sock'));
    const content = await ContentStore.open(join(where, 'content'));
    const layers = await LayerStore.open(join(where, 'layers'), kernel, { ...defaultLimits, ...limits });
    const database = new DatabaseSync(join(where, 'holm.db'));
    database.exec('pragma journal_mode = wal');
    const images = await Images.open({ content, layers, database, usersOf: () => [] });
    return new TestStores(where, kernel, content, layers, images, database);
  }

  /** Names of all blobs, unpacked layers and files under way. */
  async rest(): Promise<readonly string[]> {
    const places = ['content/blobs/sha256', 'content/ingest', 'layers'];
    return (await Promise.all(places.map((place) => readdir(join(this.directory, place))))).flat();
  }

  async close(): Promise<void> {
    await this.layers.synced();
    this.#database.close();
    await this.kernel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true });
  }
}
