// Runs whole-system test files, each in a process of its own with a time limit, and reports: one line a file; of a test
// that failed its error, and what its file printed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, command } from './command.ts';
import { formatLine } from './step.ts';
import type { TestLine } from './test-reporter.ts';

export interface TestSum {
  passed: number;
  failed: number;
  skipped: number;
  /** Of each test that failed or was skipped: its file, its name, and why it was skipped. */
  readonly failures: string[];
  readonly skips: string[];
}

export interface TestFilesOptions {
  readonly root: string;
  /** So many files at a time. */
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Said behind a file's name, where the same files run twice. */
  readonly note?: string;
}

/** Runs the files (paths from the root) and adds their tests to the sum. */
export async function runTestFiles(files: readonly string[], options: TestFilesOptions, sum: TestSum): Promise<void> {
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runTestFile(file, options, sum);
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
}

async function runTestFile(file: string, options: TestFilesOptions, sum: TestSum): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holm-report-'));
  const report = join(folder, 'report');
  const reporter = join(import.meta.dirname, 'test-reporter.ts');
  const argv = [process.execPath, `--test-reporter=${reporter}`, `--test-reporter-destination=${report}`, file];
  const result = await command(argv, {
    cwd: options.root,
    timeoutMs: options.fileTimeoutMs,
    env: { ...process.env, ...options.env },
  });
  const lines = readReport(report);
  rmSync(folder, { recursive: true });
  const tests = lines.filter((line) => line.outcome !== 'begun');
  const failure = fileFailure(result, tests, unfinished(lines));
  if (failure !== undefined) tests.push({ name: 'the file itself', outcome: 'failed', reason: failure });
  tell(options.note === undefined ? file : `${file}, ${options.note}`, result, tests, sum);
}

function readReport(path: string): TestLine[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as TestLine);
  } catch {
    return [];
  }
}

// What went wrong beyond the tests themselves: a crash, a hook, the time limit, no test at all.
function fileFailure(result: CommandResult, tests: readonly TestLine[], during: string): string | undefined {
  if (result.timedOut) return `It was ended after ${Math.round(result.milliseconds / 1000)} s${during}`;
  if (result.code !== 0 && !tests.some((test) => test.outcome === 'failed')) return `It ended with ${result.code}`;
  return tests.length === 0 ? 'It has no test' : undefined;
}

function unfinished(lines: readonly TestLine[]): string {
  const begun = lines.filter((line) => line.outcome === 'begun').map((line) => line.name);
  const open = begun.filter((name) => !lines.some((line) => line.outcome !== 'begun' && line.name.endsWith(name)));
  return open.length === 0 ? '' : `, during "${open.join('", "')}"`;
}

function tell(title: string, result: CommandResult, tests: readonly TestLine[], sum: TestSum): void {
  const failed = tests.filter((test) => test.outcome === 'failed');
  const skipped = tests.filter((test) => test.outcome === 'skipped');
  const passed = tests.length - failed.length - skipped.length;
  sum.passed += passed;
  sum.failed += failed.length;
  sum.skipped += skipped.length;
  sum.failures.push(...failed.map((test) => `${title}: ${test.name}`));
  sum.skips.push(...skipped.map((test) => `${title}: ${test.name}: ${test.reason || 'no reason given'}`));

  const counts = [`${passed} passed`, ...countOf(failed, 'failed'), ...countOf(skipped, 'skipped')].join(', ');
  console.log(formatLine(failed.length === 0 ? '✓' : '✗', result.milliseconds, title, counts));
  for (const test of failed) console.log(indent(`✗ ${test.name}\n${indent(test.reason)}`));
  const printed = result.output.trim();
  if (failed.length > 0 && printed !== '') console.log(indent(`It printed:\n${indent(printed)}`));
}

function countOf(tests: readonly TestLine[], word: string): readonly string[] {
  return tests.length === 0 ? [] : [`${tests.length} ${word}`];
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '    ');
}
