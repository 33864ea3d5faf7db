// /dev/shm goes with the ipc namespace: a container's own, another's, the host's, or none.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const image = 'busybox:test';

for (const [name, users] of [
  ['the host’s users', []],
  ['users of its own', ['--annotation', 'holm.userns=auto']],
] as const) {
  test(`--ipc container: shares it both ways, with ${name}`, async () => {
    const script = 'echo given > /dev/shm/given; sleep 1000';
    await daemon.succeed(['run', '-d', '--name', 'donor', '--shm-size', '8m', ...users, image, 'sh', '-c', script]);
    await daemon.succeed(['exec', 'donor', 'sh', '-c', 'until [ -s /dev/shm/given ]; do sleep 0.05; done']);
    const peer = 'cat /dev/shm/given; echo back > /dev/shm/back; df -k /dev/shm | tail -1';
    const told = await daemon.succeed(['run', '--rm', '--ipc', 'container:donor', image, 'sh', '-c', peer]);
    assert.match(told, /^given\n\S+ +8192 /);
    assert.equal(await daemon.succeed(['exec', 'donor', 'cat', '/dev/shm/back']), 'back');
    await daemon.succeed(['rm', '-f', 'donor']);
  });
}

test('it is a container’s own else, and the host’s with --ipc host', async () => {
  const path = `/dev/shm/holm-test-${process.pid}`;
  writeFileSync(path, 'of the host\n');
  try {
    assert.equal((await daemon.docker(['run', '--rm', image, 'cat', path])).code, 1);
    assert.equal(await daemon.succeed(['run', '--rm', '--ipc', 'host', image, 'cat', path]), 'of the host');
  } finally {
    rmSync(path);
  }
});

test('a container without any has none to share', async () => {
  await daemon.succeed(['run', '-d', '--name', 'without', '--ipc', 'none', image, 'sleep', '1000']);
  const result = await daemon.docker(['run', '--rm', '--ipc', 'container:without', image, 'true']);
  assert.equal(result.code, 125);
  assert.match(result.stderr, /non-shareable IPC/);
  await daemon.succeed(['rm', '-f', 'without']);
});
