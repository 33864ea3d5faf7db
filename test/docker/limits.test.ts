// Limits by cgroup, on whichever version the host has: each is read back from the kernel, and the hard ones are run into.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');

// What the kernel holds for a container's group: the file of version 2, or of version 1 in its controller's hierarchy.
async function readLimit(name: string, controller: string, file: string): Promise<string> {
  const pid = await daemon.succeed(['inspect', '-f', '{{.State.Pid}}', name]);
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const line = lines.find((text) =>
    isUnified ? text.startsWith('0::') : text.split(':')[1]?.split(',').includes(controller),
  );
  const path = line?.split(':').slice(2).join(':');
  return readFileSync(`/sys/fs/cgroup/${isUnified ? '' : controller}${path}/${file}`, 'utf8').trim();
}

type Case = readonly [
  option: readonly string[],
  controller: string,
  v1: readonly [file: string, value: string],
  v2: readonly [file: string, value: string],
];

const cases: readonly Case[] = [
  [['-m', '50m'], 'memory', ['memory.limit_in_bytes', String(50 << 20)], ['memory.max', String(50 << 20)]],
  [
    ['-m', '50m', '--memory-swap', '80m'],
    'memory',
    ['memory.memsw.limit_in_bytes', String(80 << 20)],
    ['memory.swap.max', String(30 << 20)],
  ],
  [
    ['-m', '50m', '--memory-reservation', '20m'],
    'memory',
    ['memory.soft_limit_in_bytes', String(20 << 20)],
    ['memory.low', String(20 << 20)],
  ],
  [['--cpus', '1.5'], 'cpu', ['cpu.cfs_quota_us', '150000'], ['cpu.max', '150000 100000']],
  [
    ['--cpu-period', '50000', '--cpu-quota', '10000'],
    'cpu',
    ['cpu.cfs_period_us', '50000'],
    ['cpu.max', '10000 50000'],
  ],
  [['-c', '512'], 'cpu', ['cpu.shares', '512'], ['cpu.weight', '59']],
  [['--cpuset-cpus', '0'], 'cpuset', ['cpuset.cpus', '0'], ['cpuset.cpus', '0']],
  [['--pids-limit', '33'], 'pids', ['pids.max', '33'], ['pids.max', '33']],
];

for (const [option, controller, v1, v2] of cases) {
  test(`${option.join(' ')} reaches the kernel`, async () => {
    await daemon.succeed(['run', '-d', '--name', 'limited', ...option, 'busybox:test', 'sleep', '60']);
    const [file, value] = isUnified ? v2 : v1;
    const found = await readLimit('limited', controller, file);
    await daemon.succeed(['rm', '-f', 'limited']);
    assert.equal(found, value);
  });
}

test('a program that takes more memory than it may is killed, and told apart', async () => {
  const result = await daemon.docker([
    'run',
    '--name',
    'greedy',
    '-m',
    '24m',
    '--memory-swap',
    '24m',
    'busybox:test',
    'sh',
    '-c',
    'tail /dev/zero',
  ]);
  assert.equal(result.code, 137, result.output);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.State.OOMKilled}}', 'greedy']), 'true');
  await daemon.succeed(['rm', 'greedy']);
});

test('a fork bomb stays within its pids', async () => {
  const script = 'i=0; while [ $i -lt 60 ]; do sleep 20 & i=$((i+1)); done 2>&1 | head -1; ls -d /proc/[0-9]* | wc -l';
  const result = await daemon.docker(
    ['run', '--rm', '--init', '--pids-limit', '20', 'busybox:test', 'sh', '-c', script],
    { timeoutMs: 40_000 },
  );
  assert.match(result.output, /can't fork|Resource temporarily unavailable/);
});

test('--cpuset-cpus is what the program sees', async () => {
  assert.equal(await daemon.succeed(['run', '--rm', '--cpuset-cpus', '1', 'busybox:test', 'nproc']), '1');
});

test('--cpus holds a busy program down', async () => {
  const script = 'timeout 2 sh -c "while :; do :; done"; cat /proc/self/stat | cut -d" " -f16,17';
  const [user = 0, system = 0] = (
    await daemon.succeed(['run', '--rm', '--cpus', '0.2', 'busybox:test', 'sh', '-c', script])
  )
    .split(' ')
    .map(Number);
  assert.ok(user + system < 100, `${user + system} hundredths of a second in two seconds`);
});

test('devices that were not given are denied', async () => {
  const script = 'mknod /tmp/kmsg c 1 11; cat /tmp/kmsg; mknod /tmp/disk b 254 0; head -c 1 /tmp/disk';
  const result = await daemon.docker(['run', '--rm', 'busybox:test', 'sh', '-c', script], { timeoutMs: 10_000 });
  assert.equal(result.stderr.match(/Operation not permitted/g)?.length, 2, result.output);
});

test('the cgroup of the inside is its own root', async () => {
  const stdout = await daemon.succeed(['run', '--rm', 'busybox:test', 'cat', '/proc/self/cgroup']);
  for (const line of stdout.split('\n')) assert.match(line, /:\/$/);
});

test('/sys/fs/cgroup cannot be written', async () => {
  const find = 'find /sys/fs/cgroup -name cgroup.procs | head -1';
  const result = await daemon.docker([
    'run',
    '--rm',
    'busybox:test',
    'sh',
    '-c',
    `f=$(${find}); [ -n "$f" ] && echo 1 > $f`,
  ]);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /Read-only file system/);
});
