// Records in one SQLite file (node:sqlite, WAL). WAL with NORMAL survives the end of the process at any instant.
// One process holds the file: two daemons on one state would undo each other.
import { DatabaseSync } from 'node:sqlite';
import { HolmError } from './error.ts';

/** Opens the file for this process alone; throws `unavailable` if another one has it. */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal');
    database.exec('begin immediate; commit');
  } catch (cause) {
    database.close();
    throw new HolmError('unavailable', `Cannot open "${path}": another process uses it`, { cause });
  }
  return database;
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
