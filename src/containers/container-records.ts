// The records of all containers: a row each in the database, a snapshot each in memory. Names are unique while they are held.
// What changes with every run (state, networks) has a column of its own, so that a start does not write the configuration again.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { decodeRecord, encodeRecord } from '../base/database.ts';
import { HolmError } from '../base/error.ts';
import type { Id } from '../base/id.ts';
import { log } from '../base/log.ts';
import type { Container } from './container.ts';

const runFields = ['state', 'endpoints', 'stoppedByUser', 'restartCount'] as const;
type RunField = (typeof runFields)[number];

export class ContainerRecords {
  readonly #byId = new Map<string, Container>();
  readonly #byName = new Map<string, Container>();
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #updateRun: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    database.exec(
      'create table if not exists containers (id text primary key, name text not null unique, record text not null, run text not null) strict',
    );
    this.#insert = database.prepare('insert into containers (id, name, record, run) values (?, ?, ?, ?)');
    this.#update = database.prepare('update containers set name = ?, record = ? where id = ?');
    this.#updateRun = database.prepare('update containers set run = ? where id = ?');
    this.#delete = database.prepare('delete from containers where id = ?');
    for (const row of database.prepare('select record, run from containers').iterate()) {
      const run = decodeRecord<Pick<Container, RunField>>(row.run as string);
      this.#remember({ ...decodeRecord<Container>(row.record as string), ...run });
    }
  }

  list(): readonly Container[] {
    return [...this.#byId.values()];
  }

  /** Finds by whole id, name, or unique beginning of an id; throws notFound or invalid. */
  get(reference: string): Container {
    const name = reference.startsWith('/') ? reference.slice(1) : reference;
    const exact = this.#byId.get(reference) ?? this.#byName.get(name);
    if (exact !== undefined) return exact;
    const matches = /^[0-9a-f]+$/.test(reference) ? this.list().filter(({ id }) => id.startsWith(reference)) : [];
    if (matches.length > 1) throw new HolmError('invalid', `multiple IDs found with provided prefix: ${reference}`);
    if (matches[0] === undefined) throw new HolmError('notFound', `No such container: ${reference}`);
    return matches[0];
  }

  findById(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  findByName(name: string): Container | undefined {
    return this.#byName.get(name);
  }

  insert(container: Container): void {
    this.#insert.run(container.id, container.name, encodeRecord(container), encodeRun(container));
    this.#remember(container);
  }

  /** Replaces a record by one with the same id. */
  update(id: Id, change: Partial<Container>): Container {
    const before = this.#byId.get(id);
    if (before === undefined) throw new HolmError('notFound', `No such container: ${id}`);
    const after = { ...before, ...change };
    const changed = Object.keys(change);
    // The configuration first: a run state of later never stands beside a configuration of earlier.
    if (!changed.every(isRunField)) this.#update.run(after.name, encodeRecord(after), id);
    if (after.name !== before.name) this.#byName.delete(before.name);
    this.#remember(after);
    if (changed.some(isRunField)) this.#writeRun(after);
    return after;
  }

  /** What happened has happened, also where the disk is full: recovery finds it again. */
  #writeRun(container: Container): void {
    try {
      this.#updateRun.run(encodeRun(container), container.id);
    } catch (error) {
      log('error', 'Cannot put the state of a container on record', { id: container.id, error });
    }
  }

  remove(id: Id): void {
    this.#delete.run(id);
    const before = this.#byId.get(id);
    this.#byId.delete(id);
    if (before !== undefined && this.#byName.get(before.name)?.id === id) this.#byName.delete(before.name);
  }

  #remember(container: Container): void {
    this.#byId.set(container.id, container);
    this.#byName.set(container.name, container);
  }
}

function isRunField(field: string): boolean {
  return (runFields as readonly string[]).includes(field);
}

function encodeRun({ state, endpoints, stoppedByUser, restartCount }: Container): string {
  return encodeRecord({ state, endpoints, stoppedByUser, restartCount });
}
