import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register, remember, step } from './steps.ts';
import { decodeResult, encodeHeader, encodeProgram, FrameReader } from './wire.ts';

test('a step is encoded byte by byte as docs/keeper.md says', () => {
  const bytes = encodeProgram([
    step('mkdirat', [register(3), 'a', 0o755], 'make "a"', {
      result: register(4),
      tolerate: [17],
      skipOnFailure: 2,
      skipOnSuccess: 1,
    }),
  ]);
  const expected = [
    '01000000', // one step
    '0d00 04 03 02 01 01 00', // mkdirat is the fourteenth call; register 4; 3 arguments; skips; one tolerated errno
    '1100',
    '03 03', // register 3
    '01 02000000 6100', // "a" and its NUL
    '00 ed01000000000000', // 0o755
  ];
  assert.equal(bytes.toString('hex'), expected.join('').replaceAll(' ', ''));
});

test('every kind of argument has its type byte', () => {
  const cases: [Parameters<typeof step>[1][number], string][] = [
    [7, '000700000000000000'],
    [-1, '00ffffffffffffffff'],
    [null, '000000000000000000'],
    ['x', '01020000007800'],
    [Uint8Array.of(1, 2), '02020000000102'],
    [register(9), '0309'],
    [{ outBytes: 16 }, '0410000000'],
    [
      { bytes: Uint8Array.of(0, 0, 0, 0), patches: [{ offset: 0, register: register(2) }] },
      '050400000000000000010000000002',
    ],
    [['a', 'b'], '0602000000020000006100020000006200'],
    [{ prefix: 'p', register: register(1), suffix: '' }, '07010200000070000100000000'],
  ];
  for (const [arg, hex] of cases) {
    const bytes = encodeProgram([step('umask', [arg], 'encode')]);
    assert.equal(bytes.subarray(12).toString('hex'), hex);
  }
});

test('remembered steps are made once, and encoded as if they were not', () => {
  const owner = {};
  const make = () => [step('umask', [7], 'set the umask'), step('chdir', ['/somewhere'], 'enter "/somewhere"')];
  const first = remember(owner, 'both', make);
  assert.equal(remember(owner, 'both', make), first);
  assert.notEqual(remember(owner, 'other', make), first);
  assert.notEqual(remember({}, 'both', make), first);
  const before = step('setsid', [], 'begin a session');
  const after = step('close', [9], 'close a descriptor');
  const whole = [before, ...first, after, ...first];
  const anew = [before, ...make(), after, ...make()];
  for (const program of [whole, whole]) assert.deepEqual(encodeProgram(program), encodeProgram(anew));
  // What was cut, or changed afterwards, is not taken for the run.
  const changed = [first[0]!, { ...first[1]!, tolerate: [2] }];
  assert.deepEqual(encodeProgram(changed), encodeProgram([make()[0]!, { ...make()[1]!, tolerate: [2] }]));
  assert.deepEqual(encodeProgram([first[0]!]), encodeProgram([make()[0]!]));
  assert.deepEqual(
    encodeProgram([{ ...first[0]!, skipOnSuccess: 1 }, first[1]!]),
    encodeProgram([{ ...make()[0]!, skipOnSuccess: 1 }, make()[1]!]),
  );
});

test('a wrong number of arguments is refused before it is sent', () => {
  assert.throws(() => encodeProgram([step('close', [], 'close')]), /takes 1 arguments/);
});

test('frames are cut out of any chunks', () => {
  const payloads = [Buffer.from('first'), Buffer.alloc(0), Buffer.alloc(70_000, 7)];
  const stream = Buffer.concat(payloads.flatMap((payload, tag) => [encodeHeader(payload.length, tag, 17), payload]));
  for (const size of [1, 5, 13, 4096, stream.length]) {
    const seen: [number, Buffer][] = [];
    const reader = new FrameReader((tag, kind, payload) => {
      assert.equal(kind, 17);
      seen.push([tag, Buffer.from(payload)]);
    });
    for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
    assert.deepEqual(
      seen,
      payloads.map((payload, tag) => [tag, payload]),
    );
  }
});

test('a result gives errno, phase, step, pid, registers and outputs', () => {
  const payload = Buffer.alloc(16 + 256 + 8 + 3);
  payload.writeUInt32LE(2, 0);
  payload.writeUInt32LE(4, 4);
  payload.writeUInt32LE(5, 8);
  payload.writeInt32LE(99, 12);
  payload.writeBigInt64LE(-17n, 16 + 8);
  payload.writeUInt32LE(5, 272);
  payload.writeUInt32LE(3, 276);
  payload.write('abc', 280);
  const result = decodeResult(payload);
  assert.deepEqual([result.errno, result.phase, result.step, result.pid], [2, 'stage', 5, 99]);
  assert.equal(result.registers.readBigInt64LE(8), -17n);
  assert.equal(result.outputs.get(5)?.toString(), 'abc');
});

test('a stream out of step is noticed at the next header', () => {
  const seen: number[] = [];
  const frames = new FrameReader((tag) => seen.push(tag));
  frames.push(Buffer.concat([encodeHeader(3, 7, 18), Buffer.from('end')]));
  // The first half of a frame whose sender was killed, then another's whole one.
  const half = Buffer.concat([encodeHeader(300, 8, 18), Buffer.alloc(100, 0x41)]);
  const next = Buffer.concat([encodeHeader(188, 9, 16), Buffer.alloc(188)]);
  frames.push(half);
  assert.throws(() => frames.push(Buffer.concat([next, Buffer.alloc(400, 0x42)])), { kind: 'corrupt' });
  for (const header of [encodeHeader(9 << 20, 1, 16), encodeHeader(1, 1, 99)])
    assert.throws(() => new FrameReader(() => undefined).push(header), { kind: 'corrupt' });
  assert.deepEqual(seen, [7, 8]);
});
