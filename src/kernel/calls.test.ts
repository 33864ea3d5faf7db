// The table of calls stands twice, here and in native/calls.h: both must hold the same rows in the same order.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { calls } from './calls.ts';

const header = readFileSync(new URL('../../native/calls.h', import.meta.url), 'utf8');
const rows = [...header.matchAll(/^ {4}(SYSTEM|OWN)\((\w+), "(\w*)"/gm)];

test('native/calls.h holds the same calls as calls.ts, in the same order', () => {
  assert.deepEqual(
    rows.map((row) => [row[2], row[3]]),
    Object.entries(calls),
  );
});

test('calls that are not system calls come last', () => {
  const kinds = rows.map((row) => row[1]);
  assert.equal(kinds.lastIndexOf('SYSTEM') + 1, kinds.indexOf('OWN'));
  assert.equal(rows[kinds.indexOf('OWN')]?.[2], 'write_file');
});

test('no call takes more than six arguments', () => {
  for (const [name, letters] of Object.entries(calls)) assert.match(letters, /^[isblx]{0,6}$/, name);
});
