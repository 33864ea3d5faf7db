// CVE-2024-21626: a descriptor or a working directory of the host leaks into a container.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
// The listing itself holds one more descriptor: the directory that it reads.
const list = ['sh', '-c', 'for f in /proc/self/fd/*; do echo $f; done | grep -v "/[0-2]$" | wc -l; ls -l /proc/$$/fd'];

test('run gives descriptors 0, 1 and 2 only', async () => {
  for (const options of [[], ['-i'], ['--init'], ['--privileged'], ['--network', 'host'], ['-v', 'vol:/v']]) {
    const stdout = await daemon.succeed(['run', '--rm', ...options, 'busybox:test', ...list]);
    const open = stdout
      .split('\n')
      .filter((line) => / -> /.test(line) && !/ [0-2] -> /.test(line) && !/ -> \/proc\/\d+\/fd$/.test(line));
    assert.deepEqual(
      open.filter((line) => !/ 10 -> \/dev\/tty/.test(line)),
      [],
      options.join(' '),
    );
  }
});

test('exec gives descriptors 0, 1 and 2 only', async () => {
  await daemon.succeed(['run', '-d', '--name', 'box', 'busybox:test', 'sleep', '100']);
  for (const options of [[], ['-i'], ['-w', '/tmp'], ['--privileged']]) {
    const stdout = await daemon.succeed(['exec', ...options, 'box', 'sh', '-c', 'ls -l /proc/$$/fd']);
    const open = stdout.split('\n').filter((line) => / -> /.test(line) && !/ [0-2] -> /.test(line));
    assert.deepEqual(open, [], options.join(' '));
  }
});

for (const number of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20]) {
  test(`a working directory of /proc/self/fd/${number} shows nothing of the host`, async () => {
    const script = 'pwd; cat ../../../../../../../../proc/1/comm; ls ../../../../../../../../';
    const run = await daemon.docker([
      'run',
      '--rm',
      '-w',
      `/proc/self/fd/${number}`,
      'busybox:test',
      'sh',
      '-c',
      script,
    ]);
    const exec = await daemon.docker(['exec', '-w', `/proc/self/fd/${number}`, 'box', 'sh', '-c', script]);
    for (const result of [run, exec]) {
      assert.notEqual(result.code, 0, result.output);
      // docker's client shows the error of an exec on standard output.
      assert.match(result.stdout, /^(?:Cannot enter the working directory .*\r\n)?$/);
    }
  });
}

test('a link in the image to a descriptor is no working directory either', async () => {
  await daemon.succeed(['exec', 'box', 'sh', '-c', 'for n in 3 4 5 6 7 8 9; do ln -s /proc/self/fd/$n /link$n; done']);
  for (const number of [3, 4, 5, 6, 7, 8, 9]) {
    const result = await daemon.docker(['exec', '-w', `/link${number}`, 'box', 'ls', '../../../..']);
    assert.notEqual(result.code, 0, result.output);
  }
});

test('the first process has no directory of the host open, at any time', async () => {
  const script = 'readlink /proc/1/cwd; readlink /proc/1/root; ls -l /proc/1/fd | grep -c " -> /[^dp]"';
  const result = await daemon.docker(['run', '--rm', '-w', '/', 'busybox:test', 'sh', '-c', script]);
  assert.equal(result.stdout, '/\n/\n0\n');
});
