// What a keeper costs and where it builds: memory of many guards, other CPU types, and the init for --init.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { control, sanitized, testKeeper } from './client.ts';

const keeper = await testKeeper();
const run = promisify(execFile);

function pssBytes(pid: number): number {
  return 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]);
}

// The sanitizers' own memory would be measured.
if (!sanitized) {
  test('a guard takes at most 0.2 MB', async () => {
    const script = 'seq 1 50000; seq 1 50000 >&2; read line';
    const guests = await Promise.all(
      Array.from({ length: 20 }, () => keeper.start(script, { stdin: 'open', logged: true })),
    );
    const outputs = guests.map((guest) => guest.output());
    await sleep(1500);
    const sizes = guests.map((guest) =>
      pssBytes(Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${guest.pid}/status`, 'latin1'))![1])),
    );
    for (const guest of guests) (await control(guest)).closeStdin();
    await Promise.all(outputs);
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    assert.ok(mean <= 200_000, `the mean is ${mean} bytes`);
  });

  test('the spawner takes no more memory after many guests', async () => {
    for (let i = 0; i < 30; i++) await (await keeper.start('true')).ended();
    const before = pssBytes(keeper.spawnerPid);
    for (let i = 0; i < 300; i++) await keeper.start('true');
    await sleep(200);
    const grown = pssBytes(keeper.spawnerPid) - before;
    assert.ok(grown < 100_000, `it grew by ${grown} bytes`);
  });
}

test('the spawner leaks no descriptor', async () => {
  const count = (): number =>
    Number(execFileSync('/bin/sh', ['-c', `ls /proc/${keeper.spawnerPid}/fd | wc -l`], { encoding: 'latin1' }));
  await (await keeper.start('true')).ended();
  await sleep(50);
  const before = count();
  for (let i = 0; i < 20; i++) {
    await keeper.start('true');
    await keeper.start('true', { stage: [] }).catch(() => {});
    const fork = keeper.kernel.fork([]);
    await fork.outcome;
    fork.close();
  }
  await sleep(100);
  assert.equal(count(), before);
});

for (const [compiler, machine] of [
  ['aarch64-linux-gnu-gcc', 183],
  ['riscv64-linux-gnu-gcc', 243],
] as const) {
  const found = (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, compiler)));
  test(`it compiles with ${compiler}`, { skip: found ? false : `${compiler} is not installed` }, async () => {
    const path = await buildKeeper({ compiler, path: join(keeper.directory, compiler) });
    assert.equal(readFileSync(path).readUInt16LE(18), machine);
  });
}

test('the build says what is missing', async () => {
  const path = join(keeper.directory, 'never');
  await assert.rejects(buildKeeper({ compiler: 'no-such-cc', path }), {
    name: 'HolmError',
    kind: 'unavailable',
    message: 'Cannot compile the keeper: there is no C compiler "no-such-cc"; install gcc',
  });
  assert.throws(() => accessSync(path));
});

test('init: the status of its command, signals passed on, strays reaped', async (t) => {
  const init = (...command: string[]): Promise<unknown> => run(keeper.binary, ['init', '--', ...command]);
  const cases: [string[], number | undefined][] = [
    [['true'], undefined],
    [['sh', '-c', 'exit 7'], 7],
    [['sh', '-c', 'kill -9 $$'], 137],
    [['/no/such'], 127],
    [['/etc'], 126],
  ];
  for (const [command, code] of cases) {
    await t.test(command.join(' '), async () => {
      const error = await init(...command).then(
        () => undefined,
        (failed: { code: number }) => failed,
      );
      assert.equal(error?.code, code);
    });
  }
  await t.test('SIGTERM reaches the command', async () => {
    const child = spawn(
      keeper.binary,
      ['init', '--', 'sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.02; done'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [5, null]);
  });
  await t.test('as the first process it reaps what is left to it', async () => {
    const guest = await keeper.start('', {
      cloneFlags: 0x20000000 | 0x20000,
      awaitClients: 1,
      stage: [
        { call: 'mount', args: ['proc', '/proc', 'proc', 0, null], what: 'mount /proc' },
        {
          call: 'exec',
          args: [
            [keeper.binary],
            ['init', 'init', '--', 'sh', '-c', '(sleep 0.05 & ); sleep 0.2; ls -d /proc/[0-9]* | wc -l'],
            ['PATH=/bin:/usr/bin'],
          ],
          what: 'run init',
        },
      ],
    });
    assert.equal(await guest.output(), '4\n'); // init, sh, ls, wc
    assert.equal((await guest.ended()).code, 0);
  });
});
