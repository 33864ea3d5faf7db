// The life of a container: create, start, stop, kill, restart, pause, wait, rename, rm, and what each says in the wrong state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

interface State {
  readonly Status: string;
  readonly Running: boolean;
  readonly Paused: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

async function stateOf(name: string): Promise<State> {
  return (await daemon.inspect<{ State: State }>(name)).State;
}

function runSleeper(name: string, options: readonly string[] = []): Promise<string> {
  return daemon.succeed(['run', '-d', '--name', name, ...options, 'busybox:test', 'sleep', '300']);
}

test('create, start, stop, start, rm', async () => {
  const id = await daemon.succeed(['create', '--name', 'one', 'busybox:test', 'sleep', '300']);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal((await stateOf('one')).Status, 'created');
  assert.equal((await stateOf('one')).StartedAt, '0001-01-01T00:00:00Z');
  assert.equal(await daemon.succeed(['start', 'one']), 'one');
  const running = await stateOf('one');
  assert.deepEqual([running.Status, running.Running, running.Pid > 1], ['running', true, true]);
  assert.equal(await daemon.succeed(['start', 'one']), 'one', 'starting what runs is no error');
  await daemon.succeed(['stop', '-t', '1', 'one']);
  const stopped = await stateOf('one');
  assert.deepEqual([stopped.Status, stopped.Pid, stopped.ExitCode], ['exited', 0, 137]);
  assert.ok(stopped.FinishedAt > stopped.StartedAt);
  assert.equal(await daemon.succeed(['stop', 'one']), 'one', 'stopping what is stopped is no error');
  await daemon.succeed(['start', 'one']);
  const refused = await daemon.docker(['rm', 'one']);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /container is running.*stop the container before removing or force remove/i);
  await daemon.succeed(['rm', '-f', 'one']);
  assert.match((await daemon.docker(['inspect', 'one'])).stderr, /No such object: one/);
});

test('stop sends the stop signal, and kills after the time', async () => {
  const script = (signal: string): string => `trap 'exit 11' ${signal}; while :; do sleep 0.05; done`;
  await daemon.succeed(['run', '-d', '--name', 'term', 'busybox:test', 'sh', '-c', script('TERM')]);
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'usr1',
    '--stop-signal',
    'USR1',
    'busybox:test',
    'sh',
    '-c',
    script('USR1'),
  ]);
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'deaf',
    '--stop-timeout',
    '1',
    'busybox:test',
    'sh',
    '-c',
    script('HUP'),
  ]);
  await sleep(300);
  const startedAt = Date.now();
  await daemon.succeed(['stop', 'term', 'usr1']);
  assert.ok(Date.now() - startedAt < 5000);
  await daemon.succeed(['stop', 'deaf']);
  assert.ok(Date.now() - startedAt < 8000);
  for (const [name, code] of [
    ['term', 11],
    ['usr1', 11],
    ['deaf', 137],
  ] as const)
    assert.equal((await stateOf(name)).ExitCode, code, name);
  await daemon.succeed(['rm', 'term', 'usr1', 'deaf']);
});

test('kill sends any signal', async () => {
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'target',
    'busybox:test',
    'sh',
    '-c',
    "trap 'echo got' USR2; echo up; while :; do sleep 0.05; done",
  ]);
  await sleep(300);
  await daemon.succeed(['kill', '-s', 'USR2', 'target']);
  await sleep(300);
  assert.equal(await daemon.succeed(['logs', 'target']), 'up\ngot');
  assert.match((await daemon.docker(['kill', '-s', 'NOSUCH', 'target'])).stderr, /[Ii]nvalid signal: NOSUCH/);
  await daemon.succeed(['kill', '-s', '9', 'target']);
  await daemon.succeed(['wait', 'target']);
  assert.match((await daemon.docker(['kill', 'target'])).stderr, /is not running/);
  await daemon.succeed(['rm', 'target']);
});

test('restart gives a new process, and also starts what is stopped', async () => {
  await runSleeper('again');
  const before = await stateOf('again');
  await daemon.succeed(['restart', '-t', '0', 'again']);
  const after = await stateOf('again');
  assert.notEqual(after.Pid, before.Pid);
  assert.ok(after.StartedAt > before.StartedAt);
  await daemon.succeed(['kill', 'again']);
  await daemon.succeed(['wait', 'again']);
  await daemon.succeed(['restart', 'again']);
  assert.equal((await stateOf('again')).Status, 'running');
  await daemon.succeed(['rm', '-f', 'again']);
});

