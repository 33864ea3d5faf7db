// docker exec: a second program in a running container, with what belongs to it.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

before(async () => {
  const options = ['-e', 'OWN=container', '-w', '/tmp', '--cap-drop', 'CHOWN', '--name', 'box'];
  await daemon.succeed(['run', '-d', ...options, 'busybox:test', 'sleep', '300']);
});

type Case = readonly [
  name: string,
  options: readonly string[],
  command: readonly string[],
  stdout: string | RegExp,
  code?: number,
];

const cases: readonly Case[] = [
  ['output', [], ['echo', 'hello'], 'hello'],
  ['the code', [], ['sh', '-c', 'exit 9'], '', 9],
  ["the container's variables", [], ['sh', '-c', 'echo $OWN'], 'container'],
  ['-e', ['-e', 'OWN=exec', '-e', 'MORE=1'], ['sh', '-c', 'echo $OWN $MORE'], 'exec 1'],
  ["the container's directory", [], ['pwd'], '/tmp'],
  ['-w', ['-w', '/etc'], ['pwd'], '/etc'],
  ['-u', ['-u', 'alice'], ['id', '-un'], 'alice'],
  ['-u brings groups', ['-u', 'alice'], ['id', '-G'], '1000 29 50'],
  ["the container's processes", [], ['sh', '-c', "cat /proc/1/cmdline | tr '\\0' ' '"], 'sleep 300 '],
  ["the container's capabilities", [], ['grep', 'CapEff', '/proc/self/status'], 'CapEff:\t00000000a80425fa'],
  ['--privileged', ['--privileged'], ['sh', '-c', 'grep -c "CapEff:.*00000000a80425fa" /proc/self/status'], '0', 1],
  ['seccomp is on', [], ['grep', '^Seccomp:', '/proc/self/status'], 'Seccomp:\t2'],
  [
    "the container's namespaces",
    [],
    [
      'sh',
      '-c',
      'for k in cgroup ipc mnt net pid uts; do [ $(readlink /proc/1/ns/$k) = $(readlink /proc/self/ns/$k) ] || echo $k; done',
    ],
    '',
  ],
  [
    "the container's cgroup",
    [],
    ['sh', '-c', '[ "$(cat /proc/1/cgroup)" = "$(cat /proc/self/cgroup)" ] && echo same'],
    'same',
  ],
];

for (const [name, options, argv, expected, code = 0] of cases) {
  test(`docker exec: ${name}`, async () => {
    const result = await daemon.docker(['exec', ...options, 'box', ...argv]);
    assert.equal(result.code, code, result.output);
    const stdout = result.stdout.replace(/\n$/, '');
    if (typeof expected === 'string') assert.equal(stdout, expected, result.stderr);
    else assert.match(stdout, expected);
  });
}

const failures: readonly (readonly [name: string, args: readonly string[], code: number, output: RegExp])[] = [
  [
    'a program that is not there',
    ['box', 'no-such-program'],
    127,
    /no-such-program.*executable file not found in \$PATH/,
  ],
  ['a file that is not executable', ['box', '/etc/passwd'], 126, /permission denied/],
  ['a directory that is not there', ['-w', '/not/there', 'box', 'true'], 127, /\/not\/there|chdir to cwd/],
  ['a user that is not there', ['-u', 'ghost', 'box', 'true'], 126, /unable to find user ghost/],
  ['a container that is not there', ['nobox', 'true'], 1, /No such container: nobox/],
];

for (const [name, args, code, expected] of failures) {
  test(`docker exec fails: ${name}`, async () => {
    const result = await daemon.docker(['exec', ...args]);
    assert.match(result.output, expected);
    assert.ok(
      result.code === code || (code > 125 && [126, 127].includes(result.code)),
      `code ${result.code}: ${result.output}`,
    );
  });
}

test('-i: input, its end, and output after it', async () => {
  const script = 'cat; sleep 0.2; echo after';
  assert.equal(await daemon.succeed(['exec', '-i', 'box', 'sh', '-c', script], { stdin: 'in\n' }), 'in\nafter');
});

test('output and errors stay apart', async () => {
  const result = await daemon.docker(['exec', 'box', 'sh', '-c', 'echo out; echo err >&2']);
  assert.deepEqual([result.stdout, result.stderr], ['out\n', 'err\n']);
});

test('16 MiB come out complete', async () => {
  const result = await daemon.docker(['exec', 'box', 'dd', 'if=/dev/zero', 'bs=1M', 'count=16']);
  assert.equal(result.stdout.length, 16 << 20);
});

test('-d runs on behind', async () => {
  await daemon.succeed(['exec', '-d', 'box', 'sh', '-c', 'sleep 0.3; echo done > /tmp/behind']);
  await sleep(1000);
  assert.equal(await daemon.succeed(['exec', 'box', 'cat', '/tmp/behind']), 'done');
});

test('output of an exec is not in the log', async () => {
  assert.equal(await daemon.succeed(['logs', 'box']), '');
});

test('many at once', async () => {
  const numbers = Array.from({ length: 20 }, (_, index) => String(index));
  const results = await Promise.all(numbers.map((number) => daemon.succeed(['exec', 'box', 'echo', number])));
  assert.deepEqual(results, numbers);
});

test('an exec ends with its container', async () => {
  await daemon.succeed(['run', '-d', '--name', 'short', 'busybox:test', 'sleep', '300']);
  const session = daemon.talk(['exec', 'short', 'sh', '-c', 'echo up; sleep 300']);
  await session.waitFor(/up/);
  await daemon.succeed(['kill', 'short']);
  assert.equal(await session.end(), 137);
  const result = await daemon.docker(['exec', 'short', 'true']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /is not running/);
  await daemon.succeed(['rm', 'short']);
});

test('an exec in a paused container is refused', async () => {
  await daemon.succeed(['pause', 'box']);
  const result = await daemon.docker(['exec', 'box', 'true']);
  await daemon.succeed(['unpause', 'box']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /is paused, unpause the container before exec/);
});
