import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import { register } from '../kernel/steps.ts';
import { attribute, decodeAttributes, decodeMessages, decodeText, encodeMessages, listAttributes } from './message.ts';

const message = {
  type: 16,
  flags: 4,
  parts: [
    Uint8Array.of(1, 2, 3),
    attribute.text(3, 'lo'),
    attribute.nested(18, [attribute.u8(1, 7), attribute.u32(2, 9)]),
  ],
};

test('messages are headed, numbered, and aligned to four bytes', () => {
  const { bytes, patches } = encodeMessages([message, { type: 2, flags: 0, parts: [] }], 5);
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '3000000010000500050000000000000001020300' + // header; structure with one byte of padding
      '070003006c6f0000' + // "lo" and NUL, padded
      '1400120005000100070000000800020009000000' +
      '10000000020001000600000000000000',
  );
  assert.deepEqual(patches, []);
});

test('decoding gives back what was encoded', () => {
  const [first, second] = decodeMessages(encodeMessages([message, { type: 2, flags: 0x300, parts: [] }]).bytes);
  assert.deepEqual([first!.type, first!.flags, first!.sequence], [16, 5, 1]);
  assert.deepEqual([second!.type, second!.flags, second!.sequence, second!.payload.length], [2, 0x301, 2, 0]);
  const attributes = decodeAttributes(first!.payload, 4);
  assert.equal(decodeText(attributes.get(3)!), 'lo');
  assert.deepEqual(
    listAttributes(attributes.get(18)!).map(([type, value]) => [type, [...value]]),
    [
      [1, [7]],
      [2, [9, 0, 0, 0]],
    ],
  );
});

test('a register leaves a place to be filled', () => {
  const parts = [attribute.nested(18, [attribute.u32or(19, register(31))]), attribute.u32or(19, 7)];
  const { bytes, patches } = encodeMessages([{ type: 16, flags: 0, parts }]);
  assert.deepEqual(patches, [{ offset: 24, register: register(31) }]);
  assert.equal(Buffer.from(bytes.subarray(16)).toString('hex'), '0c001200080013000000000008001300' + '07000000');
});

test('messages longer than the first buffer are whole', () => {
  const long = new Uint8Array(5000).fill(9);
  const [only] = decodeMessages(encodeMessages([{ type: 1, flags: 0, parts: [attribute.bytes(1, long)] }]).bytes);
  assert.deepEqual(decodeAttributes(only!.payload).get(1), long);
});

test('malformed bytes are refused', () => {
  for (const hex of ['00', '10000000', '0f00000010000500050000000000000000', '2000000010000500050000000000000000'])
    assert.throws(() => decodeMessages(Buffer.from(hex, 'hex')), HolmError);
  for (const hex of ['03000100', '0a00010000000000', '080001000000000009000100'])
    assert.throws(() => listAttributes(Buffer.from(hex, 'hex')), HolmError);
});
