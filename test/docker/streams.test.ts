// Standard input, output and errors through docker's client: apart, complete, with half-close, for many clients.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

test('output and errors stay apart', async () => {
  const result = await daemon.docker(['run', '--rm', 'busybox:test', 'sh', '-c', 'echo out; echo err >&2']);
  assert.deepEqual([result.stdout, result.stderr], ['out\n', 'err\n']);
});

test('-a stdout takes only that', async () => {
  const result = await daemon.docker([
    'run',
    '--rm',
    '-a',
    'stdout',
    'busybox:test',
    'sh',
    '-c',
    'echo out; echo err >&2',
  ]);
  assert.deepEqual([result.stdout, result.stderr], ['out\n', '']);
});

test('without -i standard input is empty', async () => {
  const result = await daemon.docker(['run', '--rm', 'busybox:test', 'wc', '-c'], { stdin: 'not for you' });
  assert.equal(result.stdout.trim(), '0');
});

test('-i gives standard input, and its end', async () => {
  assert.equal(await daemon.succeed(['run', '-i', '--rm', 'busybox:test', 'cat'], { stdin: 'one\ntwo\n' }), 'one\ntwo');
});

test('output goes on after the end of input', async () => {
  const script = 'cat; sleep 0.3; echo after; sleep 0.3; echo later';
  const stdout = await daemon.succeed(['run', '-i', '--rm', 'busybox:test', 'sh', '-c', script], { stdin: 'in\n' });
  assert.equal(stdout, 'in\nafter\nlater');
});

test('32 MiB of bytes go in and come out unchanged', async () => {
  const bytes = randomBytes(32 << 20);
  const sum = createHash('sha256').update(bytes).digest('hex');
  const counted = await daemon.succeed(['run', '-i', '--rm', 'busybox:test', 'sha256sum'], { stdin: bytes });
  assert.equal(counted.split(' ')[0], sum);
  const through = await daemon.succeed(['run', '-i', '--rm', 'busybox:test', 'sh', '-c', 'cat | base64 -w 0'], {
    stdin: bytes,
  });
  assert.equal(createHash('sha256').update(Buffer.from(through, 'base64')).digest('hex'), sum);
});

test('all output of a program that ends at once arrives', async () => {
  for (let round = 0; round < 20; round++) {
    assert.equal(await daemon.succeed(['run', '--rm', 'busybox:test', 'echo', String(round)]), String(round));
  }
});

test('64 MiB of output arrive, and the program is not held up by a client that left', async () => {
  const script = 'dd if=/dev/zero bs=1M count=64 2>/dev/null';
  const result = await daemon.docker(['run', '--rm', 'busybox:test', 'sh', '-c', script]);
  assert.equal(result.stdout.length, 64 << 20);
  const session = daemon.talk(['run', '--name', 'left', 'busybox:test', 'sh', '-c', 'echo up; sleep 0.3; seq 300000']);
  await session.waitFor(/up/);
  session.kill();
  assert.equal(await daemon.succeed(['wait', 'left'], { timeoutMs: 20_000 }), '0');
  const logged = await daemon.succeed(['logs', 'left']);
  assert.equal(logged.split('\n').length, 300_001);
  await daemon.succeed(['rm', 'left']);
});

test('attach joins a running container, many at a time; input stays open for the next', async () => {
  const script = 'while read line; do echo "got $line"; [ "$line" = quit ] && exit 3; done; echo end of input';
  await daemon.succeed(['run', '-d', '-i', '--name', 'shared', 'busybox:test', 'sh', '-c', script]);
  await using first = daemon.talk(['attach', 'shared']);
  await using second = daemon.talk(['attach', '--no-stdin', 'shared']);
  await sleep(500);
  first.write('hello\n');
  await first.waitFor(/got hello/);
  await second.waitFor(/got hello/);
  first.kill();
  await using third = daemon.talk(['attach', 'shared']);
  await sleep(300);
  third.write('quit\n');
  assert.equal(await third.end(), 3);
  assert.equal(await second.end(), 3);
  assert.equal(await daemon.succeed(['logs', 'shared']), 'got hello\ngot quit');
  await daemon.succeed(['rm', 'shared']);
});

test('start -a shows output and gives the code; start -i gives input', async () => {
  await daemon.succeed(['create', '-i', '--name', 'again', 'busybox:test', 'sh', '-c', 'cat; exit 3']);
  for (const text of ['first', 'second']) {
    const result = await daemon.docker(['start', '-ai', 'again'], { stdin: text });
    assert.deepEqual([result.stdout, result.code], [text, 3]);
  }
  await daemon.succeed(['rm', 'again']);
});

test('attach to a container that does not run is refused', async () => {
  await daemon.succeed(['create', '--name', 'idle', 'busybox:test']);
  const result = await daemon.docker(['attach', 'idle']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /cannot attach to a stopped container/i);
  await daemon.succeed(['rm', 'idle']);
});
