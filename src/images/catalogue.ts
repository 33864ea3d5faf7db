// The images in memory, as the records say: reading never waits. Written only after the database was.
import type { Digest } from '../base/digest.ts';
import { chainIdsOf } from '../layers/chain.ts';
import type { LayerStore } from '../layers/layer-store.ts';
import { type ImageConfig, parseConfig } from './config.ts';
import type { Image, ImageLayer } from './image.ts';
import type { Directory } from './lookup.ts';
import type { ImageRecord, ImageRecords, ReferenceRecord } from './records.ts';
import { familiarName, parseReference } from './reference.ts';

interface Known {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  readonly chainIds: readonly Digest[];
}

export class Catalogue implements Directory {
  readonly #layers: LayerStore;
  #known = new Map<Digest, Known>();
  #images = new Map<Digest, Image>();
  #named = new Map<string, Digest>();

  constructor(layers: LayerStore) {
    this.#layers = layers;
  }

  /** Takes over what the records say now. */
  refresh(records: ImageRecords): void {
    const references = records.references();
    const known = new Map<Digest, Known>();
    for (const record of records.images()) {
      const before = this.#known.get(record.id);
      const config = before?.config ?? parseConfig(record.config, `the configuration "${record.id}"`);
      known.set(record.id, { record, config, chainIds: before?.chainIds ?? chainIdsOf(config.diffIds) });
    }
    const byImage = Map.groupBy(references, ({ image }) => image);
    this.#known = known;
    this.#named = new Map(references.map(({ reference, image }) => [reference, image]));
    this.#images = new Map(
      [...known.values()]
        .filter(({ record }) => !record.hidden)
        .map((one) => [one.record.id, this.#imageOf(one, byImage.get(one.record.id) ?? [])]),
    );
  }

  #imageOf({ record, config, chainIds }: Known, references: readonly ReferenceRecord[]): Image {
    const layers = config.diffIds.map((diffId, at): ImageLayer => {
      const chainId = chainIds[at]!;
      return { diffId, chainId, sizeBytes: this.#layers.find(chainId)?.sizeBytes ?? 0 };
    });
    const times = references.map(({ taggedAt }) => taggedAt);
    const tagged = times.toSorted((a, b) => (a < b ? -1 : 1)).at(-1);
    return {
      id: record.id,
      manifest: record.manifest,
      platform: config.platform,
      createdAt: config.createdAt,
      author: config.author,
      comment: config.comment,
      defaults: config.defaults,
      layers,
      history: config.history,
      references: references.map(({ reference }) => familiarName(parseReference(reference))),
      sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      ...(tagged === undefined ? {} : { taggedAt: tagged }),
    };
  }

  list(): readonly Image[] {
    return [...this.#images.values()];
  }

  find(id: Digest): Image | undefined {
    return this.#images.get(id);
  }

  named(reference: string): Image | undefined {
    const id = this.#named.get(reference);
    return id === undefined ? undefined : this.#images.get(id);
  }

  record(id: Digest): ImageRecord | undefined {
    return this.#known.get(id)?.record;
  }

  /** All images, hidden ones too, with their configurations. */
  all(): readonly Known[] {
    return [...this.#known.values()];
  }

  /** The unpacked layers that any image needs. */
  neededLayers(): ReadonlySet<Digest> {
    return new Set([...this.#known.values()].flatMap(({ chainIds }) => chainIds));
  }
}
