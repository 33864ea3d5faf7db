// Which users and groups of a user namespace are which of the host's (user_namespaces(7), "User and group ID mappings"): as
// people write them ("0:100000:65536"), as the kernel takes them, and looked up. Ids are numbers from 0 to 2³² - 2.
import { HolmError } from '../base/error.ts';

/** `count` ids from `inside` on are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

export interface IdMapping {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** 4294967295 is (uid_t) -1, "no id". */
const mostIds = 4294967295;
/** The kernel takes a map in one write of less than a page. */
const mostMapBytes = 4095;

/**
 * Reads rows of "inside:outside:count"; `what` is the option's name for errors. Throws `invalid` on rows that overlap, on a
 * map without root, as a guest's root makes its files, and on one that gives the host's root to a guest.
 */
export function parseIdMap(rows: readonly string[], what: string): IdRange[] {
  const refuse = (why: string) => new HolmError('invalid', `invalid ${what} "${rows.join(',')}": ${why}`);
  const map = rows.map((row) => {
    const match = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(row.trim());
    if (match === null) throw refuse('must be INSIDE:OUTSIDE:COUNT, several with commas');
    const [inside, outside, count] = match.slice(1).map(Number) as [number, number, number];
    if (count === 0) throw refuse('a count must not be 0');
    if (Math.max(inside, outside) + count > mostIds) throw refuse('ids end at 4294967294');
    return { inside, outside, count };
  });
  if (hasOverlap(map, 'inside')) throw refuse('an id inside is mapped twice');
  if (hasOverlap(map, 'outside')) throw refuse('an id of the host is mapped twice');
  if (outsideOf(map, 0) === undefined) throw refuse('id 0 inside must be mapped, root makes the files');
  if (map.some(({ outside }) => outside === 0)) {
    throw refuse("the host's id 0 cannot be given to a container, use --userns host for that");
  }
  if (encodeIdMap(map).length > mostMapBytes) throw refuse('too many rows');
  return map;
}

function hasOverlap(map: readonly IdRange[], side: 'inside' | 'outside'): boolean {
  const sorted = map.toSorted((a, b) => a[side] - b[side]);
  return sorted.some((range, at) => at > 0 && range[side] < sorted[at - 1]![side] + sorted[at - 1]!.count);
}

/** The rows as parseIdMap reads them. */
export function formatIdMap(map: readonly IdRange[]): string[] {
  return map.map(({ inside, outside, count }) => `${inside}:${outside}:${count}`);
}

/** The content of /proc/PID/uid_map and gid_map. */
export function encodeIdMap(map: readonly IdRange[]): Uint8Array {
  return Buffer.from(map.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join(''));
}

/** The host's id for one inside; undefined if it has none. */
export function outsideOf(map: readonly IdRange[], id: number): number | undefined {
  const range = map.find(({ inside, count }) => id >= inside && id < inside + count);
  return range === undefined ? undefined : range.outside + (id - range.inside);
}
