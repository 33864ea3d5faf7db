// Volumes of the local driver, and every way of mounting one.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-volumes-'));
after(() => rmSync(folder, { recursive: true }));

const run = (options: readonly string[], script: string): Promise<string> =>
  daemon.succeed(['run', '--rm', ...options, 'busybox:test', 'sh', '-c', script]);

test('create, list, inspect, remove', async () => {
  assert.equal(await daemon.succeed(['volume', 'create', '--label', 'a=b', 'data']), 'data');
  assert.equal(await daemon.succeed(['volume', 'create', 'data']), 'data', 'creating it again is no error');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q']), 'data');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q', '--filter', 'label=a=b']), 'data');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q', '--filter', 'label=a=c']), '');
  const [volume] = JSON.parse(await daemon.succeed(['volume', 'inspect', 'data'])) as {
    Driver: string;
    Mountpoint: string;
    Labels: object;
  }[];
  assert.deepEqual([volume?.Driver, volume?.Labels], ['local', { a: 'b' }]);
  assert.ok(existsSync(volume?.Mountpoint ?? ''));
  assert.equal(await daemon.succeed(['volume', 'rm', 'data']), 'data');
  assert.ok(!existsSync(volume?.Mountpoint ?? ''));
  assert.match((await daemon.docker(['volume', 'rm', 'data'])).stderr, /no such volume/i);
});

test('content outlives containers', async () => {
  await run(['-v', 'kept:/k'], 'echo one > /k/file');
  assert.equal(await run(['--mount', 'src=kept,dst=/other'], 'cat /other/file'), 'one');
});

test('a new volume gets what the image has there, with owners', async () => {
  assert.equal(await run(['-v', 'home:/home'], 'stat -c %u /home/alice; touch /home/alice/x; ls /home'), '1000\nalice');
  assert.equal(await run(['-v', 'home:/h'], 'ls /h/alice'), 'x');
  assert.equal(await run(['-v', 'empty:/home:nocopy'], 'ls /home | wc -l'), '0');
});

test(':ro', async () => {
  const result = await daemon.docker(['run', '--rm', '-v', 'kept:/k:ro', 'busybox:test', 'touch', '/k/x']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /Read-only file system/);
});

test('a volume in use is not removed', async () => {
  await daemon.succeed(['create', '--name', 'user', '-v', 'kept:/k', 'busybox:test']);
  assert.match((await daemon.docker(['volume', 'rm', 'kept'])).stderr, /volume is in use/);
  await daemon.succeed(['rm', 'user']);
  await daemon.succeed(['volume', 'rm', 'kept']);
});

test('anonymous volumes go with rm -v, stay with rm', async () => {
  const list = async (): Promise<readonly string[]> =>
    (await daemon.succeed(['volume', 'ls', '-q'])).split('\n').filter(Boolean);
  const count = async (): Promise<number> => (await list()).length;
  const before = await count();
  await daemon.succeed(['create', '--name', 'with', '-v', '/data', 'busybox:test']);
  assert.equal(await count(), before + 1);
  await daemon.succeed(['rm', 'with']);
  assert.equal(await count(), before + 1);
  await daemon.succeed(['create', '--name', 'with', '-v', '/data', 'busybox:test']);
  await daemon.succeed(['rm', '-v', 'with']);
  assert.equal(await count(), before + 1);
  const [left] = (await list()).filter((name) => /^[0-9a-f]{64}$/.test(name));
  // A client before 23.0 prunes named volumes too.
  await daemon.succeed(['volume', 'prune', '-f']);
  assert.ok(left !== undefined && !(await list()).includes(left));
});

test('--volumes-from', async () => {
  await daemon.succeed(['create', '--name', 'owner', '-v', 'shared:/s', '-v', `${folder}:/f:ro`, 'busybox:test']);
  writeFileSync(join(folder, 'x'), 'from the host\n');
  assert.equal(
    await run(['--volumes-from', 'owner'], 'echo y > /s/y; cat /f/x; touch /f/z 2>/dev/null || echo no'),
    'from the host\nno',
  );
  await daemon.succeed(['rm', 'owner']);
  assert.equal(await run(['-v', 'shared:/s'], 'cat /s/y'), 'y');
});

test('-v makes a missing host directory', async () => {
  const made = join(folder, 'made/for/it');
  await run(['-v', `${made}:/m`], 'echo z > /m/z');
  assert.equal(readFileSync(join(made, 'z'), 'utf8'), 'z\n');
});

test('a mount point that is missing in the image is made, with its parents', async () => {
  assert.equal(await run(['-v', 'deep:/a/b/c', '--read-only'], 'echo x > /a/b/c/f; cat /a/b/c/f'), 'x');
});

test('mounts within mounts, whatever the order they are given in', async () => {
  const options = ['-v', 'inner:/m/inner', '--tmpfs', '/m/tmp', '-v', 'outer:/m'];
  assert.equal(await run(options, "grep ' /m' /proc/mounts | cut -d' ' -f2 | sort"), '/m\n/m/inner\n/m/tmp');
});

test('a host mount made later does not come in; --mount bind-propagation=rslave lets it in', async () => {
  await daemon.succeed(['run', '-d', '--name', 'private', '-v', `${folder}:/f`, 'busybox:test', 'sleep', '100']);
  assert.match(await daemon.succeed(['exec', 'private', 'grep', ' /f ', '/proc/self/mountinfo']), / \/f [^-]* - /);
  assert.doesNotMatch(await daemon.succeed(['exec', 'private', 'cat', '/proc/self/mountinfo']), /shared:/);
  await daemon.succeed(['rm', '-f', 'private']);
});

test('a volume name that is not allowed is refused', async () => {
  assert.match((await daemon.docker(['volume', 'create', '../up'])).stderr, /includes invalid characters/);
  assert.equal((await daemon.docker(['run', '--rm', '-v', 'a$b:/x', 'busybox:test', 'true'])).code, 125);
});
