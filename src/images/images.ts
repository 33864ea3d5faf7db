// The images of this host. The database says which there are; blobs and unpacked layers without an image are garbage, which
// recover() removes. One writer at a time; reading is from memory.

import type { DatabaseSync } from 'node:sqlite';
import type { Readable } from 'node:stream';
import { nowNanos } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { log } from '../base/log.ts';
import { type Manifest, parseManifest } from '../content/oci.ts';
import { type TakenLayer, takeLayer } from '../layers/intake.ts';
import { layerTypeOf, type NewImage, type StoredImage, storeDocuments } from './admission.ts';
import { Archive, type Stores } from './archive.ts';
import { imagesOf } from './archive-images.ts';
import { Catalogue } from './catalogue.ts';
import { applyChanges } from './changes.ts';
import { formatConfig, noDefaults } from './config.ts';
import type { Image, ImageDefaults, Platform } from './image.ts';
import { Inventory } from './inventory.ts';
import { getImage, imagesMeant } from './lookup.ts';
import { hostPlatform, parsePlatform } from './platform.ts';
import { type LayerProgress, layerProgress } from './progress.ts';
import { ImageRecords } from './records.ts';
import { familiarName, parseReference, type Reference, withTag } from './reference.ts';
import { type ImageUser, planRemoval } from './removal.ts';
import { type SavedImage, saveImages } from './save.ts';

export type ImageAction = 'load' | 'import' | 'commit' | 'tag' | 'untag' | 'delete' | 'save';
export type Removed = { untagged: string } | { deleted: string };

export interface ImagesOptions extends Stores {
  readonly database: DatabaseSync;
  /** The containers that have the image as their root. */
  readonly usersOf: (id: Digest) => readonly ImageUser[];
  /** Told after the fact: what was done, to which image, and the name that was given. */
  readonly onEvent?: (action: ImageAction, id: Digest, name: string) => void;
  readonly now?: () => bigint;
}

/** An image that is made of a tar, upon another image or upon nothing. */
export interface CreateOptions {
  readonly parent?: Image;
  /** Plain or compressed. */
  readonly layer: AsyncIterable<Uint8Array>;
  readonly defaults: ImageDefaults;
  readonly platform?: Platform;
  readonly author?: string;
  readonly comment?: string;
  readonly createdBy?: string;
  readonly createdAt?: bigint;
  readonly reference?: string;
}

export class Images {
  readonly #stores: Stores;
  readonly #records: ImageRecords;
  readonly #catalogue: Catalogue;
  readonly #inventory: Inventory;
  readonly #usersOf: ImagesOptions['usersOf'];
  readonly #tell: NonNullable<ImagesOptions['onEvent']>;
  readonly #now: () => bigint;
  readonly #locks = new Locks();

  private constructor(options: ImagesOptions) {
    this.#stores = { content: options.content, layers: options.layers };
    this.#records = new ImageRecords(options.database);
    this.#catalogue = new Catalogue(options.layers);
    this.#inventory = new Inventory(this.#stores, this.#records, this.#catalogue, options.usersOf);
    this.#usersOf = options.usersOf;
    this.#tell = options.onEvent ?? (() => undefined);
    this.#now = options.now ?? nowNanos;
  }

  /** Opens the images and brings the stores in line with the records. */
  static async open(options: ImagesOptions): Promise<Images> {
    const images = new Images(options);
    await images.recover();
    return images;
  }

  list(): readonly Image[] {
    return this.#catalogue.list();
  }