test('pause stops time, unpause lets it go on', async () => {
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'frozen',
    'busybox:test',
    'sh',
    '-c',
    'while :; do echo tick; sleep 0.05; done',
  ]);
  await sleep(300);
  await daemon.succeed(['pause', 'frozen']);
  assert.deepEqual([(await stateOf('frozen')).Status, (await stateOf('frozen')).Paused], ['paused', true]);
  const count = async (): Promise<number> => (await daemon.succeed(['logs', 'frozen'])).split('\n').length;
  await sleep(200);
  const paused = await count();
  await sleep(500);
  assert.equal(await count(), paused);
  assert.match((await daemon.docker(['pause', 'frozen'])).stderr, /is already paused/);
  await daemon.succeed(['unpause', 'frozen']);
  await sleep(500);
  assert.ok((await count()) > paused);
  assert.match((await daemon.docker(['unpause', 'frozen'])).stderr, /is not paused/);
  await daemon.succeed(['pause', 'frozen']);
  await daemon.succeed(['stop', '-t', '1', 'frozen']);
  assert.equal((await stateOf('frozen')).Status, 'exited');
  await daemon.succeed(['rm', 'frozen']);
});

test('wait gives the code, now or later', async () => {
  await daemon.succeed(['run', '-d', '--name', 'later', 'busybox:test', 'sh', '-c', 'sleep 0.7; exit 5']);
  assert.equal(await daemon.succeed(['wait', 'later']), '5');
  assert.equal(await daemon.succeed(['wait', 'later']), '5');
  await daemon.succeed(['rm', 'later']);
});

test('rename', async () => {
  await runSleeper('old');
  await daemon.succeed(['rename', 'old', 'new']);
  assert.equal((await stateOf('new')).Status, 'running');
  assert.match((await daemon.docker(['inspect', 'old'])).stderr, /No such object/);
  await runSleeper('old');
  assert.match((await daemon.docker(['rename', 'old', 'new'])).stderr, /already in use/);
  await daemon.succeed(['rm', '-f', 'old', 'new']);
});

test('--rm removes the container and its anonymous volumes', async () => {
  const before = await daemon.succeed(['volume', 'ls', '-q']);
  await daemon.succeed(['run', '--rm', '--name', 'gone', '-v', '/data', 'busybox:test', 'true']);
  assert.equal(await daemon.succeed(['ps', '-aq', '--filter', 'name=^gone$']), '');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q']), before);
  await daemon.succeed(['run', '-d', '--rm', '--name', 'behind', 'busybox:test', 'sleep', '300']);
  await daemon.succeed(['kill', 'behind']);
  for (let round = 0; round < 100 && (await daemon.succeed(['ps', '-aq'])) !== ''; round++) await sleep(50);
  assert.equal(await daemon.succeed(['ps', '-aq']), '');
});

test('a container is found by the beginning of its id', async () => {
  const id = await runSleeper('found');
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.Id}}', id.slice(0, 8)]), id);
  await daemon.succeed(['rm', '-f', id.slice(0, 12)]);
});

test('what a program wrote stays until rm', async () => {
  await daemon.succeed([
    'create',
    '--name',
    'writer',
    'busybox:test',
    'sh',
    '-c',
    'cat /kept 2>/dev/null; echo x >> /kept',
  ]);
  await daemon.succeed(['start', '-a', 'writer']);
  assert.equal(await daemon.succeed(['start', '-a', 'writer']), 'x');
  assert.equal(await daemon.succeed(['start', '-a', 'writer']), 'x\nx');
  await daemon.succeed(['rm', 'writer']);
});

test('20 containers at once', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `many${index}`);
  await Promise.all(names.map((name) => runSleeper(name)));
  assert.equal((await daemon.succeed(['ps', '-q'])).split('\n').length, 20);
  await daemon.succeed(['rm', '-f', ...names]);
  assert.equal(await daemon.succeed(['ps', '-aq']), '');
});
