// `holm run` must send what the docker client sends for the same line, field for field.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseArguments } from '../../src/cli/parse.ts';
import { createBody } from '../../src/cli/run/body.ts';
import { findCommand } from '../../src/cli/table.ts';
import { environment, runLines, writeFiles } from './run-lines.ts';

type Fields = Record<string, unknown>;

interface Recorded {
  readonly line: readonly string[];
  readonly query?: string;
  readonly body?: Fields;
  readonly refused?: string;
}

const recorded = readFileSync(new URL('run-bodies.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);
const first = recorded[0]!.body!;
const directory = mkdtempSync(join(tmpdir(), 'holm-lines-'));
const home = process.cwd();

before(() => {
  writeFiles(directory);
  process.chdir(directory);
  Object.assign(process.env, environment);
});
after(() => {
  process.chdir(home);
  rmSync(directory, { recursive: true, force: true });
});

function bodyOf(line: readonly string[]): Fields {
  const command = findCommand(['run'])!.command;
  const { flags, positionals } = parseArguments(command, line);
  const body = createBody(flags, positionals[0]!, positionals.slice(1), { detach: flags.bool('detach') });
  return JSON.parse(JSON.stringify(body)) as Fields;
}

/** The docker client sends binds in no particular order. */
function sortBinds(body: Fields): Fields {
  ((body.HostConfig as Fields).Binds as string[] | null)?.sort();
  return body;
}

test('every line is recorded', () => {
  assert.deepEqual(
    recorded.map((row) => row.line),
    runLines,
  );
});

for (const { line, body, refused } of recorded) {
  test(`run ${line.join(' ')}`, () => {
    if (refused !== undefined) {
      assert.throws(() => bodyOf(line), { message: refused });
      return;
    }
    const hostConfig = { ...(first.HostConfig as Fields), ...(body!.HostConfig as Fields | undefined) };
    assert.deepEqual(sortBinds(bodyOf(line)), sortBinds({ ...first, ...body, HostConfig: hostConfig }));
  });
}
