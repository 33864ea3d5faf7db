// Volumes of the local driver: a directory each, <state>/volumes/<name>/_data, and a record. Record first, directory after.
import { mkdirSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { nowNanos } from '../base/clock.ts';
import { decodeRecord, encodeRecord } from '../base/database.ts';
import { HolmError } from '../base/error.ts';
import { createId } from '../base/id.ts';
import type { Volume } from './volume.ts';

const nameShape = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export interface VolumeRequest {
  /** Empty for an anonymous volume. */
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export class Volumes {
  readonly #database: DatabaseSync;
  readonly #directory: string;
  readonly #usersOf: (name: string) => readonly string[];
  readonly #tell: (volume: Volume, action: string) => void;
  readonly #byName = new Map<string, Volume>();

  /** `usersOf` names the containers that use a volume. */
  constructor(
    database: DatabaseSync,
    directory: string,
    usersOf: (name: string) => readonly string[],
    tell: (volume: Volume, action: string) => void,
  ) {
    this.#database = database;
    this.#directory = directory;
    this.#usersOf = usersOf;
    this.#tell = tell;
    database.exec('create table if not exists volumes (name text primary key, record text not null) strict');
    for (const row of database.prepare('select record from volumes').all()) {
      const volume = decodeRecord<Volume>(row.record as string);
      this.#byName.set(volume.name, volume);
    }
  }

  list(): readonly Volume[] {
    return [...this.#byName.values()];
  }

  find(name: string): Volume | undefined {
    return this.#byName.get(name);
  }

  get(name: string): Volume {
    const volume = this.#byName.get(name);
    if (volume === undefined) throw new HolmError('notFound', `get ${name}: no such volume`);
    return volume;
  }

  /** Gives the volume of that name, made if there is none. */
  async create(request: VolumeRequest): Promise<Volume> {
    const name = request.name || createId();
    const existing = this.#byName.get(name);
    if (existing !== undefined) return existing;
    if (!nameShape.test(name) || name.length < 2) {
      throw new HolmError(
        'invalid',
        `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      );
    }
    if (request.driver !== '' && request.driver !== 'local') {
      throw new HolmError(
        'notFound',
        `create ${name}: error looking up volume plugin ${request.driver}: plugin "${request.driver}" not found`,
      );
    }
    const unknown = Object.keys(request.options)[0];
    if (unknown !== undefined) throw new HolmError('invalid', `create ${name}: invalid option: "${unknown}"`);
    const volume: Volume = {
      name,
      driver: 'local',
      path: `${this.#directory}/${name}/_data`,
      createdAt: nowNanos(),
      labels: request.labels,
      options: request.options,
      anonymous: request.name === '',
    };
    this.#database
      .prepare('insert or replace into volumes (name, record) values (?, ?)')
      .run(name, encodeRecord(volume));
    mkdirSync(volume.path, { recursive: true, mode: 0o755 });
    this.#byName.set(name, volume);
    this.#tell(volume, 'create');
    return volume;
  }

  async remove(name: string, options: { force: boolean }): Promise<void> {
    const volume = this.#byName.get(name);
    if (volume === undefined) {
      if (options.force) return;
      throw new HolmError('notFound', `get ${name}: no such volume`);
    }
    const users = this.#usersOf(name);
    if (users.length > 0) throw new HolmError('conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`);
    this.#byName.delete(name);
    // The directory goes first: a record without a directory is made whole by recover, a directory without a record is lost.
    try {
      await rm(`${this.#directory}/${name}`, { recursive: true, force: true });
    } catch (error) {
      this.#byName.set(name, volume);
      throw error;
    }
    this.#database.prepare('delete from volumes where name = ?').run(name);
    this.#tell(volume, 'destroy');
  }

  /** Removes volumes that no container uses: the anonymous ones, or with `all` the named ones too. */
  async prune(
    options: { all: boolean },
    keep: (volume: Volume) => boolean,
  ): Promise<{ removed: readonly string[]; bytes: number }> {
    const removed: string[] = [];
    let bytes = 0;
    for (const volume of this.list()) {
      if ((!options.all && !volume.anonymous) || keep(volume) || this.#usersOf(volume.name).length > 0) continue;
      bytes += await this.sizeBytes(volume.name);
      await this.remove(volume.name, { force: true });
      removed.push(volume.name);
    }
    return { removed, bytes };
  }

  sizeBytes(name: string): Promise<number> {
    return treeBytes(this.get(name).path);
  }

  /** Makes the directories that a crash left out. */
  recover(): void {
    for (const volume of this.#byName.values()) mkdirSync(volume.path, { recursive: true, mode: 0o755 });
  }
}

/** Bytes of all files in a tree; links are not followed, what vanishes meanwhile counts nothing. */
export async function treeBytes(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += await stat(`${entry.parentPath}/${entry.name}`).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
