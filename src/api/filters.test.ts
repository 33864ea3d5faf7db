import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFilters } from './filters.ts';

const allowed = ['label', 'label!', 'name', 'dangling', 'status'];
const labels = { role: 'web', empty: '' };

test('both forms of JSON', () => {
  assert.deepEqual(parseFilters('{"name":["a","b"]}', allowed).get('name'), ['a', 'b']);
  assert.deepEqual(parseFilters('{"name":{"a":true,"b":false}}', allowed).get('name'), ['a']);
  for (const text of ['', '{}', 'null', '{"name":[]}', '{"name":null}']) assert.ok(parseFilters(text, allowed).isEmpty);
  for (const text of ['[]', '3', '{"name":"a"}', '{"other":["a"]}', '{'])
    assert.throws(() => parseFilters(text, allowed), { kind: 'invalid' });
});

const labelCases: readonly (readonly [filters: string, matches: boolean])[] = [
  ['{"label":["role"]}', true],
  ['{"label":["role=web"]}', true],
  ['{"label":["role=we"]}', false],
  ['{"label":["role","gone"]}', false],
  ['{"label":["empty="]}', true],
  ['{"label":["toString"]}', false],
  ['{"label!":["role"]}', false],
  ['{"label!":["gone"]}', true],
];
for (const [text, matches] of labelCases)
  test(`labels by ${text}`, () => {
    assert.equal(parseFilters(text, allowed).labels(labels), matches);
  });

test('patterns are regular expressions where they can be, and text', () => {
  const matches = (pattern: string): boolean =>
    parseFilters(JSON.stringify({ name: [pattern] }), allowed).pattern('name', 'web-1', '/web-1');
  for (const pattern of ['web', '^/web', '^web-\\d$', 'web-1']) assert.ok(matches(pattern), pattern);
  for (const pattern of ['db', '^eb', '(', '(w+)+$', 'w*e*b*.*', 'x'.repeat(1000)])
    assert.ok(!matches(pattern), pattern);
});

test('flags take one truth', () => {
  assert.equal(parseFilters('{"dangling":["1"]}', allowed).flag('dangling', false), true);
  assert.equal(parseFilters('{"dangling":{"false":true}}', allowed).flag('dangling', true), false);
  assert.equal(parseFilters('', allowed).flag('dangling', true), true);
  for (const text of ['{"dangling":["maybe"]}', '{"dangling":["1","0"]}'])
    assert.throws(() => parseFilters(text, allowed).flag('dangling', false), { kind: 'invalid' });
});
