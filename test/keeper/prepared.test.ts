// PREPARE and GO: a guest that is begun before it is known, and becomes the one of the second start.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAttachment, readExit } from '../../src/kernel/guard.ts';
import type { Prepared } from '../../src/kernel/kernel.ts';
import { type Program, register, type Start, step } from '../../src/kernel/steps.ts';
import { eventually, exitOf, readAll, shell, testKeeper } from './client.ts';

const keeper = await testKeeper();
const CLONE_NEWPID = 0x20000000;

function startIn(directory: string, change: Partial<Start>): Start {
  return {
    title: `holm-guard ${directory}`,
    directory,
    stdin: 'open',
    spillDirectory: directory,
    awaitClients: 0,
    exitFiles: [],
    cloneFlags: 0,
    before: [],
    after: [],
    stage: [],
    ...change,
  };
}

async function prepare(stage: Program = []): Promise<{ directory: string; prepared: Prepared }> {
  const directory = keeper.newDirectory();
  const prepared = await keeper.kernel.prepare(startIn(directory, { cloneFlags: CLONE_NEWPID, stage }));
  return { directory, prepared };
}

test('the rest finds the process as the beginning left it: umask, registers, namespaces', async () => {
  const kept = register(3);
  const { directory, prepared } = await prepare([
    step('umask', [0o077], 'set the umask'),
    step('openat2', [-100, '/etc/hostname', new Uint8Array(24), 24], 'open a file', { result: kept }),
  ]);
  assert.ok(prepared.isWaiting);
  const stage = [
    step('dup3', [kept, 9, 0], 'keep the file'),
    ...shell('umask; echo $$; test -e /proc/self/fd/9; echo $?'),
  ];
  await prepared.go(startIn(directory, { stage, awaitClients: 1 }));
  const stream = await openAttachment(directory, { stdin: false, stdout: true, stderr: true }, false);
  // Descriptors above the standard ones are closed at execve only if they say so; dup3 without O_CLOEXEC does not.
  assert.match(await readAll(stream), /^0077\n1\n/);
  assert.equal((await exitOf(directory)).code, 0);
});

test('standard input that the rest does not want is at its end; the log is the rest’s', async () => {
  const { directory, prepared } = await prepare();
  const log = { path: join(directory, 'log'), maxBytes: 0, maxFiles: 1 };
  await prepared.go(startIn(directory, { stdin: 'none', log, stage: shell('cat; echo logged; exit 3') }));
  assert.equal((await exitOf(directory)).code, 3);
  assert.ok(existsSync(log.path));
});

test('a rest that fails is told with its step, and nothing is left', async () => {
  const { directory, prepared } = await prepare();
  const stage = [step('chdir', ['/nowhere'], 'enter "/nowhere"')];
  await assert.rejects(prepared.go(startIn(directory, { stage })), /Cannot enter "\/nowhere": ENOENT from chdir/);
  await eventually('the socket is gone', () => !existsSync(join(directory, 'guard.sock')));
  assert.throws(() => process.kill(prepared.pid, 0));
});

test('a beginning that fails is told, too', async () => {
  await assert.rejects(prepare([step('chdir', ['/nowhere'], 'enter "/nowhere"')]), /ENOENT from chdir/);
});

test('who is given up ends; so does one whose stage was killed', async () => {
  const first = await prepare();
  await first.prepared.close();
  await eventually('the stage is gone', () => !existsSync(`/proc/${first.prepared.pid}`));
  assert.ok(!first.prepared.isWaiting);
  const second = await prepare();
  process.kill(second.prepared.pid, 'SIGKILL');
  await eventually('the guard has left', () => !second.prepared.isWaiting);
  await assert.rejects(second.prepared.go(startIn(second.directory, { stage: shell('true') })));
});

test('the end is told on the connection of the GO', async () => {
  const { directory, prepared } = await prepare();
  const { pid, end } = await prepared.go(startIn(directory, { stage: shell('exit 4') }));
  assert.equal(pid, prepared.pid);
  assert.deepEqual((await end)?.record, readExit(directory));
  assert.equal((await end)?.record?.code, 4);
});

test('a rest beyond the size of one message is refused, not cut', async () => {
  const { directory, prepared } = await prepare();
  const environment = Array.from({ length: 40 }, (_, at) => `V${at}=${'x'.repeat(10_000)}`);
  const stage = [step('exec', [['/bin/sh'], ['sh', '-c', 'exit 0'], environment], 'run a shell')];
  await assert.rejects(prepared.go(startIn(directory, { stage })));
});
