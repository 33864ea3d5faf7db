// Records, memory, the layout's index, unpacked layers and blobs, kept in line with each other: the records are changed first,
// and all else follows from them. The caller holds the one lock.
import type { Digest } from '../base/digest.ts';
import { log } from '../base/log.ts';
import { mediaTypes, parseManifest } from '../content/oci.ts';
import type { TakenLayer } from '../layers/intake.ts';
import { placeLayers, type StoredImage } from './admission.ts';
import type { Stores } from './archive.ts';
import type { Catalogue } from './catalogue.ts';
import type { Image } from './image.ts';
import type { ImageRecords } from './records.ts';
import { formatReference, parseReference, type Reference } from './reference.ts';
import type { ImageUser } from './removal.ts';

export class Inventory {
  readonly #stores: Stores;
  readonly #records: ImageRecords;
  readonly #catalogue: Catalogue;
  readonly #usersOf: (id: Digest) => readonly ImageUser[];

  constructor(
    stores: Stores,
    records: ImageRecords,
    catalogue: Catalogue,
    usersOf: (id: Digest) => readonly ImageUser[],
  ) {
    this.#stores = stores;
    this.#records = records;
    this.#catalogue = catalogue;
    this.#usersOf = usersOf;
  }

  /** Adds an image whose blobs are stored and kept by a lease. Before the records name it, there is none. */
  async add(
    stored: StoredImage,
    references: readonly Reference[],
    takenWith: (diffId: Digest) => readonly TakenLayer[],
    taggedAt: bigint,
  ): Promise<void> {
    await placeLayers(stored, this.#stores, takenWith);
    const image = stored.record.id;
    const names = references.map((reference) => ({ reference: formatReference(reference), image, taggedAt }));
    this.#records.insert(stored.record, stored.layers, names);
    await this.publish();
  }

  async tag(image: Image, reference: Reference, taggedAt: bigint): Promise<void> {
    this.#records.setReference({ reference: formatReference(reference), image: image.id, taggedAt });
    await this.publish();
  }

  /** Takes names away, and the image; gives the layers that go with it, topmost first. What is freed goes with collect(). */
  async remove(image: Image, untagged: readonly string[], deleted: boolean): Promise<readonly Digest[]> {
    const names = untagged.map((name) => formatReference(parseReference(name)));
    const hide = this.#usersOf(image.id).length > 0;
    this.#records.remove(names, deleted ? { id: image.id, hide } : undefined);
    await this.publish();
    const needed = this.#catalogue.neededLayers();
    const gone = image.layers.map(({ chainId }) => chainId).filter((chainId) => !needed.has(chainId));
    return gone.toReversed();
  }

  /** Makes what the records say visible: in memory, and to other tools through the layout's index. */
  async publish(): Promise<void> {
    this.#catalogue.refresh(this.#records);
    const images = this.#catalogue.all();
    const entries = images.map(({ record }) => ({
      descriptor: { mediaType: record.manifestType, digest: record.manifest, size: record.manifestBytes },
      references: this.#catalogue.find(record.id)?.references ?? [],
    }));
    for (const digest of new Set(images.flatMap(({ record }) => record.index ?? []))) {
      const size = await this.#stores.content.sizeOf(digest);
      if (size !== undefined)
        entries.push({ descriptor: { mediaType: mediaTypes.index, digest, size }, references: [] });
    }
    await this.#stores.content.setIndex(entries);
  }

  /** Removes the hidden images whose containers are gone too; gives whether there were any. */
  dropHidden(): boolean {
    const idle = this.#catalogue.all().filter(({ record }) => record.hidden && this.#usersOf(record.id).length === 0);
    for (const { record } of idle) this.#records.remove([], { id: record.id, hide: false });
    return idle.length > 0;
  }

  /** Removes what no image needs any more: unpacked layers and blobs. */
  async collect(): Promise<void> {
    await this.publish();
    const needed = this.#catalogue.neededLayers();
    const idle = this.#stores.layers.list().filter(({ chainId }) => !needed.has(chainId));
    await Promise.all(idle.map(({ chainId }) => this.#stores.layers.remove(chainId)));
    this.#records.forgetBlobs((await this.#stores.content.collect()).removed);
  }

  /** After an interruption: unpacks again what images lack, removes what belongs to none. */
  async recover(): Promise<void> {
    this.#catalogue.refresh(this.#records);
    for (const { record, config } of this.#catalogue.all()) {
      try {
        const manifest = parseManifest(await this.#stores.content.readJson(record.manifest), record.manifest);
        const layers = manifest.layers.map(({ digest }, at) => ({ blob: digest, diffId: config.diffIds[at]! }));
        await placeLayers({ config, layers }, this.#stores, () => []);
      } catch (error) {
        log('error', 'Cannot use an image: a part of it is lost', { image: record.id, error });
      }
    }
    await this.collect();
  }
}
