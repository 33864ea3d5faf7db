import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeIdMap, formatIdMap, outsideOf, parseIdMap } from './id-maps.ts';

test('rows are read, told, written for the kernel and looked up', () => {
  const rows = ['0:100000:1000', '5000:300000:10'];
  const map = parseIdMap(rows, 'uidmap');
  assert.deepEqual(formatIdMap(map), rows);
  assert.equal(Buffer.from(encodeIdMap(map)).toString(), '0 100000 1000\n5000 300000 10\n');
  const cases: [number, number | undefined][] = [
    [0, 100000],
    [999, 100999],
    [1000, undefined],
    [4999, undefined],
    [5009, 300009],
    [5010, undefined],
  ];
  for (const [inside, outside] of cases) assert.equal(outsideOf(map, inside), outside, String(inside));
});

const refused: readonly (readonly [rows: readonly string[], why: RegExp])[] = [
  [['0:1'], /must be INSIDE:OUTSIDE:COUNT/],
  [['0:-1:5'], /must be INSIDE/],
  [['0:100000:0'], /must not be 0/],
  [['0:4294967000:1000'], /ids end at 4294967294/],
  [['0:100000:10', '5:200000:10'], /inside is mapped twice/],
  [['0:100000:10', '20:100005:10'], /host is mapped twice/],
  [['1:100000:10'], /id 0 inside must be mapped/],
  [['0:0:65536'], /host's id 0 cannot be given/],
  [['1:0:1', '0:1:1'], /host's id 0 cannot be given/],
  [Array.from({ length: 340 }, (_, at) => `${at}:${100000 + 2 * at}:1`), /too many rows/],
];

for (const [rows, why] of refused)
  test(`refused: ${rows.slice(0, 2).join(',')}`, () => {
    assert.throws(() => parseIdMap(rows, 'uidmap'), why);
    assert.throws(() => parseIdMap(rows, 'uidmap'), { kind: 'invalid' });
  });
