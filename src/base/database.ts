// Records in one SQLite file (node:sqlite, WAL). WAL with NORMAL survives the end of the process at any instant.
import { DatabaseSync } from 'node:sqlite';

export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(
    'pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on; pragma busy_timeout = 5000',
  );
  return database;
}

/** Runs `work` in one transaction: all of it or nothing. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec('begin immediate');
  try {
    const result = work();
    database.exec('commit');
    return result;
  } catch (error) {
    database.exec('rollback');
    throw error;
  }
}

/** JSON text of a record; bigints as {"$bigint":"…"}. */
export function encodeRecord(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? { $bigint: item.toString() } : item,
  );
}

export function decodeRecord<T>(text: string): T {
  return JSON.parse(text, (_key, item: unknown) =>
    item !== null && typeof item === 'object' && '$bigint' in item ? BigInt(item.$bigint as string) : item,
  ) as T;
}
