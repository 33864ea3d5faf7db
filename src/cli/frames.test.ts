import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachWatch, parseDetachKeys } from './detach-keys.ts';
import { FrameSplitter } from './frames.ts';

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test('FrameSplitter parts output and errors, in pieces of any size', () => {
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, 'errors'), frame(1, ''), frame(1, 'more')]);
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new FrameSplitter();
    const texts = ['', '', ''];
    for (let at = 0; at < bytes.length; at += size)
      for (const { stream, bytes: part } of splitter.split(bytes.subarray(at, at + size)))
        texts[stream] += part.toString();
    assert.deepEqual(texts, ['', 'outmore', 'errors'], `pieces of ${size}`);
  }
  assert.throws(() => [...new FrameSplitter().split(frame(9, 'x'))], { kind: 'corrupt' });
});

test('detach keys are found in what is typed', () => {
  assert.deepEqual(parseDetachKeys('ctrl-p,ctrl-q'), [16, 17]);
  assert.deepEqual(parseDetachKeys('a,ctrl-@,ctrl-['), [97, 0, 27]);
  assert.throws(() => parseDetachKeys('ctrl-pp'), { kind: 'invalid' });
  const cases: [string, string[], boolean][] = [
    ['', ['ls\r', '\x10', '\x11'], true],
    ['', ['\x10\x11'], true],
    ['', ['\x10', 'x', '\x11'], false],
    ['', ['\x10\x10\x11'], true],
    ['a,b', ['xab'], true],
    ['a,b', ['\x10\x11'], false],
  ];
  for (const [keys, typed, expected] of cases) {
    const watch = new DetachWatch(keys);
    assert.equal(
      typed.some((text) => watch.sees(Buffer.from(text))),
      expected,
      JSON.stringify(typed),
    );
  }
});
