// The records of networks and endpoints: rows in the database, and a copy in memory. An endpoint's row is the lease of its
// address: it is written before anything is made, and deleted after everything is gone.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { decodeRecord, encodeRecord } from '../base/database.ts';
import type { Id } from '../base/id.ts';
import type { Endpoint, Network } from './network.ts';

/** A container's endpoint, with what only the host knows of it. */
export interface EndpointRecord {
  readonly containerId: string;
  readonly endpoint: Endpoint;
}

export class NetworkRecords {
  readonly #networks = new Map<Id, Network>();
  /** In the order of their making, oldest first. */
  readonly #endpoints = new Map<Id, EndpointRecord>();
  readonly #ofContainer = new Map<string, EndpointRecord[]>();
  readonly #putNetwork: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    database.exec(`create table if not exists networks
        (id text primary key, name text not null unique, record text not null) strict;
      create table if not exists endpoints
        (id text primary key, network text not null references networks (id), container text not null,
         record text not null) strict`);
    this.#putNetwork = database.prepare(
      'insert into networks (id, name, record) values (?, ?, ?) on conflict (id) do update set record = excluded.record',
    );
    this.#insert = database.prepare('insert into endpoints (id, network, container, record) values (?, ?, ?, ?)');
    this.#delete = database.prepare('delete from endpoints where id = ?');
    for (const row of database.prepare('select record from networks order by rowid').iterate()) {
      const network = decodeRecord<Network>(row.record as string);
      this.#networks.set(network.id, network);
    }
    for (const row of database.prepare('select record from endpoints order by rowid').iterate())
      this.#remember(decodeRecord<EndpointRecord>(row.record as string));
  }

  networks(): readonly Network[] {
    return [...this.#networks.values()];
  }

  putNetwork(network: Network): void {
    this.#putNetwork.run(network.id, network.name, encodeRecord(network));
    this.#networks.set(network.id, network);
  }

  endpoints(): readonly EndpointRecord[] {
    return [...this.#endpoints.values()];
  }

  endpointsOf(containerId: string): readonly EndpointRecord[] {
    return this.#ofContainer.get(containerId) ?? [];
  }

  insert(record: EndpointRecord): void {
    const { endpointId, networkId } = record.endpoint;
    this.#insert.run(endpointId, networkId, record.containerId, encodeRecord(record));
    this.#remember(record);
  }

  remove(record: EndpointRecord): void {
    const { endpointId } = record.endpoint;
    this.#delete.run(endpointId);
    this.#endpoints.delete(endpointId);
    const rest = this.endpointsOf(record.containerId).filter(({ endpoint }) => endpoint.endpointId !== endpointId);
    if (rest.length > 0) this.#ofContainer.set(record.containerId, rest);
    else this.#ofContainer.delete(record.containerId);
  }

  #remember(record: EndpointRecord): void {
    this.#endpoints.set(record.endpoint.endpointId, record);
    this.#ofContainer.set(record.containerId, [...this.endpointsOf(record.containerId), record]);
  }
}
