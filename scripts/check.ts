// npm run check: types, style, rooms, unused code, C warnings, unit tests; as many parts at a time as there are CPUs.
// Needs no root and no network. One line a part; the output of a part that failed in full.
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type CommandResult, command } from './command.ts';
import { findProgram } from './debian.ts';
import { formatLine, formatSeconds } from './step.ts';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules/.bin');

interface Part {
  readonly name: string;
  readonly argv: readonly string[];
  /** A few words for the line of a part that passed. */
  readonly tell?: (result: CommandResult) => string;
  /** What to show of a part that failed; all of its output unless told. */
  readonly explain?: (result: CommandResult) => string;
}

const parts: readonly Part[] = [
  {
    name: 'unit tests',
    argv: [
      process.execPath,
      '--test',
      '--test-reporter=spec',
      '--test-timeout=60000',
      'src/**/*.test.ts',
      'scripts/**/*.test.ts',
      'bench/**/*.test.ts',
    ],
    tell: tellTests,
    explain: explainTests,
  },
  { name: 'types', argv: [join(bin, 'tsc'), '-p', '.', '--pretty', 'false'] },
  { name: 'types, page', argv: [join(bin, 'tsc'), '-p', 'src/console/page', '--pretty', 'false'] },
  { name: 'style', argv: [join(bin, 'biome'), 'ci', '--colors=off', '--max-diagnostics=50'] },
  { name: 'unused code', argv: [process.execPath, join(bin, 'knip'), '--no-progress'] },
  ...compilers().map((compiler) => ({
    name: `C warnings, ${compiler}`,
    argv: [
      compiler,
      '-fsyntax-only',
      '-std=gnu11',
      '-Wall',
      '-Wextra',
      '-Werror',
      ...globSync('native/*.c', { cwd: root }),
    ],
  })),
  { name: 'rooms', argv: [process.execPath, 'scripts/check-rooms.ts'], tell: (result) => result.stdout.trim() },
];

function compilers(): readonly string[] {
  const found = ['gcc', 'clang'].filter((name) => findProgram(name) !== undefined);
  return found.length > 0 ? found : ['cc'];
}

// From the lines of node's spec reporter.
function countTests(text: string): TestCount {
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const skipped = [...text.matchAll(/^ *﹣ (.*)$/gm)].map((match) => match[1] ?? '');
  return { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped };
}

function tellTests(result: CommandResult): string {
  const { passed, skipped } = countTests(result.stdout);
  return `${passed} passed, ${skipped.length} skipped`;
}

function explainTests(result: CommandResult): string {
  const at = result.stdout.indexOf('✖ failing tests:');
  return at < 0 ? result.output : `${result.stderr}${result.stdout.slice(at)}`;
}

interface TestCount {
  readonly passed: number;
  readonly failed: number;
  /** Names, with reasons. */
  readonly skipped: readonly string[];
}

export interface CheckResult {
  /** Names of the parts that failed. */
  readonly failed: readonly string[];
  readonly unitTests: TestCount;
}

/** Runs every part to its end. */
export async function check(): Promise<CheckResult> {
  const startedAt = performance.now();
  const waiting = [...parts];
  const failed: string[] = [];
  let unitTests: TestCount = { passed: 0, failed: 0, skipped: [] };
  const worker = async (): Promise<void> => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      const result = await command(part.argv, { cwd: root, timeoutMs: 120_000 });
      const passed = result.code === 0;
      if (part.name === 'unit tests') unitTests = countTests(result.stdout);
      console.log(
        formatLine(passed ? '✓' : '✗', result.milliseconds, part.name, passed ? (part.tell?.(result) ?? '') : ''),
      );
      if (passed) continue;
      failed.push(part.name);
      const shown = part.explain?.(result) ?? result.output;
      console.log(`\n${shown.trim()}${result.timedOut ? '\n(ended after its time limit)' : ''}\n`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  const sum = failed.length === 0 ? 'all well' : `failed: ${failed.join(', ')}`;
  console.log(`check took ${formatSeconds(performance.now() - startedAt)}: ${sum}`);
  return { failed, unitTests };
}

if (import.meta.main && (await check()).failed.length > 0) process.exitCode = 1;
