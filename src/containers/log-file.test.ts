import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseTime } from '../base/clock.ts';
import { type LogQuery, readLog } from './log-file.ts';

const everything: LogQuery = { stdout: true, stderr: true, timestamps: false, framed: false };

function line(text: string, second: number, stream = 'stdout'): string {
  return `${JSON.stringify({ log: text, stream, time: time(second) })}\n`;
}

function time(second: number): string {
  return `2026-01-01T00:00:${String(second).padStart(2, '0')}.123456789Z`;
}

async function read(path: string, query: Partial<LogQuery>): Promise<string> {
  const chunks = await readLog(path, { ...everything, ...query }, undefined, new AbortController().signal).toArray();
  return Buffer.concat(chunks).toString();
}

function withLog(): Disposable & { path: string } {
  const directory = mkdtempSync(`${tmpdir()}/holm-log-`);
  return { path: `${directory}/log`, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

test('queries choose by stream, time and number of lines, over rotated files', async () => {
  using log = withLog();
  writeFileSync(`${log.path}.2`, line('one\n', 1) + line('two "quoted"\n', 2));
  writeFileSync(`${log.path}.1`, line('three\\\n', 3, 'stderr') + line('', 4));
  writeFileSync(log.path, line('four\n', 5) + line('partial', 6) + line(' end\n', 7, 'stderr'));
  const cases: [Partial<LogQuery>, string][] = [
    [{}, 'one\ntwo "quoted"\nthree\\\nfour\npartial end\n'],
    [{ stderr: false }, 'one\ntwo "quoted"\nfour\npartial'],
    [{ stdout: false }, 'three\\\n end\n'],
    [{ tail: 2 }, 'partial end\n'],
    [{ tail: 6 }, 'two "quoted"\nthree\\\nfour\npartial end\n'],
    [{ tail: 100 }, 'one\ntwo "quoted"\nthree\\\nfour\npartial end\n'],
    [{ tail: 0 }, ''],
    [{ tail: 2, stdout: false }, 'three\\\n end\n'],
    [{ since: parseTime(time(5))! }, 'four\npartial end\n'],
    [{ until: parseTime(time(2))! }, 'one\ntwo "quoted"\n'],
    [{ tail: 1, timestamps: true }, `${time(7)}  end\n`],
    [{ tail: 1, framed: true }, '\x02\0\0\0\0\0\0\x05 end\n'],
  ];
  for (const [query, expected] of cases)
    assert.equal(
      await read(log.path, query),
      expected,
      JSON.stringify(query, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    );
});

test('a follower sees what is written later, over a rotation, and ends with the guest', async () => {
  using log = withLog();
  writeFileSync(log.path, line('a\n', 1));
  const end = Promise.withResolvers<void>();
  const stream = readLog(log.path, everything, end.promise, new AbortController().signal);
  const all = stream.toArray();
  await sleep(20);
  appendFileSync(log.path, line('b\n', 2));
  await sleep(20);
  renameSync(log.path, `${log.path}.1`);
  writeFileSync(log.path, line('c\n', 3));
  await sleep(20);
  appendFileSync(log.path, line('d\n', 4));
  end.resolve();
  assert.equal(Buffer.concat(await all).toString(), 'a\nb\nc\nd\n');
});

test('a line that is half written is left for later, one that is no json is passed over', async () => {
  using log = withLog();
  writeFileSync(log.path, `not json\n${line('good\n', 1)}{"log":"half`);
  assert.equal(await read(log.path, {}), 'good\n');
});
