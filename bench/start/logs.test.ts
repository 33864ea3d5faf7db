import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameCounter } from './logs.ts';

const frame = (content: string) =>
  Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, content.length]), Buffer.from(content)]);

test('FrameCounter counts contents, however they are cut', () => {
  const stream = Buffer.concat([frame('hello'), frame(''), frame('x'.repeat(200)), frame('!')]);
  for (const pieceBytes of [1, 3, 8, 13, 4096]) {
    const counter = new FrameCounter();
    for (let at = 0; at < stream.length; at += pieceBytes) counter.take(stream.subarray(at, at + pieceBytes));
    assert.equal(counter.bytes, 206, `${pieceBytes} bytes at a time`);
  }
});
