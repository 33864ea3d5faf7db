// Guests do not need holmd: what happens to them while it is away, and what a new one makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const run = (name: string, script: string, options: readonly string[] = []): Promise<string> =>
  daemon.succeed(['run', '-d', '--name', name, ...options, 'busybox:test', 'sh', '-c', script]);
const stateOf = (name: string): Promise<string> =>
  daemon.succeed(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name]);

async function whileAway(milliseconds: number): Promise<void> {
  await daemon.kill9();
  await sleep(milliseconds);
  await daemon.restart();
}

test('a guest that ends meanwhile: its code, its time, its log', async () => {
  await run('ends', 'sleep 0.5; echo last words; exit 7');
  await whileAway(1500);
  assert.equal(await stateOf('ends'), 'exited 7');
  assert.equal(await daemon.succeed(['logs', 'ends']), 'last words');
  assert.equal(await daemon.succeed(['wait', 'ends']), '7');
  const finished = Date.parse(await daemon.succeed(['inspect', '-f', '{{.State.FinishedAt}}', 'ends']));
  assert.ok(Date.now() - finished > 700, 'the end is when it ended, not when holmd came back');
  await daemon.succeed(['rm', 'ends']);
});

test('a guest of --rm that ends meanwhile is removed', async () => {
  await run('brief', 'sleep 0.5', ['--rm', '-v', '/anonymous']);
  await whileAway(1200);
  for (let wait = 0; wait < 40 && (await daemon.succeed(['ps', '-aq'])) !== ''; wait++) await sleep(50);
  assert.equal(await daemon.succeed(['ps', '-aq']), '');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q']), '');
});

test('a guest killed for memory meanwhile is told apart', async () => {
  await run('greedy', 'sleep 0.5; tail /dev/zero', ['-m', '24m', '--memory-swap', '24m']);
  await whileAway(2500);
  assert.equal(
    await daemon.succeed(['inspect', '-f', '{{.State.Status}} {{.State.OOMKilled}}', 'greedy']),
    'exited true',
  );
  await daemon.succeed(['rm', 'greedy']);
});

test('attach, exec, stats, pause and stop work on a guest from before', async () => {
  await run('before', 'while read x; do echo "got $x"; [ "$x" = quit ] && exit 4; done', ['-i']);
  await whileAway(0);
  assert.equal(await stateOf('before'), 'running 0');
  assert.equal(await daemon.succeed(['exec', 'before', 'echo', 'inside']), 'inside');
  assert.match(await daemon.succeed(['stats', '--no-stream', '--format', '{{.PIDs}}', 'before']), /^1$/);
  await using session = daemon.talk(['attach', 'before']);
  await sleep(400);
  session.write('hello\n');
  await session.waitFor(/got hello/);
  session.write('quit\n');
  assert.equal(await session.end(), 4);
  assert.equal(await stateOf('before'), 'exited 4');
  await daemon.succeed(['rm', 'before']);
});

test('a paused guest is still paused', async () => {
  await run('frozen', 'sleep 100');
  await daemon.succeed(['pause', 'frozen']);
  await whileAway(0);
  assert.equal(await stateOf('frozen'), 'paused 0');
  await daemon.succeed(['unpause', 'frozen']);
  await daemon.succeed(['rm', '-f', 'frozen']);
});

test('a follower of a log of before sees what comes', async () => {
  await run('talks', 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done');
  await whileAway(500);
  assert.equal(await daemon.succeed(['logs', '-f', 'talks']), '1\n2\n3\n4\n5\n6');
  await daemon.succeed(['rm', 'talks']);
});

test('a terminal of before takes input and size', async () => {
  await daemon.succeed(['run', '-dit', '--name', 'screen', 'busybox:test', 'sh']);
  await whileAway(0);
  await using session = daemon.talkInTerminal(['attach', 'screen'], [44, 99]);
  await sleep(500);
  session.write('\nstty size\n');
  await session.waitFor(/44 99\r\n/);
  session.write('exit 2\n');
  assert.equal(await session.end(), 2);
  await daemon.succeed(['rm', 'screen']);
});

test('an orderly end leaves guests running too', async () => {
  await run('stays', 'sleep 100');
  const pid = await daemon.succeed(['inspect', '-f', '{{.State.Pid}}', 'stays']);
  await daemon.stop();
  process.kill(Number(pid), 0);
  await daemon.restart();
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.State.Pid}}', 'stays']), pid);
  await daemon.succeed(['rm', '-f', 'stays']);
});

test('images, names, labels and volumes are still there', async () => {
  await daemon.succeed(['create', '--name', 'kept', '-l', 'a=b', '-v', 'data:/d', 'busybox:test', 'cat', '/d/x']);
  await daemon.succeed(['run', '--rm', '-v', 'data:/d', 'busybox:test', 'sh', '-c', 'echo content > /d/x']);
  await whileAway(0);
  assert.equal(await daemon.succeed(['ps', '-a', '--filter', 'label=a=b', '--format', '{{.Names}}']), 'kept');
  assert.equal(await daemon.succeed(['start', '-a', 'kept']), 'content');
  await daemon.succeed(['rm', 'kept']);
});

test('a second holmd on the same directories is refused', async () => {
  await assert.rejects(daemon.secondDaemon(), /another process uses it/);
  assert.equal(await daemon.succeed(['run', '--rm', 'busybox:test', 'echo', 'unharmed']), 'unharmed');
});
