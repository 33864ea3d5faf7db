// Containers with clocks of their own: since boot and monotonic, set off from the host's; shared with another container, or the host's.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const image = 'busybox:test';
const seconds = 1_000_000;
const ahead = ['--annotation', `holm.time.boottime=${seconds}.25`, '--annotation', 'holm.time.monotonic=-2.5'] as const;

/** The host's time since boot. */
function hostUptime(): number {
  return Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));
}

/** What `cat /proc/uptime` says in a container, less what the host says: within a few seconds of the offset. */
async function offsetIn(args: readonly string[]): Promise<number> {
  const before = hostUptime();
  const inside = Number.parseFloat(await daemon.succeed([...args, 'cat', '/proc/uptime']));
  assert.ok(inside >= before);
  return Math.floor((inside - before) / 100) * 100;
}

async function timeNamespaceOf(name: string): Promise<string> {
  const { State } = await daemon.inspect<{ State: { Pid: number } }>(name);
  return readlinkSync(`/proc/${State.Pid}/ns/time`);
}

for (const [name, users] of [
  ['of the host’s users', []],
  ['of users of its own', ['--annotation', 'holm.userns=auto']],
] as const) {
  test(`offsets of a container ${name}: its processes, execs, and who shares its time`, async () => {
    const own = readlinkSync('/proc/self/ns/time');
    await daemon.succeed(['run', '-d', '--name', 'ahead', ...users, ...ahead, image, 'sleep', '1000']);
    const offsets = await daemon.succeed(['exec', 'ahead', 'cat', '/proc/1/timens_offsets']);
    assert.deepEqual(
      offsets.split('\n').map((line) => line.trim().split(/\s+/)),
      [
        ['monotonic', '-3', '500000000'],
        ['boottime', String(seconds), '250000000'],
      ],
    );
    assert.notEqual(await timeNamespaceOf('ahead'), own);
    assert.equal(await offsetIn(['exec', 'ahead']), seconds);
    const joined = ['run', '--rm', '--annotation', 'holm.time=container:ahead', image];
    assert.equal(await offsetIn(joined), seconds);
    assert.equal(readlinkSync('/proc/self/ns/time'), own);
    const { HostConfig } = await daemon.inspect<{ HostConfig: { TimeMode: string; TimeOffsets: object } }>('ahead');
    assert.equal(HostConfig.TimeMode, 'private');
    assert.deepEqual(HostConfig.TimeOffsets, { Boottime: `${seconds}.25`, Monotonic: '-2.5' });
    await daemon.succeed(['restart', '-t', '0', 'ahead']);
    assert.equal(await offsetIn(['exec', 'ahead']), seconds);
    await daemon.succeed(['rm', '-f', 'ahead']);
  });
}

test('a container that says nothing, or host, has the host’s clocks, also after one that had others', async () => {
  assert.equal(await offsetIn(['run', '--rm', ...ahead, image]), seconds);
  // A container prepared for the next start must not have the clocks of the last.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await offsetIn(['run', '--rm', '--annotation', 'holm.time.boottime=5000', image]), 5000);
  for (const options of [[], ['--annotation', 'holm.time=host']])
    assert.equal(await offsetIn(['run', '--rm', ...options, image]), 0);
});

test('the time since a start is right inside and outside', async () => {
  await daemon.succeed(['run', '-d', '--name', 'aged', ...ahead, image, 'sleep', '1000']);
  assert.match(await daemon.succeed(['ps', '--format', '{{.Status}}']), /^Up (Less than a second|\d+ seconds?)$/);
  const script = "awk -v up=$(cut -d. -f1 /proc/uptime) '{ print up - int($22 / 100) }' /proc/1/stat";
  assert.ok(Number(await daemon.succeed(['exec', 'aged', 'sh', '-c', script])) < 60);
  await daemon.succeed(['rm', '-f', 'aged']);
});

test('what cannot be is refused', async () => {
  const cases: readonly (readonly [annotations: readonly string[], stderr: RegExp])[] = [
    [['holm.time.boottime=soon'], /invalid time offset since boot "soon": must be seconds/],
    [['holm.time=host', 'holm.time.boottime=1'], /conflicting options: time offsets and time namespace mode host/],
    [['holm.time=other'], /invalid time namespace mode: other/],
    [['holm.time=container:nobody'], /No such container: nobody/],
    [['holm.time.boottime=-4000000000'], /Cannot set the clocks off by .*: ERANGE/],
  ];
  for (const [annotations, stderr] of cases) {
    const options = annotations.flatMap((text) => ['--annotation', text]);
    const result = await daemon.docker(['run', '--rm', ...options, image, 'true']);
    assert.equal(result.code, 125, annotations.join());
    assert.match(result.stderr, stderr);
  }
});

test('holm’s own flags ask for the same', async () => {
  const options = ['--time', 'private', '--time-boottime', String(seconds)];
  const { stdout } = await daemon.holm(['run', '--rm', ...options, image, 'cat', '/proc/self/timens_offsets']);
  assert.match(stdout, new RegExp(`boottime +${seconds} +0`));
  const explained = await daemon.holm(['explain', 'run', ...options, image, 'true']);
  assert.match(explained.stdout, /make a time namespace[\s\S]*fixed once a process is inside/);
});
