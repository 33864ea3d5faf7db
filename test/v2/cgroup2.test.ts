// holm on a machine with cgroup v2 alone and Debian's own kernel, whatever this host has: the machine runs the project
// itself, driven by the unmodified docker client, and prints a line for each check of guest/checks.sh. Each is a test here.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { debianKernel } from './debian-kernel.ts';
import { makeDisks } from './disks.ts';
import { runMachine } from './machine.ts';

const timeoutMs = 300_000;

interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly why: string[];
}

interface Report {
  readonly checks: readonly Check[];
  /** How many checks the machine says it made; undefined if it did not come to its end. */
  readonly count: number | undefined;
}

function parseReport(lines: readonly string[]): Report {
  const checks: Check[] = [];
  let count: number | undefined;
  for (const line of lines) {
    const [, not, name] = /^(not )?ok - (.*)$/.exec(line) ?? [];
    if (name !== undefined) checks.push({ name, passed: not === undefined, why: [] });
    else if (line.startsWith('# ')) checks.at(-1)?.why.push(line.slice(2));
    else if (line.startsWith('1..')) count = Number(line.slice(3));
  }
  return { checks, count };
}

if (process.arch === 'x64') {
  const directory = mkdtempSync(join(tmpdir(), 'holm-v2-'));
  let run = { report: '', end: '' };
  try {
    const kernel = await debianKernel();
    run = await runMachine(kernel, await makeDisks(directory, kernel), directory, timeoutMs);
  } finally {
    rmSync(directory, { recursive: true });
  }
  const { checks, count } = parseReport(run.report.split('\n'));
  for (const { name, passed, why } of checks) test(name, () => assert.ok(passed, why.join('\n')));
  test('the machine came to its end', () =>
    assert.equal(checks.length, count, `${run.report.slice(-1000)}\n${run.end}`));
} else {
  test('holm on cgroup v2 alone', { skip: `the machine is an x86-64 one, this host is ${process.arch}` }, () => {});
}