  /** By name, name@digest, id or a unique beginning of an id. */
  get(reference: string): Image {
    return getImage(this.#catalogue, reference);
  }

  /** The image by its id, undefined when there is none. */
  find(id: Digest): Image | undefined {
    return this.#catalogue.find(id);
  }

  /** Reads a docker archive or an OCI layout as a tar, plain or compressed; gives what was loaded: a name or an id each. */
  async load(archive: Readable, onProgress: (progress: LayerProgress) => void): Promise<readonly string[]> {
    await using undo = this.#collecting();
    using lease = this.#stores.content.acquire();
    await using read = await Archive.read(archive, this.#stores, lease, layerProgress(onProgress));
    const loaded: string[] = [];
    for (const image of imagesOf(read)) {
      const known = (blob: Digest): Digest | undefined => read.diffIdOf(blob) ?? this.#records.diffIdOf(blob);
      const stored = await storeDocuments(image, this.#stores, lease, known);
      const added = await this.#add(stored, image.references, (diffId) => read.layersOf(diffId));
      const names = image.references.map((reference) => familiarName(reference));
      loaded.push(...(names.length === 0 ? [added.id] : names));
      this.#tell('load', added.id, names[0] ?? added.id);
    }
    undo.move();
    return loaded;
  }

  /** Writes a docker archive that is an OCI layout too. A name without a tag stands for all its tags. */
  async save(references: readonly string[]): Promise<Readable> {
    const meant = references.flatMap((text) => imagesMeant(this.#catalogue, text));
    const names = new Map(meant.map(({ image }) => [image.id, new Set<string>()]));
    for (const { image, name } of meant) if (name !== undefined) names.get(image.id)!.add(name);
    const saved: SavedImage[] = [];
    const lease = this.#stores.content.acquire();
    try {
      for (const [id, its] of names) {
        const image = this.get(id);
        const manifest = await this.manifestOf(image);
        for (const digest of [image.manifest, id, ...manifest.layers.map((layer) => layer.digest)]) lease.keep(digest);
        const { manifestBytes } = this.#catalogue.record(id)!;
        saved.push({ image, manifest, manifestBytes, references: [...its].sort() });
      }
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
    for (const { image, references: its } of saved) this.#tell('save', image.id, its[0] ?? image.id);
    return saveImages(saved, this.#stores.content, () => lease[Symbol.dispose]());
  }

  /** The stored manifest of an image. */
  async manifestOf(image: Image): Promise<Manifest> {
    return parseManifest(await this.#stores.content.readJson(image.manifest), `manifest "${image.manifest}"`);
  }

  /** Makes an image of one layer from a tar of a root file system, plain or compressed; gives its id. */
  async importRoot(
    tar: Readable,
    options: { reference?: string; message: string; changes: readonly string[]; platform?: string },
  ): Promise<string> {
    const image = await this.create(
      {
        layer: tar,
        defaults: applyChanges(noDefaults, options.changes),
        comment: options.message,
        ...(options.platform === undefined || options.platform === ''
          ? {}
          : { platform: parsePlatform(options.platform) }),
        ...(options.reference === undefined ? {} : { reference: options.reference }),
      },
      'import',
    );
    return image.id;
  }

  /** Makes an image of a parent's layers and one more; without a parent of that one alone. */
  async create(options: CreateOptions, action: ImageAction = 'commit'): Promise<Image> {
    const reference = options.reference === undefined ? undefined : withTag(parseReference(options.reference));
    const parentLayers = options.parent === undefined ? [] : (await this.manifestOf(options.parent)).layers;
    await using undo = this.#collecting();
    using lease = this.#stores.content.acquire();
    for (const { digest } of parentLayers) lease.keep(digest);
    const taken = await takeLayer(options.layer, this.#stores, lease);
    await using _staged = taken.staged;
    const createdAt = options.createdAt ?? this.#now();
    const author = options.author ?? '';
    const comment = options.comment ?? '';
    const config = formatConfig({
      platform: options.platform ?? options.parent?.platform ?? hostPlatform(),
      createdAt,
      author,
      comment,
      defaults: options.defaults,
      diffIds: [...(options.parent?.layers.map(({ diffId }) => diffId) ?? []), taken.diffId],
      history: [
        ...(options.parent?.history ?? []),
        { createdAt, createdBy: options.createdBy ?? '', comment, author, emptyLayer: false },
      ],
    });
    const layer = { mediaType: layerTypeOf(taken.compression), ...taken.blob };
    const references = reference === undefined ? [] : [reference];
    const image: NewImage = { config, layers: [...parentLayers, layer], references };
    const known = (blob: Digest): Digest | undefined =>
      blob === taken.blob.digest ? taken.diffId : this.#records.diffIdOf(blob);
    const stored = await storeDocuments(image, this.#stores, lease, known);
    const added = await this.#add(stored, references, (diffId) => (diffId === taken.diffId ? [taken] : []));
    undo.move();
    this.#tell(action, added.id, reference === undefined ? added.id : familiarName(reference));
    return added;
  }

  #add(
    stored: StoredImage,
    references: readonly Reference[],
    takenWith: (diffId: Digest) => readonly TakenLayer[],
  ): Promise<Image> {
    return this.#locks.hold('images', async () => {
      await this.#inventory.add(stored, references, takenWith, this.#now());
      return this.get(stored.record.id);
    });
  }

  async tag(reference: string, target: string): Promise<void> {
    const parsed = parseReference(target);
    if (parsed.digest !== undefined) throw new HolmError('invalid', 'refusing to create a tag with a digest reference');
    const name = withTag(parsed);
    await this.#locks.hold('images', async () => {
      const image = this.get(reference);
      await this.#inventory.tag(image, name, this.#now());
      this.#tell('tag', image.id, familiarName(name));
    });
  }

  /** Takes a name away, and the image with its last one. Throws `conflict` in docker's words. */
  remove(reference: string, options: { force: boolean; prune: boolean }): Promise<readonly Removed[]> {
    return this.#locks.hold('images', async () => {
      const image = this.get(reference);
      const plan = planRemoval(image, reference, options, this.#usersOf(image.id));
      const removed = await this.#remove(image, plan.untagged, plan.deleted);
      await this.#inventory.collect();
      return removed;
    });
  }

  /** Removes the images that nothing needs: those without a name, or all that no container has. */
  prune(
    options: { danglingOnly: boolean },
    keep: (image: Image) => boolean,
  ): Promise<{ removed: readonly Removed[]; bytes: number }> {
    return this.#locks.hold('images', async () => {
      const doomed = this.list().filter(
        (image) =>
          !keep(image) &&
          this.#usersOf(image.id).length === 0 &&
          (!options.danglingOnly || image.references.length === 0),
      );
      const removed: Removed[] = [];
      const before = this.#layersBytes();
      for (const image of doomed) removed.push(...(await this.#remove(image, image.references, true)));
      await this.#inventory.collect();
      return { removed, bytes: before - this.#layersBytes() };
    });
  }

  #layersBytes(): number {
    return this.#stores.layers.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async #remove(image: Image, untagged: readonly string[], deleted: boolean): Promise<readonly Removed[]> {
    const layers = await this.#inventory.remove(image, untagged, deleted);
    for (const name of untagged) this.#tell('untag', image.id, name);
    if (deleted) this.#tell('delete', image.id, image.id);
    const gone = deleted ? [image.id, ...layers] : [];
    return [...untagged.map((name) => ({ untagged: name })), ...gone.map((digest) => ({ deleted: digest }))];
  }

  /** To be called when a container was removed, and once after the containers are known: lets go of images that only it kept. */
  collect(): Promise<void> {
    return this.#locks.hold('images', async () => {
      if (this.#inventory.dropHidden()) await this.#inventory.collect();
    });
  }

  /** Brings the stores in line with the records, whatever was interrupted. Asks nothing of the containers. */
  recover(): Promise<void> {
    return this.#locks.hold('images', () => this.#inventory.recover());
  }

  /** Collects garbage when disposed of: what failed work leaves. Taken before the lease, so that it runs after its release. */
  #collecting(): AsyncDisposableStack {
    const undo = new AsyncDisposableStack();
    undo.defer(() =>
      this.#locks
        .hold('images', () => this.#inventory.collect())
        .catch((error: unknown) => log('error', 'Cannot remove what failed work has left', { error })),
    );
    return undo;
  }
}
