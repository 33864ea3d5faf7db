import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IdMapping } from './id-maps.ts';
import {
  chooseRange,
  defaultPool,
  findOverlap,
  parsePool,
  rangeLength,
  subordinatePool,
  touchesPool,
} from './id-pool.ts';

const small = parsePool('1000000:200000');
const taken = (uid: number, gid: number, count = rangeLength): IdMapping => ({
  uids: [{ inside: 0, outside: uid, count }],
  gids: [{ inside: 0, outside: gid, count }],
});

test('containers get the lowest free range, until there is none', () => {
  const given: IdMapping[] = [];
  for (let slot = 0; slot < 3; slot++) {
    given.push(chooseRange(small, given));
    assert.deepEqual(given[slot], taken(1000000 + slot * rangeLength, 1000000 + slot * rangeLength));
  }
  assert.throws(() => chooseRange(small, given), { kind: 'unavailable' });
  assert.deepEqual(chooseRange(small, [given[0]!, given[2]!]), given[1]);
});

const overlaps: readonly (readonly [name: string, taken: IdMapping, slot: number])[] = [
  ['below the pool', taken(100, 100, 500), 0],
  ['into the pool from below', taken(999_990, 1, 11), 1],
  ['up to the pool', taken(999_990, 1, 10), 0],
  ['by its groups alone', taken(1, 1_000_005, 1), 1],
  ['across two ranges', taken(1_065_535, 1, 2), 2],
  ['beyond the pool', taken(4_000_000_000, 4_000_000_000), 0],
];
for (const [name, other, slot] of overlaps)
  test(`a range shares no id with one ${name}`, () => {
    assert.deepEqual(chooseRange(small, [other]).uids[0]?.outside, 1000000 + slot * rangeLength);
  });

test('the pool is read from the configuration', () => {
  assert.deepEqual(parsePool('1879048192:268304384'), defaultPool);
  for (const text of ['', '5', '1:65535', '0:65536', '4294901760:65536', '-1:65536', 'a:b', '1:65536:2'])
    assert.throws(() => parsePool(text), { kind: 'invalid' }, text);
});

test('or from what the host has set aside', () => {
  const subuid = 'alice:100000:65536\nholm:200000:131072\n';
  assert.deepEqual(subordinatePool(subuid, 'holm:300000:200000\n', 'holm'), {
    firstUid: 200000,
    firstGid: 300000,
    ranges: 2,
  });
  assert.equal(subordinatePool(subuid, '', 'holm'), undefined);
  assert.equal(subordinatePool('holm:200000:1000\n', 'holm:200000:1000\n', 'holm'), undefined);
  assert.equal(subordinatePool('holm:0:65536', 'holm:0:65536', 'holm'), undefined);
});

test('a map of the user’s own that takes ids of the pool is told', () => {
  for (const [name, other, slot] of overlaps) {
    const isWithin = name !== 'beyond the pool' && name !== 'below the pool' && name !== 'up to the pool';
    assert.equal(touchesPool(small, other), isWithin, `${name} ${slot}`);
  }
  const all: IdMapping = {
    uids: [{ inside: 0, outside: 1, count: 4294967294 }],
    gids: [{ inside: 0, outside: 1, count: 1 }],
  };
  assert.ok(touchesPool(defaultPool, all));
});

test('rows of other users that share ids with the pool are found', () => {
  const rows = 'alice:100000:65536\nnobody\n# bob:1000000:5\n';
  assert.equal(findOverlap(small, rows, rows), undefined);
  assert.equal(findOverlap(small, 'bob:999999:1\ncarl:1196608:9\n', ''), undefined);
  assert.equal(findOverlap(small, 'bob:999999:2\n', ''), 'bob:999999:2');
  assert.equal(findOverlap(small, '', `${rows}carl:1196607:9`), 'carl:1196607:9');
});
