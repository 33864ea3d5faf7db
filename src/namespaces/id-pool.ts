// The host's ids from which containers get ranges of their own (--userns auto): one range of 65,536 each, no two the same. The
// records of containers are the truth about what is taken; a pool only knows where it begins and ends.
import { HolmError } from '../base/error.ts';
import type { IdMapping, IdRange } from './id-maps.ts';

export interface IdPool {
  readonly firstUid: number;
  readonly firstGid: number;
  /** How many ranges it holds. */
  readonly ranges: number;
}

/** Ids of one container: those that an image may name (nobody is 65534). */
export const rangeLength = 65536;

/**
 * 0x70000000 to 0x7FFDFFFF: above what adduser and shadow give to people (SUB_UID_MAX, 600100000) and what systemd-nspawn takes
 * for its containers (to 0x6FFFFFFF), below systemd's foreign range and the ids that some programs take for negative.
 */
export const defaultPool: IdPool = { firstUid: 0x70000000, firstGid: 0x70000000, ranges: 4094 };

/** Reads "FIRST:COUNT". Throws `invalid` unless it holds one range at least, and neither root nor the last id. */
export function parsePool(text: string): IdPool {
  const [, first, count] = /^(\d{1,10}):(\d{1,10})$/.exec(text)?.map(Number) ?? [];
  if (first === undefined || count === undefined || count < rangeLength || first === 0 || first + count > 4294967295) {
    throw new HolmError(
      'invalid',
      `Cannot take container ids from "${text}": must be FIRST:COUNT, a count of at least ${rangeLength}, without id 0`,
    );
  }
  return { firstUid: first, firstGid: first, ranges: Math.floor(count / rangeLength) };
}

/** What subuid(5) and subgid(5) give to a user by name; undefined unless both give a whole range. */
export function subordinatePool(subuid: string, subgid: string, user: string): IdPool | undefined {
  const [uids, gids] = [subuid, subgid].map((text) => findRow(text, user));
  if (uids === undefined || gids === undefined) return undefined;
  const ranges = Math.floor(Math.min(uids.count, gids.count) / rangeLength);
  return ranges === 0 ? undefined : { firstUid: uids.first, firstGid: gids.first, ranges };
}

function findRow(text: string, user: string): { first: number; count: number } | undefined {
  for (const line of text.split('\n')) {
    const [name, first, count] = line.split(':');
    if (name === user && /^[1-9]\d*$/.test(first ?? '') && /^\d+$/.test(count ?? ''))
      return { first: Number(first), count: Number(count) };
  }
  return undefined;
}

/** The first row of another user in subuid(5) or subgid(5) that shares ids with a pool; undefined if there is none. */
export function findOverlap(pool: IdPool, subuid: string, subgid: string): string | undefined {
  const overlaps = (text: string, first: number): string | undefined =>
    text.split('\n').find((line) => {
      const [, from, count] = /^[^:#][^:]*:(\d+):(\d+)$/.exec(line.trim())?.map(Number) ?? [];
      if (from === undefined || count === undefined) return false;
      return from < first + pool.ranges * rangeLength && first < from + count;
    });
  return overlaps(subuid, pool.firstUid) ?? overlaps(subgid, pool.firstGid);
}

/** Whether a map takes ids of a pool. */
export function touchesPool(pool: IdPool, { uids, gids }: IdMapping): boolean {
  const isWithin = (slot: number) => slot < pool.ranges;
  return slotsOf(pool.firstUid, uids).some(isWithin) || slotsOf(pool.firstGid, gids).some(isWithin);
}

/** The lowest range that overlaps with none of those taken. Throws `unavailable` when there is none. */
export function chooseRange(pool: IdPool, taken: readonly IdMapping[]): IdMapping {
  const [uids, gids] = [taken.flatMap((one) => one.uids), taken.flatMap((one) => one.gids)];
  const used = new Set([...slotsOf(pool.firstUid, uids), ...slotsOf(pool.firstGid, gids)]);
  for (let slot = 0; slot < pool.ranges; slot++) {
    if (used.has(slot)) continue;
    const rangeFrom = (first: number): IdRange[] => [
      { inside: 0, outside: first + slot * rangeLength, count: rangeLength },
    ];
    return { uids: rangeFrom(pool.firstUid), gids: rangeFrom(pool.firstGid) };
  }
  throw new HolmError('unavailable', `Cannot give a container its own ids: all ${pool.ranges} ranges are in use`);
}

/** The places in a pool that ranges of the host's ids cover, if only in part. */
function slotsOf(first: number, ranges: readonly IdRange[]): number[] {
  return ranges.flatMap(({ outside, count }) => {
    const from = Math.max(0, Math.floor((outside - first) / rangeLength));
    const to = Math.floor((outside + count - 1 - first) / rangeLength);
    // Beyond 65,536 ranges there are no ids.
    return Array.from({ length: Math.max(0, Math.min(to, 65536) - from + 1) }, (_, at) => from + at);
  });
}
