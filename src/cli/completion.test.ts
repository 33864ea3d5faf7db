import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { shells } from './completion.ts';
import { formatCommandHelp, formatManual } from './help.ts';
import { commands } from './table.ts';

/** How each shell reads a script without running it. */
const readers: Readonly<Record<string, readonly string[]>> = {
  bash: ['-n'],
  zsh: ['-n'],
  fish: ['--no-execute'],
};

for (const [shell, format] of Object.entries(shells))
  test(`${shell} reads its completion script`, (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'holm-completion-'));
    try {
      const script = join(directory, `holm.${shell}`);
      writeFileSync(script, format());
      const { error, status, stderr } = spawnSync(shell, [...readers[shell]!, script]);
      if (error !== undefined) return context.skip(`${shell} is not installed`);
      assert.equal(stderr.toString(), '');
      assert.equal(status, 0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

test('bash completes from the table', () => {
  const cases: [string[], string[], string[]][] = [
    [['holm', 'ru'], ['run'], []],
    [['holm', 'container', 'in'], ['inspect'], []],
    [['holm', 'run', '--net'], ['--network', '--network-alias'], []],
    [['holm', 'run', '--pull', ''], ['always', 'missing', 'never'], []],
    [['holm', 'completion', ''], ['bash', 'zsh', 'fish'], []],
    [['holm', 'volume', 'ls', '-'], ['-f', '--filter', '--format', '-q', '--quiet', '--help'], []],
    [['holm', 'run', '--name', 'x', '--rm', '--re'], ['--read-only', '--restart'], []],
  ];
  for (const [words, expected] of cases) {
    const script = `${shells.bash!()}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _holm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', script, 'bash', ...words]);
    assert.deepEqual(stdout.toString().trim().split('\n'), expected, words.join(' '));
  }
});

test('help tells every flag', () => {
  for (const command of commands) {
    const help = formatCommandHelp(command, 100);
    for (const flag of command.flags) assert.ok(help.includes(`--${flag.name}`), `${command.name} --${flag.name}`);
  }
});

test('docs/holm.md is what the table says: `bin/holm help --markdown > docs/holm.md`', () => {
  assert.equal(readFileSync(new URL('../../docs/holm.md', import.meta.url), 'utf8'), formatManual());
});
