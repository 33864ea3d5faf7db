// The records of all machines: a row each in the database, a snapshot each in memory.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { decodeRecord, encodeRecord } from '../base/database.ts';
import { HolmError } from '../base/error.ts';
import type { Id } from '../base/id.ts';
import type { Machine } from './machine.ts';

export class MachineRecords {
  readonly #byId = new Map<string, Machine>();
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    database.exec(
      'create table if not exists machines (id text primary key, name text not null unique, record text not null) strict',
    );
    this.#insert = database.prepare('insert into machines (id, name, record) values (?, ?, ?)');
    this.#update = database.prepare('update machines set record = ? where id = ?');
    this.#delete = database.prepare('delete from machines where id = ?');
    for (const row of database.prepare('select record from machines').iterate()) {
      const machine = decodeRecord<Machine>(row.record as string);
      this.#byId.set(machine.id, machine);
    }
  }

  list(): readonly Machine[] {
    return [...this.#byId.values()];
  }

  /** Finds by whole id, name, or unique beginning of an id; throws notFound or invalid. */
  get(reference: string): Machine {
    const exact = this.#byId.get(reference) ?? this.findByName(reference);
    if (exact !== undefined) return exact;
    const matches = /^[0-9a-f]+$/.test(reference) ? this.list().filter(({ id }) => id.startsWith(reference)) : [];
    if (matches.length > 1) throw new HolmError('invalid', `Cannot find machine "${reference}": several ids begin so`);
    if (matches[0] === undefined) throw new HolmError('notFound', `No such machine: ${reference}`);
    return matches[0];
  }

  findByName(name: string): Machine | undefined {
    return this.list().find((machine) => machine.name === name);
  }

  insert(machine: Machine): void {
    this.#insert.run(machine.id, machine.name, encodeRecord(machine));
    this.#byId.set(machine.id, machine);
  }

  update(id: Id, change: Partial<Machine>): Machine {
    const before = this.#byId.get(id);
    if (before === undefined) throw new HolmError('notFound', `No such machine: ${id}`);
    const after = { ...before, ...change };
    this.#update.run(encodeRecord(after), id);
    this.#byId.set(id, after);
    return after;
  }

  remove(id: Id): void {
    this.#delete.run(id);
    this.#byId.delete(id);
  }
}
