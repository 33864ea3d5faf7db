// docker cp: files, directories and archives in and out, running and stopped, as docker's rules have it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-copy-'));
after(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);

before(async () => {
  mkdirSync(at('tree/sub'), { recursive: true });
  writeFileSync(at('tree/a'), 'a');
  writeFileSync(at('tree/sub/b'), 'b', { mode: 0o640 });
  symlinkSync('sub/b', at('tree/link'));
  await daemon.succeed(['run', '-d', '--name', 'box', '-v', 'vol:/vol', 'busybox:test', 'sleep', '300']);
  await daemon.succeed(['create', '--name', 'idle', 'busybox:test', 'sh', '-c', 'cat /etc/new; ls -R /tree']);
});

const inside = (script: string): Promise<string> => daemon.succeed(['exec', 'box', 'sh', '-c', script]);

test('a file in, with its mode and time', async () => {
  await daemon.succeed(['cp', at('tree/sub/b'), 'box:/tmp/b']);
  const time = Math.floor(statSync(at('tree/sub/b')).mtimeMs / 1000);
  assert.equal(await inside('cat /tmp/b; stat -c "%a %u %Y" /tmp/b'), `b640 0 ${time}`);
});

test('a file into a directory keeps its name', async () => {
  await daemon.succeed(['cp', at('tree/a'), 'box:/home']);
  assert.equal(await inside('cat /home/a'), 'a');
});

test('a directory in: under its name, or its content', async () => {
  await daemon.succeed(['cp', at('tree'), 'box:/srv']);
  assert.equal(
    await inside('cd /srv && find . | sort'),
    '.\n./a\n./link\n./sub\n./sub/b',
    '/srv did not exist: it becomes the tree',
  );
  await daemon.succeed(['cp', at('tree'), 'box:/srv']);
  assert.equal(await inside('cat /srv/tree/sub/b; readlink /srv/tree/link'), 'bsub/b');
  await inside('mkdir /into');
  await daemon.succeed(['cp', `${at('tree')}/.`, 'box:/into']);
  assert.equal(await inside('ls /into'), 'a\nlink\nsub');
});

test('out: a file, a directory, a link', async () => {
  await inside(
    'mkdir -p /out/deep && echo hi > /out/deep/file && chmod 600 /out/deep/file && ln -s deep/file /out/link',
  );
  await daemon.succeed(['cp', 'box:/out/deep/file', at('file')]);
  assert.equal(readFileSync(at('file'), 'utf8'), 'hi\n');
  assert.equal(statSync(at('file')).mode & 0o777, 0o600);
  await daemon.succeed(['cp', 'box:/out', at('got')]);
  assert.equal(readFileSync(at('got/deep/file'), 'utf8'), 'hi\n');
  assert.equal(readlinkSync(at('got/link')), 'deep/file');
  await daemon.succeed(['cp', 'box:/out/link', at('aslink')]);
  assert.ok(lstatSync(at('aslink')).isSymbolicLink());
  await daemon.succeed(['cp', '-L', 'box:/out/link', at('followed')]);
  assert.equal(readFileSync(at('followed'), 'utf8'), 'hi\n');
});

test('archives on standard input and output', async () => {
  const tar = await daemon.docker(['cp', 'box:/out', '-']);
  assert.equal(tar.code, 0);
  assert.match(tar.stdout, /^out\//);
  await inside('mkdir /back');
  const archive = execFileSync('tar', ['-C', folder, '-c', 'tree']);
  await daemon.succeed(['cp', '-', 'box:/back'], { stdin: archive });
  assert.equal(await inside('cat /back/tree/sub/b'), 'b');
});

test('to and from a container that does not run', async () => {
  writeFileSync(at('new'), 'before start\n');
  await daemon.succeed(['cp', at('new'), 'idle:/etc/new']);
  await daemon.succeed(['cp', at('tree'), 'idle:/tree']);
  await daemon.succeed(['cp', 'idle:/etc/passwd', at('passwd')]);
  assert.match(readFileSync(at('passwd'), 'utf8'), /^root:/);
  assert.match(await daemon.succeed(['start', '-a', 'idle']), /^before start\n\/tree:\na\nlink\nsub\n/);
  await daemon.succeed(['cp', 'idle:/etc/new', at('after')]);
  assert.equal(readFileSync(at('after'), 'utf8'), 'before start\n');
});

test('into and out of a volume', async () => {
  await daemon.succeed(['cp', at('tree/a'), 'box:/vol/a']);
  assert.equal(await inside('cat /vol/a'), 'a');
  await daemon.succeed(['cp', 'box:/vol/a', at('fromvolume')]);
  assert.equal(readFileSync(at('fromvolume'), 'utf8'), 'a');
});

test('-a keeps owners', async () => {
  writeFileSync(at('owned'), 'x');
  chownSync(at('owned'), 1000, 29);
  await daemon.succeed(['cp', '-a', at('owned'), 'box:/tmp/owned']);
  assert.equal(await inside('stat -c %u:%g /tmp/owned'), '1000:29');
});

// A client before 23.0 says of all that is not found what it asked for, in its own words.
const refusals: readonly (readonly [name: string, args: readonly string[], stderr: RegExp])[] = [
  [
    'a file that is not there',
    ['box:/not/there', at('x')],
    /Could not find the file \/not\/there in container box|No such container:path: box:\/not\/there/,
  ],
  [
    'a directory that is not there',
    [at('tree/a'), 'box:/not/there/a'],
    /Could not find the file \/not\/there in container box|no such directory|No such container:path: box:\/not\/there/i,
  ],
  ['a directory onto a file', [at('tree'), 'box:/etc/passwd'], /cannot copy directory|not a directory/i],
  ['a container that is not there', ['nobox:/etc/passwd', at('x')], /No such container(: nobox|:path: nobox:)/],
];

for (const [name, args, stderr] of refusals) {
  test(`docker cp refuses ${name}`, async () => {
    const result = await daemon.docker(['cp', ...args]);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, stderr);
    assert.ok(!existsSync(at('x')));
  });
}

test('into a read-only root is refused', async () => {
  await daemon.succeed(['run', '-d', '--read-only', '--name', 'fixed', 'busybox:test', 'sleep', '300']);
  const result = await daemon.docker(['cp', at('tree/a'), 'fixed:/tmp/a']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /rootfs is marked read-only/);
});

test('export gives the whole root', async () => {
  await daemon.succeed(['export', '-o', at('root.tar'), 'idle']);
  const listed = execFileSync('tar', ['-tf', at('root.tar')]).toString();
  assert.match(listed, /^(?:\.\/)?bin\/busybox$/m);
  assert.match(listed, /^(?:\.\/)?etc\/new$/m);
});
