// Mutated programs, starts and archives against the decoder and the tar reader, under the sanitizers.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { keeperSources } from '../../scripts/build-keeper.ts';
import { type Program, register, step } from '../../src/kernel/steps.ts';
import { encodeProgram, encodeStart } from '../../src/kernel/wire.ts';
import { shell } from './client.ts';
import { tar } from './tar.ts';

const run = promisify(execFile);
const native = join(import.meta.dirname, '../../native');
const secondsEach = 4;

const program: Program = [
  step('mount', ['a', 'b', null, 1, 'c'], 'x', { tolerate: [2, 17], skipOnFailure: 1, result: register(3) }),
  step('chdir', [{ prefix: '/proc/self/fd/', register: register(3), suffix: '/x' }], 'x'),
  step('statx', [-100, '/x', 0, 0, { outBytes: 256 }], 'x', { tolerate: 'any' }),
  step(
    'netlink',
    [
      register(1),
      {
        bytes: Buffer.alloc(40, 7),
        patches: [
          { offset: 4, register: register(1) },
          { offset: 36, register: register(2) },
        ],
      },
      1,
    ],
    'x',
  ),
  step('setgroups', [1, Buffer.from([1, 0, 0, 0])], 'x'),
];
const start = encodeStart({
  title: 'title',
  directory: '/directory',
  terminal: { rows: 24, columns: 80 },
  stdin: 'once',
  log: { path: '/log', maxBytes: 10, maxFiles: 3 },
  spillDirectory: '/tmp',
  awaitClients: 1,
  exitFiles: ['/a', '/b'],
  cloneFlags: 0x20000000,
  cgroup: register(5),
  before: program,
  after: program.slice(1, 3),
  stage: [step('await_guard', [], 'x'), step('open_terminal', ['/dev/ptmx', 0, 0], 'x'), ...shell('true')],
});
const archives = [
  tar(
    { name: 'd/', type: '5', mode: 0o755 },
    { name: 'd/f', data: 'content' },
    { name: 'h', type: '1', link: 'd/f' },
    { name: 's', type: '2', link: 'd' },
  ),
  tar(
    { name: 'x', pax: { path: 'a/b/c', mtime: '1.5', uid: '5', 'SCHILY.xattr.user.x': 'y' }, data: 'x'.repeat(700) },
    { name: 'c', type: '3', device: [1, 3] },
  ),
  tar(
    { name: 'l', type: 'L', data: 'g/'.repeat(90) },
    { name: 'y' },
    { name: 'd/.wh.gone' },
    { name: 'd/.wh..wh..opq' },
    { name: 'p', type: '6' },
  ),
];

test('the decoder and the tar reader stand mutated input', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holm-fuzz-'));
  try {
    const sources = (await keeperSources()).filter((path) => path.endsWith('.c') && basename(path) !== 'main.c');
    const binary = join(directory, 'fuzz');
    const options = [
      '-std=gnu11',
      '-O1',
      '-g',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
      '-Wall',
      '-Wextra',
      '-Werror',
    ];
    await run(process.env.CC ?? 'cc', [
      ...options,
      ...sources,
      join(native, 'fuzz/fuzz.c'),
      join(native, 'fuzz/standalone.c'),
      '-o',
      binary,
    ]);
    const inputs = [
      Buffer.concat([Buffer.of(0), encodeProgram(program)]),
      Buffer.concat([Buffer.of(1), start]),
      ...archives.map((archive) => Buffer.concat([Buffer.of(2), archive])),
    ];
    const seeds = inputs.map((bytes, i) => {
      writeFileSync(join(directory, `seed${i}`), bytes);
      return join(directory, `seed${i}`);
    });
    const rounds: [string, string[]][] = [
      ['decoder', seeds.slice(0, 2)],
      ['archives', seeds.slice(2)],
    ];
    for (const [name, files] of rounds) {
      const random = Date.now() % 1_000_000_000;
      const crash = (): string =>
        `${name}, seed ${random}, input ${readFileSync(join(directory, 'crash')).toString('base64')}`;
      const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
      const ended = await run(binary, [`${secondsEach}`, `${random}`, ...files], { cwd: directory, env }).catch(
        (error: Error) => {
          assert.fail(`${error.message}\n${crash()}`);
        },
      );
      assert.ok(Number(ended.stdout) > 1000, `${name}: ${ended.stdout.trim()} inputs`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
