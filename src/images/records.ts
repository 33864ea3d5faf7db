// The rows of images in holm's database: which images there are, what they are called, and which blob holds which layer.
// Every change is one transaction.
import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../base/digest.ts';

export interface ImageRecord {
  readonly id: Digest;
  readonly manifest: Digest;
  readonly manifestType: string;
  readonly manifestBytes: number;
  /** The configuration's JSON, word by word. */
  readonly config: string;
  /** The index of several platforms that the image was taken from, if all of it is kept. */
  readonly index: Digest | null;
  /** Removed by force while a stopped container has it as its root: unseen, and gone when that container is. */
  readonly hidden: boolean;
}

export interface ReferenceRecord {
  /** In full: "docker.io/library/debian:bookworm". */
  readonly reference: string;
  readonly image: Digest;
  readonly taggedAt: bigint;
}

/** A stored blob that was seen to hold the layer with this diff id. */
export interface LayerRecord {
  readonly blob: Digest;
  readonly diffId: Digest;
}

const schema = `
  create table if not exists images (
    id text primary key,
    manifest text not null,
    manifest_type text not null,
    manifest_bytes integer not null,
    config text not null,
    image_index text,
    hidden integer not null default 0
  ) strict;
  create table if not exists image_references (
    reference text primary key,
    image text not null references images (id),
    tagged_at integer not null
  ) strict;
  create table if not exists layers (
    blob text primary key,
    diff_id text not null
  ) strict;
`;

export class ImageRecords {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(schema);
  }

  images(): readonly ImageRecord[] {
    const rows = this.#database.prepare('select * from images order by rowid').all();
    return rows.map((row) => ({
      id: row.id as Digest,
      manifest: row.manifest as Digest,
      manifestType: row.manifest_type as string,
      manifestBytes: row.manifest_bytes as number,
      config: row.config as string,
      index: row.image_index as Digest | null,
      hidden: row.hidden === 1,
    }));
  }

  references(): readonly ReferenceRecord[] {
    const query = this.#database.prepare('select reference, image, tagged_at from image_references order by reference');
    query.setReadBigInts(true);
    return query.all().map((row) => ({
      reference: row.reference as string,
      image: row.image as Digest,
      taggedAt: row.tagged_at as bigint,
    }));
  }

  diffIdOf(blob: Digest): Digest | undefined {
    return this.#database.prepare('select diff_id from layers where blob = ?').get(blob)?.diff_id as Digest | undefined;
  }

  /** Adds the image, or shows it again, with what is known of its blobs and these further names. */
  insert(image: ImageRecord, layers: readonly LayerRecord[], references: readonly ReferenceRecord[]): void {
    this.#transact(() => {
      this.#database
        .prepare(
          `insert into images (id, manifest, manifest_type, manifest_bytes, config, image_index, hidden)
           values (?, ?, ?, ?, ?, ?, 0)
           on conflict (id) do update set hidden = 0`,
        )
        .run(image.id, image.manifest, image.manifestType, image.manifestBytes, image.config, image.index);
      const layer = this.#database.prepare('insert or replace into layers (blob, diff_id) values (?, ?)');
      for (const { blob, diffId } of layers) layer.run(blob, diffId);
      for (const reference of references) this.#setReference(reference);
    });
  }

  setReference(reference: ReferenceRecord): void {
    this.#transact(() => this.#setReference(reference));
  }

  #setReference({ reference, image, taggedAt }: ReferenceRecord): void {
    this.#database
      .prepare('insert or replace into image_references (reference, image, tagged_at) values (?, ?, ?)')
      .run(reference, image, taggedAt);
  }

  /** Takes these names away, and the image itself if it is to be removed or hidden. */
  remove(references: readonly string[], image?: { readonly id: Digest; readonly hide: boolean }): void {
    this.#transact(() => {
      const untag = this.#database.prepare('delete from image_references where reference = ?');
      for (const reference of references) untag.run(reference);
      if (image === undefined) return;
      const change = image.hide ? 'update images set hidden = 1 where id = ?' : 'delete from images where id = ?';
      this.#database.prepare(change).run(image.id);
    });
  }

  forgetBlobs(blobs: readonly Digest[]): void {
    this.#transact(() => {
      const forget = this.#database.prepare('delete from layers where blob = ?');
      for (const blob of blobs) forget.run(blob);
    });
  }

  #transact(work: () => void): void {
    this.#database.exec('begin immediate');
    try {
      work();
      this.#database.exec('commit');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }
}
