import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './statistics.ts';

const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

const cases: readonly (readonly [name: string, samples: readonly number[], median: number, p95: number])[] = [
  ['one sample', [7], 7, 7],
  ['an odd number, unsorted', [9, 1, 5], 5, 9],
  ['an even number', [4, 1, 2, 3], 2.5, 4],
  ['numbers, not their texts', [10, 9, 100], 10, 100],
  ['a hundred', hundred, 50.5, 95],
];

for (const [name, samples, median, p95] of cases) {
  test(`summarize(): ${name}`, () => {
    const summary = summarize(samples);
    assert.deepEqual([summary.count, summary.median, summary.p95], [samples.length, median, p95]);
    assert.deepEqual([summary.least, summary.most], [Math.min(...samples), Math.max(...samples)]);
  });
}

test('summarize() gives the bad end where more is better', () => {
  assert.equal(summarize(hundred, 'more').p95, 6);
});

test('summarize() refuses no samples', () => {
  assert.throws(() => summarize([]), RangeError);
});
