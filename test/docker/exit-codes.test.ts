// The exit codes that docker's client gives: 125 the engine could not, 126 not executable, 127 not found, 128+n a signal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

type Case = readonly [name: string, args: readonly string[], code: number, stderr: RegExp];

const cases: readonly Case[] = [
  ['success', ['busybox:test', 'true'], 0, /^$/],
  ["the program's own", ['busybox:test', 'sh', '-c', 'exit 42'], 42, /^$/],
  ['255', ['busybox:test', 'sh', '-c', 'exit 255'], 255, /^$/],
  ['an image that is not there', ['nowhere:never', 'true'], 125, /nowhere:never/],
  [
    'a program that is not there',
    ['busybox:test', 'no-such-program'],
    127,
    /exec: \\?"no-such-program\\?": executable file not found in \$PATH/,
  ],
  ['a path that is not there', ['busybox:test', '/no/such/file'], 127, /\/no\/such\/file.*no such file or directory/],
  ['a file that is not executable', ['busybox:test', '/etc/passwd'], 126, /\/etc\/passwd.*permission denied/],
  ['a directory', ['busybox:test', '/etc'], 126, /\/etc.*(?:permission denied|is a directory)/],
  ['a user that is not there', ['-u', 'nobody-knows', 'busybox:test', 'true'], 125, /unable to find user nobody-knows/],
  ['a negative memory limit', ['-m', '1', 'busybox:test', 'true'], 125, /[Mm]inimum memory limit/],
  ['a capability that is not known', ['--cap-add', 'CAP_FLY', 'busybox:test', 'true'], 125, /CAP_FLY/],
  [
    'a bind source that is not there',
    ['--mount', 'type=bind,src=/no/such/source,dst=/x', 'busybox:test', 'true'],
    125,
    /bind source path does not exist/,
  ],
  [
    'a mount point that is relative',
    ['--mount', 'type=tmpfs,dst=here', 'busybox:test', 'true'],
    125,
    /mount path must be absolute|invalid mount/,
  ],
  ['a network that is not there', ['--network', 'nonet', 'busybox:test', 'true'], 125, /network nonet not found/],
  ['a name that is not allowed', ['--name', '-bad-', 'busybox:test', 'true'], 125, /Invalid container name/],
  ['a sysctl that is not namespaced', ['--sysctl', 'kernel.panic=1', 'busybox:test', 'true'], 125, /kernel\.panic/],
];

for (const [name, args, code, stderr] of cases) {
  test(`docker run gives ${code}: ${name}`, async () => {
    const result = await daemon.docker(['run', '--rm', ...args]);
    assert.equal(result.code, code, result.output);
    assert.match(result.stderr.trim(), stderr);
  });
}

test('nothing is left of a container that could not start', async () => {
  assert.equal(await daemon.succeed(['ps', '-aq']), '');
});

test('a name that is taken is a conflict', async () => {
  await daemon.succeed(['create', '--name', 'taken', 'busybox:test']);
  const result = await daemon.docker(['run', '--name', 'taken', 'busybox:test', 'true']);
  assert.equal(result.code, 125);
  assert.match(
    result.stderr,
    /Conflict\. The container name "\/taken" is already in use by container "?[0-9a-f]{64}"?/,
  );
  await daemon.succeed(['rm', 'taken']);
});

for (const [signal, code] of [
  ['KILL', 137],
  ['TERM', 143],
  ['SEGV', 139],
  ['HUP', 129],
] as const) {
  test(`a program that ends by SIG${signal} gives ${code}`, async () => {
    // A child of process 1, which is exempt from signals without a handler.
    const script = `sh -c 'kill -${signal} $$'; exit $?`;
    assert.equal((await daemon.docker(['run', '--rm', 'busybox:test', 'sh', '-c', script])).code, code);
  });
}

test('docker kill ends `docker run` with 137', async () => {
  const session = daemon.talk(['run', '--name', 'victim', 'busybox:test', 'sh', '-c', 'echo up; sleep 60']);
  await session.waitFor(/up/);
  await daemon.succeed(['kill', 'victim']);
  assert.equal(await session.end(), 137);
  const { State } = await daemon.inspect<{ State: { ExitCode: number; OOMKilled: boolean; Status: string } }>('victim');
  assert.deepEqual([State.Status, State.ExitCode, State.OOMKilled], ['exited', 137, false]);
  await daemon.succeed(['rm', 'victim']);
});

test('a client that gets SIGTERM hands it on', async () => {
  const script = 'trap "echo got it; exit 9" TERM; echo up; while :; do sleep 0.05; done';
  const session = daemon.talk(['run', '--rm', 'busybox:test', 'sh', '-c', script]);
  await session.waitFor(/up/);
  session.signal('SIGTERM');
  assert.equal(await session.end(), 9);
  assert.match(session.stdout, /got it/);
});

test('start of a program that is not there keeps the container, with its error', async () => {
  await daemon.succeed(['create', '--name', 'broken', 'busybox:test', '/gone']);
  const result = await daemon.docker(['start', 'broken']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /\/gone.*no such file or directory/);
  const { State } = await daemon.inspect<{ State: { ExitCode: number; Error: string; Running: boolean } }>('broken');
  assert.equal(State.ExitCode, 127);
  assert.equal(State.Running, false);
  assert.match(State.Error, /\/gone/);
  await daemon.succeed(['rm', 'broken']);
});
