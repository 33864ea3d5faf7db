import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from './fields.ts';

test('a whole number is one that is exact', () => {
  const read = (value: unknown) => new Fields({ Value: value }).integer('Value');
  assert.deepEqual([0, -1, 2 ** 53 - 1].map(read), [0, -1, 2 ** 53 - 1]);
  for (const value of [1.5, '1', true, []]) assert.throws(() => read(value), /Value must be a whole number/);
  for (const value of [2 ** 53, -(2 ** 53), 1e300]) assert.throws(() => read(value), /Value is out of range/);
});

test('nanoseconds have 64 bits', () => {
  const read = (value: unknown) => new Fields({ Value: value }).nanoseconds('Value');
  const year = 8760 * 3600e9;
  assert.deepEqual([undefined, 5, year, JSON.parse('9223372036854775807')].map(read), [0, 5, year, 2 ** 63]);
  for (const value of [2 ** 64, -(2 ** 64)]) assert.throws(() => read(value), /Value is out of range/);
  assert.throws(() => read(0.5), /Value must be a whole number/);
});
