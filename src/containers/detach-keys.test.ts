import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachFilter, parseDetachKeys } from './detach-keys.ts';

test('sequences are read as docker writes them', () => {
  const cases: [string, number[]][] = [
    ['', [16, 17]],
    ['ctrl-p,ctrl-q', [16, 17]],
    ['ctrl-@', [0]],
    ['a,ctrl-[', [97, 27]],
  ];
  for (const [text, bytes] of cases) assert.deepEqual([...parseDetachKeys(text)], bytes);
  assert.throws(() => parseDetachKeys('ctrl-'), /Invalid escape keys/);
});

test('the sequence is found across chunks, and what only begins like it goes on', () => {
  const cases: [string[], string, boolean][] = [
    [['abc'], 'abc', false],
    [['a\x10', '\x11rest'], 'a', true],
    [['\x10a'], '\x10a', false],
    [['\x10\x10\x11'], '\x10', true],
    [['\x11\x10'], '\x11', false],
  ];
  for (const [chunks, passed, detached] of cases) {
    const filter = new DetachFilter(parseDetachKeys(''));
    assert.equal(chunks.map((chunk) => filter.pass(Buffer.from(chunk)).toString()).join(''), passed);
    assert.equal(filter.isDetached, detached);
  }
});
