// Ends that are not simple: processes that outlive the first one, starts and removals that meet, output that has a slow reader.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

async function eventually(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let left = 100; left > 0; left--) {
    if (await is()) return;
    await sleep(100);
  }
  assert.fail(what);
}

function runs(mark: string): boolean {
  return readdirSync('/proc').some((pid) => {
    const path = `/proc/${pid}/cmdline`;
    return /^\d+$/.test(pid) && existsSync(path) && readCommand(path).includes(mark);
  });
}

function readCommand(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

test('what outlives the first process in the host’s pid namespace ends with the container', async () => {
  await daemon.succeed(['run', '--rm', '--pid', 'host', 'busybox:test', 'sh', '-c', 'sleep 98765 & exit 0']);
  await eventually(() => !runs('98765'), 'the sleep still runs');
  await eventually(async () => (await daemon.succeed(['ps', '-aq'])) === '', 'the container is still there');
});

test('a restart of a container that removes itself leaves it running', async () => {
  await daemon.succeed(['run', '-d', '--rm', '--name', 'again', '--init', 'busybox:test', 'sleep', '1000']);
  await daemon.succeed(['restart', '-t', '1', 'again']);
  await sleep(500);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.State.Status}}', 'again']), 'running');
  await daemon.succeed(['rm', '-f', 'again']);
});

test('a stop ends a restart policy, also between two restarts', async () => {
  await daemon.succeed(['run', '-d', '--name', 'loop', '--restart', 'always', 'busybox:test', 'false']);
  await eventually(
    async () => Number(await daemon.succeed(['inspect', '-f', '{{.RestartCount}}', 'loop'])) >= 2,
    'it is not started again',
  );
  await daemon.succeed(['stop', 'loop']);
  const count = await daemon.succeed(['inspect', '-f', '{{.RestartCount}}', 'loop']);
  await sleep(1500);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.RestartCount}}', 'loop']), count);
  await daemon.succeed(['rm', 'loop']);
});

test('output arrives although standard input ended before the start', async () => {
  const script = 'cat; i=0; while [ $i -lt 20000 ]; do echo "line $i of many"; i=$((i+1)); done';
  const result = await daemon.docker(['run', '--rm', '-i', 'busybox:test', 'sh', '-c', script], { stdin: '' });
  assert.equal(result.code, 0);
  assert.equal(result.stdout.trimEnd().split('\n').length, 20000);
});

const refused = [
  { Sysctls: { 'kernel.core_pattern': 'x' } },
  { Sysctls: { 'vm.swappiness': '1' } },
  { Sysctls: { 'net/../vm/swappiness': '1' } },
  { Sysctls: { 'net.ipv4.ip_forward': '1' }, NetworkMode: 'host' },
  { Sysctls: { 'kernel.shmmax': '1' }, IpcMode: 'host' },
];
for (const HostConfig of refused) {
  test(`a kernel setting of the host is not touched: ${JSON.stringify(HostConfig)}`, async () => {
    const body = { Image: 'busybox:test', Cmd: ['true'], HostConfig };
    const create = daemon.request('POST', '/containers/create', body);
    await assert.rejects(create, /not in a separate kernel namespace/);
  });
}

test('a start that its warm slot cannot serve takes the plain road', async () => {
  // The same shape twice, with a pause, so that a slot is ready; then more environment than one message holds.
  await daemon.succeed(['run', '--rm', 'busybox:test', 'true']);
  await sleep(1000);
  const variables = Array.from({ length: 30 }, (_, at) => ['-e', `V${at}=${'x'.repeat(9000)}`]).flat();
  const length = await daemon.succeed([
    'run',
    '--rm',
    ...variables,
    'busybox:test',
    'sh',
    '-c',
    'printf %s "$V29" | wc -c',
  ]);
  assert.equal(length, '9000');
});
