// CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881: what masks, binds the console over, or writes to /proc for a container is
// led elsewhere by links or by mounts in the image: /dev/null, /dev/console, /dev/pts, /proc itself.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const corePattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');

/** Checks, from the inside, that every mask is what it should be. Prints nothing if all is well. */
const checkMasks = `
  [ "$(stat -c %t:%T /dev/null)" = 1:3 ] || echo "/dev/null is $(stat -c '%F %t:%T' /dev/null)"
  [ -z "$(head -c 1 /proc/kcore 2>/dev/null)" ] || echo "/proc/kcore is readable"
  [ -z "$(ls /sys/firmware 2>/dev/null)" ] || echo "/sys/firmware is not masked"
  ( echo x > /proc/sys/kernel/core_pattern ) 2>/dev/null && echo "core_pattern is writable"
  ( echo h > /proc/sysrq-trigger ) 2>/dev/null && echo "sysrq-trigger is writable"
  grep " /proc " /proc/mounts | grep -q "^proc /proc proc" || echo "/proc is not proc"
  true`;

const images: readonly (readonly [name: string, change: (root: string) => void])[] = [
  [
    '/dev/null and /dev/console are links into /proc',
    (root) => {
      mkdirSync(join(root, 'dev'));
      symlinkSync('/proc/sys/kernel/core_pattern', join(root, 'dev/null'));
      symlinkSync('/proc/sysrq-trigger', join(root, 'dev/console'));
      symlinkSync('/proc/sysrq-trigger', join(root, 'dev/ptmx'));
      symlinkSync('/proc', join(root, 'dev/pts'));
    },
  ],
  ['/dev is a link to /proc', (root) => symlinkSync('/proc', join(root, 'dev'))],
  ['/dev is a link upwards', (root) => symlinkSync('../../../../../../dev', join(root, 'dev'))],
  ['/proc is a link to /', (root) => symlinkSync('/', join(root, 'proc'))],
  ['/proc is a link to a directory', (root) => symlinkSync('tmp', join(root, 'proc'))],
  ['/sys is a link to /proc/1/root/sys', (root) => symlinkSync('/proc/1/root/sys', join(root, 'sys'))],
  ['/proc is a file', (root) => writeFileSync(join(root, 'proc'), 'no directory')],
];

for (const [name, change] of images) {
  test(`masks hold, or nothing starts, where ${name}`, async () => {
    await daemon.loadChanged('evil:1', change);
    for (const options of [[], ['-t'], ['--read-only']]) {
      const result = await daemon.docker(['run', '--rm', ...options, 'evil:1', 'sh', '-c', checkMasks]);
      if (result.code === 0) assert.equal(result.stdout, '', options.join(' '));
      else assert.ok(result.code >= 125, result.output);
    }
    assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), corePattern);
    await daemon.succeed(['rmi', 'evil:1']);
  });
}

test('a volume over /dev whose content changes all the time', async () => {
  const swap = `
    cd /v; mkdir -p pts shm mqueue
    while :; do
      rm -rf null console; ln -s /proc/sys/kernel/core_pattern null; ln -s /proc/sysrq-trigger console
      rm -f null console; mknod null c 1 3; : > console
    done 2>/dev/null`;
  await daemon.succeed(['run', '-d', '--name', 'swapper', '-v', 'dev:/v', 'busybox:test', 'sh', '-c', swap]);
  const script =
    'echo x 2>/dev/null > /proc/sys/kernel/core_pattern && echo writable; [ -z "$(head -c 1 /proc/kcore 2>/dev/null)" ] || echo kcore';
  for (let round = 0; round < 30; round++) {
    const options = ['--network', 'none', ...(round % 2 === 0 ? [] : ['-t']), '-v', 'dev:/dev'];
    const result = await daemon.docker(['run', '--rm', ...options, 'busybox:test', 'sh', '-c', script]);
    assert.doesNotMatch(result.stdout, /writable|kcore/, result.output);
  }
  await daemon.succeed(['rm', '-f', 'swapper']);
  assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), corePattern);
});

const overProc: readonly (readonly string[])[] = [
  ['-v', 'vol:/proc'],
  ['-v', 'vol:/proc/sys'],
  ['-v', 'vol:/proc/self/attr'],
  ['-v', 'vol:/proc/../proc/1'],
  ['--tmpfs', '/proc/self'],
  ['--mount', 'type=bind,src=/tmp,dst=/proc/sys/kernel'],
];

for (const options of overProc) {
  test(`a mount over /proc is refused: ${options.join(' ')}`, async () => {
    const result = await daemon.docker(['run', '--rm', ...options, 'busybox:test', 'true']);
    assert.notEqual(result.code, 0, result.stdout);
    assert.match(result.stderr, /\/proc/);
  });
}

test('a link to /proc as mount point is refused, or stays harmless', async () => {
  await daemon.loadChanged('proclink:1', (root) => {
    symlinkSync('/proc', join(root, 'p'));
    symlinkSync('/proc/self/attr', join(root, 'attr'));
  });
  for (const target of ['/p', '/p/sys', '/attr']) {
    const result = await daemon.docker(['run', '--rm', '--tmpfs', target, 'proclink:1', 'sh', '-c', checkMasks]);
    if (result.code === 0) assert.equal(result.stdout, '');
  }
  await daemon.succeed(['rmi', 'proclink:1']);
});

test('a sysctl is written to the container and not to the host', async () => {
  const own = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8');
  await daemon.loadChanged('evil:2', (root) => symlinkSync('/proc/1/root/proc', join(root, 'proc')));
  const options = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=81', '--sysctl', 'kernel.shm_rmid_forced=1'];
  const script = 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced';
  assert.equal(await daemon.succeed(['run', '--rm', ...options, 'busybox:test', 'sh', '-c', script]), '81\n1');
  await daemon.docker(['run', '--rm', ...options, 'evil:2', 'sh', '-c', script]);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'), own);
  await daemon.succeed(['rmi', 'evil:2']);
});
