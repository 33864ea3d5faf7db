// CVE-2021-30465 and its kind: a mount point that is, or becomes while it is mounted, a link to somewhere else.
// Mount points are resolved by the kernel beneath the container's root, and mounted on what was resolved.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-races-'));
after(() => rmSync(folder, { recursive: true }));

before(() => {
  mkdirSync(join(folder, 'source'));
  writeFileSync(join(folder, 'source/marker'), 'bound\n');
  writeFileSync(join(folder, 'secret'), 'of the host\n');
});

const links: readonly (readonly [name: string, target: string])[] = [
  ['absolute', '/'],
  ['upwards', '../../../../../../..'],
  ['through proc', '/proc/1/root'],
  ['through a descriptor', '/proc/self/fd/5'],
  ['to a directory of the host', ''],
];

for (const [name, target] of links) {
  test(`a mount beyond a link stays inside: ${name}`, async () => {
    await daemon.loadChanged('linked:1', (root) => symlinkSync(target || folder, join(root, 'link')));
    const hostBefore = readdirSync('/').sort();
    const mount = `${folder}/source:/link/etc/holm-marker`;
    const result = await daemon.docker([
      'run',
      '--rm',
      '-v',
      mount,
      'linked:1',
      'sh',
      '-c',
      'cat /link/etc/holm-marker/marker; cat /link/secret 2>&1',
    ]);
    assert.ok(!existsSync('/etc/holm-marker'), 'nothing was made on the host');
    assert.deepEqual(readdirSync('/').sort(), hostBefore);
    assert.doesNotMatch(result.stdout, /of the host/);
    await daemon.succeed(['rmi', 'linked:1']);
  });
}

test('tmpfs, volumes and masks go beneath the root too', async () => {
  await daemon.loadChanged('linked:2', (root) => {
    symlinkSync('/proc/1/root/etc', join(root, 'var'));
    symlinkSync('../../../../etc', join(root, 'home'));
  });
  const passwd = readFileSync('/etc/passwd', 'utf8');
  for (const options of [
    ['--tmpfs', '/var'],
    ['-v', 'vol:/var/x'],
    ['--tmpfs', '/home'],
    ['-w', '/home/new/dir'],
  ]) {
    await daemon.docker(['run', '--rm', ...options, 'linked:2', 'true']);
    assert.equal(readFileSync('/etc/passwd', 'utf8'), passwd);
    assert.ok(!existsSync('/etc/x') && !existsSync('/etc/new'));
  }
});

test('links that are exchanged during the mount never lead out', async () => {
  // One container turns a directory of the shared volume into a link to / and back, as fast as it can, while others mount there.
  const swap =
    'cd /v; mkdir -p dir; ln -s / link; while :; do mv dir keep; mv link dir; mv dir link; mv keep dir; done 2>/dev/null';
  await daemon.succeed(['run', '-d', '--name', 'swapper', '-v', 'race:/v', 'busybox:test', 'sh', '-c', swap]);
  const script =
    'for p in /v/dir/etc/shadow /v/dir/root/.bashrc /target/secret; do [ -e $p ] && [ ! -L /v/dir ] && echo "$p"; done; ls / | tr "\\n" " "';
  const mounts = ['-v', 'race:/v', '-v', `${folder}/source:/v/dir/etc`];
  for (let round = 0; round < 40; round++) {
    const result = await daemon.docker([
      'run',
      '--rm',
      '--network',
      'none',
      ...mounts,
      'busybox:test',
      'sh',
      '-c',
      script,
    ]);
    assert.doesNotMatch(result.stdout, /shadow|bashrc|secret/);
    if (result.code === 0) assert.match(result.stdout, /^bin dev etc home proc root sys tmp usr v var\s*$/);
  }
  await daemon.succeed(['rm', '-f', 'swapper']);
  assert.ok(!existsSync('/etc/marker'));
});
