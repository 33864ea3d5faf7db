// A path within a volume (volume-subpath): what lies there was written by guests, so neither ".." nor a link in it may lead
// to the host's files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const script =
  'mkdir -p /v/inner; echo kept > /v/inner/file; ln -s / /v/root; ln -s ../../.. /v/up; ln -s inner /v/near';

// By holm's command: a docker client before 26.0 does not know the option.
function look(subpath: string): ReturnType<typeof daemon.holm> {
  const mount = `type=volume,src=shared,dst=/x,volume-subpath=${subpath}`;
  return daemon.holm(['run', '--rm', '--mount', mount, 'busybox:test', 'ls', '/x']);
}

test('a volume’s inner directory is mounted, and nothing that leads out of it', async () => {
  await daemon.succeed(['run', '--rm', '-v', 'shared:/v', 'busybox:test', 'sh', '-c', script]);
  const inner = await look('inner');
  assert.equal(inner.stdout, 'file\n');
  for (const subpath of ['root', 'up', 'near', '..', '../..', 'inner/../..', 'root/etc']) {
    const result = await look(subpath);
    assert.notEqual(result.code, 0, subpath);
    assert.equal(result.stdout, '', subpath);
  }
  await daemon.succeed(['volume', 'rm', 'shared']);
});
