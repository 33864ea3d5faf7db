// The log against docker's json-file driver, byte for byte: escapes, line ends, long lines, rotation; and nobody can hold it up.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readExit } from '../../src/kernel/guard.ts';
import { control, eventually, readAll, testKeeper } from './client.ts';

const keeper = await testKeeper();

interface Line {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

function parse(text: string): Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

// Logs these bytes; gives the text of each record's "log" as it stands in the file.
async function logged(bytes: Buffer): Promise<string[]> {
  const file = join(keeper.newDirectory(), 'bytes');
  writeFileSync(file, bytes);
  const guest = await keeper.start(`cat ${file}`, { logged: true });
  await guest.ended();
  const tail = /","stream":"stdout","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"}$/;
  return guest
    .log()
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      assert.match(line, tail);
      assert.ok(line.startsWith('{"log":"'));
      return line.slice(8).replace(tail, '');
    });
}

test('lines are escaped as docker escapes them', async (t) => {
  const cases: [string, Buffer, string[]][] = [
    ['plain lines', Buffer.from('one\ntwo\n'), ['one\\n', 'two\\n']],
    ['an empty line', Buffer.from('\n\n'), ['\\n', '\\n']],
    ['a last line without end', Buffer.from('one\ntwo'), ['one\\n', 'two']],
    ['quotes and backslashes', Buffer.from('"a\\b"\n'), ['\\"a\\\\b\\"\\n']],
    [
      'control characters',
      Buffer.from('\t\r\b\f\v\0\x1b[0m\x7f\n'),
      ['\\u0009\\r\\u0008\\u000c\\u000b\\u0000\\u001b[0m\x7f\\n'],
    ],
    ['HTML characters', Buffer.from('<a href=b&c>\n'), ['\\u003ca href=b\\u0026c\\u003e\\n']],
    ['valid UTF-8', Buffer.from('ä€𝄞\u{10ffff}\ud7ff\ue000\n'), ['ä€𝄞\u{10ffff}\ud7ff\ue000\\n']],
    ['line and paragraph separators', Buffer.from('\u2028\u2029\u2027\u202a\n'), ['\\u2028\\u2029\u2027\u202a\\n']],
    ['stray continuation', Buffer.from([0x80, 0xbf, 10]), ['\\ufffd\\ufffd\\n']],
    [
      'overlong forms',
      Buffer.from([0xc0, 0x80, 0xe0, 0x80, 0x80, 0xf0, 0x80, 0x80, 0x80, 10]),
      [`${'\\ufffd'.repeat(9)}\\n`],
    ],
    ['surrogates', Buffer.from([0xed, 0xa0, 0x80, 10]), ['\\ufffd\\ufffd\\ufffd\\n']],
    ['beyond the last', Buffer.from([0xf4, 0x90, 0x80, 0x80, 0xf8, 10]), [`${'\\ufffd'.repeat(5)}\\n`]],
    ['cut sequences', Buffer.from([0xe2, 0x82, 10, 0xc3]), ['\\ufffd\\ufffd\\n', '\\ufffd']],
    ['16 KiB without an end', Buffer.alloc(16384, 'x'), ['x'.repeat(16384)]],
    ['16 KiB and its end', Buffer.from(`${'x'.repeat(16383)}\n`), [`${'x'.repeat(16383)}\\n`]],
    [
      'more than 16 KiB',
      Buffer.from(`${'x'.repeat(40000)}\ny\n`),
      ['x'.repeat(16384), 'x'.repeat(16384), `${'x'.repeat(7232)}\\n`, 'y\\n'],
    ],
    ['one longer than 16 KiB by its end', Buffer.from(`${'x'.repeat(16384)}\n`), ['x'.repeat(16384), '\\n']],
  ];
  for (const [name, bytes, expected] of cases) {
    await t.test(name, async () => assert.deepEqual(await logged(bytes), expected));
  }
});

test('random bytes come back as what a decoder of UTF-8 makes of them', async () => {
  const bytes = Buffer.alloc(300_000);
  let state = 12345;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 28 < 6 ? 0xc0 | ((state >>> 16) & 63) : (state >>> 16) & (state & 0x8000 ? 0xbf : 0x7f);
  }
  bytes[bytes.length - 1] = 10;
  const records = (await logged(bytes)).map((text) => Buffer.from(JSON.parse(`"${text}"`) as string));
  const expected: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(10, at);
    const end = Math.min(newline + 1, at + 16384);
    expected.push(Buffer.from(byGo(bytes.subarray(at, end))));
    at = end;
  }
  assert.deepEqual(records, expected);
});

// Go's rule: every byte that begins no valid sequence is one U+FFFD (JavaScript's decoder makes one of a cut sequence).
function byGo(bytes: Buffer): string {
  let text = '';
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    const length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    try {
      text += decoder.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += '\ufffd';
      at++;
    }
  }
  return text;
}

