import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration, parseTimestamp } from './times.ts';

const second = 1_000_000_000n;
const now = 1_700_000_000n * second;

const durations: readonly (readonly [seconds: number, words: string])[] = [
  [0.4, 'Less than a second'],
  [1, '1 second'],
  [59, '59 seconds'],
  [60, 'About a minute'],
  [185, '3 minutes'],
  [3600, 'About an hour'],
  [3600 * 2.4, '2 hours'],
  [3600 * 47, '47 hours'],
  [86_400 * 3, '3 days'],
  [86_400 * 15, '2 weeks'],
  [86_400 * 70, '2 months'],
  [86_400 * 800, '2 years'],
];
for (const [seconds, words] of durations)
  test(`${seconds} s is "${words}"`, () => {
    assert.equal(formatDuration(BigInt(Math.round(seconds * 1e9))), words);
  });

const times: readonly (readonly [text: string, nanos: bigint])[] = [
  ['1699999999', 1_699_999_999n * second],
  ['1699999999.5', 1_699_999_999n * second + second / 2n],
  ['1699999999.000000001', 1_699_999_999n * second + 1n],
  ['0', 0n],
  ['1h30m', now - 5400n * second],
  ['1.5s', now - (3n * second) / 2n],
  ['0s', now],
  ['2023-11-14T22:13:20Z', now],
  ['2023-11-14T23:13:20.25+01:00', now + second / 4n],
  ['2023-11-14T22:13:20', now],
  ['2023-11-14', 1_699_920_000n * second],
];
for (const [text, nanos] of times)
  test(`the time "${text}"`, () => {
    assert.equal(parseTimestamp(text, now), nanos);
  });

test('what is no time is refused', () => {
  for (const text of ['never', '1.2.3', '10 m', '-', '2023-99-99']) assert.throws(() => parseTimestamp(text, now));
  assert.equal(parseDuration('5'), undefined);
});
