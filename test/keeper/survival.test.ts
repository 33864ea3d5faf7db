// A guard needs nobody: its spawner and the process that started it may be killed while the guest runs.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { openAttachment, openControl, readExit } from '../../src/kernel/guard.ts';
import { eventually, isAlive, processesBelow, readAll } from './client.ts';

const binary = process.env.HOLM_KEEPER ?? (await buildKeeper());
const directory = mkdtempSync(join(tmpdir(), 'holm-keeper-'));
after(async () => {
  await eventually('no process is left', () => processesBelow(directory).length === 0);
  rmSync(directory, { recursive: true, force: true });
});

// A process that opens a keeper, starts a guest and then waits to be killed.
const parent = `
  import { openKeeper } from ${JSON.stringify(fileURLToPath(import.meta.resolve('../../src/kernel/keeper.ts')))};
  import { step } from ${JSON.stringify(fileURLToPath(import.meta.resolve('../../src/kernel/steps.ts')))};
  const [binary, directory] = process.argv.slice(-2);
  const keeper = await openKeeper(binary, directory + '/keeper.sock');
  const { pid } = await keeper.start({
    title: 'holm-guard ' + directory, directory, stdin: 'once', spillDirectory: directory, awaitClients: 0, exitFiles: [],
    log: { path: directory + '/log', maxBytes: 0, maxFiles: 1 }, cloneFlags: 0, before: [], after: [],
    stage: [step('exec', [['/bin/sh'], ['sh', '-c', 'echo begin; cat; exit 9'], ['PATH=/usr/bin:/bin']], 'run')],
  });
  console.log(pid);
  setInterval(() => {}, 1000);
`;

async function startParent(): Promise<{ child: ChildProcess; guest: number; guard: number; spawner: number }> {
  rmSync(join(directory, 'exit'), { force: true });
  rmSync(join(directory, 'log'), { force: true });
  const child = spawn(process.execPath, ['--input-type=module', '-e', parent, '--', binary, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const guest = Number(line.toString());
  const guard = parentOf(guest);
  return { child, guest, guard, spawner: parentOf(guard) };
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
}

async function finish(guest: number, guard: number): Promise<void> {
  assert.ok(isAlive(guest) && isAlive(guard));
  const control = await openControl(directory);
  assert.equal(control?.pid, guest);
  const stream = await openAttachment(directory, { stdin: true, stdout: true, stderr: true }, false);
  stream.end('through the orphan\n');
  assert.equal(await readAll(stream), 'through the orphan\n');
  assert.equal((await control.exit)?.code, 9);
  assert.equal(readExit(directory)?.code, 9);
  const lines = readFileSync(join(directory, 'log'), 'utf8').trim().split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { log: string }).log),
    ['begin\n', 'through the orphan\n'],
  );
  await eventually('the guard has left', () => !isAlive(guard) && !existsSync(join(directory, 'guard.sock')));
}

test('the parent is killed: the spawner leaves, the guard does not', async () => {
  const { child, guest, guard, spawner } = await startParent();
  child.kill('SIGKILL');
  await eventually('the spawner has left', () => !isAlive(spawner));
  assert.equal(existsSync(join(directory, 'keeper.sock')), false);
  await finish(guest, guard);
});

test('the spawner is killed', async () => {
  const { child, guest, guard, spawner } = await startParent();
  process.kill(spawner, 'SIGKILL');
  await eventually('the spawner is dead', () => !isAlive(spawner));
  child.kill('SIGKILL');
  await finish(guest, guard);
});

test('the guard is killed: the guest lives on without it, its output gone', async () => {
  const { child, guest, guard } = await startParent();
  process.kill(guard, 'SIGKILL');
  await eventually('the guard is dead', () => !isAlive(guard));
  await eventually('cat has seen the end of its input', () => !isAlive(guest));
  assert.equal(readExit(directory), undefined);
  child.kill('SIGKILL');
  rmSync(join(directory, 'guard.sock'), { force: true });
});