test('both streams, in their order, a line only when it is whole', async () => {
  const guest = await keeper.start('printf "a"; sleep 0.05; echo "err" >&2; sleep 0.05; printf "b\\nrest"; exit 3', {
    logged: true,
  });
  await guest.ended();
  assert.deepEqual(
    parse(guest.log()).map(({ log, stream }) => [log, stream]),
    [
      ['err\n', 'stderr'],
      ['ab\n', 'stdout'],
      ['rest', 'stdout'],
    ],
  );
});

test('a line is in the file as soon as it ends, and the file is appended to', async () => {
  const path = join(keeper.newDirectory(), 'log');
  writeFileSync(path, '{"log":"old\\n"}\n', { mode: 0o640 });
  const guest = await keeper.start('echo new; read line', { stdin: 'open', log: { path, maxBytes: 0, maxFiles: 1 } });
  await eventually('the line is there', () => readFileSync(path, 'utf8').split('\n').length === 3);
  assert.match(readFileSync(path, 'utf8'), /^\{"log":"old\\n"\}\n\{"log":"new\\n","stream":"stdout"/);
  (await control(guest)).closeStdin();
  await guest.ended();
});

test('rotation by size and count', async (t) => {
  const total = 20_000;
  for (const maxFiles of [1, 2, 5]) {
    await t.test(`${maxFiles} files`, async () => {
      const path = join(keeper.newDirectory(), 'log');
      const guest = await keeper.start(`seq 1 ${total}`, { log: { path, maxBytes: 20_000, maxFiles } });
      await guest.ended();
      const files = [path, ...Array.from({ length: 9 }, (_, i) => `${path}.${i + 1}`)].filter((file) =>
        existsSync(file),
      );
      assert.equal(files.length, maxFiles);
      for (const file of files.slice(1)) {
        const { size } = statSync(file);
        assert.ok(size >= 20_000 && size < 20_100, `${file} has ${size} bytes`);
      }
      const lines = files
        .reverse()
        .flatMap((file) => parse(readFileSync(file, 'utf8')).map((line) => Number(line.log)));
      assert.equal(lines.at(-1), total);
      for (const [i, line] of lines.entries()) assert.equal(line, total - lines.length + 1 + i);
    });
  }
});

test('a client that does not read holds up neither the log nor the guest, and loses nothing', async () => {
  const guest = await keeper.start('seq 1 400000', { logged: true, awaitClients: 1 });
  const slow = connect({ path: join(guest.directory, 'guard.sock') });
  slow.pause();
  slow.write(Buffer.from([3, 0, 0, 0, 1, 2, 0]));
  await eventually('the guest has ended', () => readExit(guest.directory) !== undefined);
  assert.equal(parse(guest.log()).length, 400_000);
  await sleep(100);
  const text = await readAll(slow);
  assert.equal(text, Array.from({ length: 400_000 }, (_, i) => `${i + 1}\n`).join(''));
});

test('fast and slow clients side by side get the same', async () => {
  const guest = await keeper.start('seq 1 300000', { awaitClients: 6 });
  const outputs = Array.from({ length: 6 }, async (_, i) => {
    const socket = connect({ path: join(guest.directory, 'guard.sock') });
    socket.write(Buffer.from([3, 0, 0, 0, 1, 6, 0]));
    let length = 0;
    for await (const chunk of socket) {
      length += (chunk as Buffer).length;
      if (i > 2) await sleep(i);
    }
    return length;
  });
  assert.deepEqual(new Set(await Promise.all(outputs)), new Set([1_988_895]));
});

test('a client that leaves in the midst of it disturbs nobody', async () => {
  const guest = await keeper.start('seq 1 200000', { logged: true, awaitClients: 2 });
  const leaving = connect({ path: join(guest.directory, 'guard.sock') });
  leaving.write(Buffer.from([3, 0, 0, 0, 1, 2, 1]));
  leaving.once('data', () => leaving.destroy());
  assert.equal((await guest.output()).length, 1_288_895);
  await guest.ended();
  assert.equal(parse(guest.log()).length, 200_000);
});

test('bytes that are no frame of a client close its connection only', async () => {
  const guest = await keeper.start('sleep 0.4; echo end', { awaitClients: 1 });
  for (const bytes of [
    [0, 0, 0, 0, 0],
    [255, 255, 255, 255, 1],
    [1, 0, 0, 0, 9],
    [3, 0, 0, 0, 1, 8, 0],
    [2, 0, 0, 0, 2, 1],
    [1, 0, 0, 0, 6],
    [5, 0, 0, 0, 3, 1, 1, 1, 1],
  ]) {
    const socket = connect({ path: join(guest.directory, 'guard.sock') });
    socket.on('error', () => {});
    socket.write(Buffer.from(bytes));
    assert.equal(await readAll(socket), '');
  }
  assert.equal(await guest.output(), 'end\n');
});
