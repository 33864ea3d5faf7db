// A container's root that escapes by archive copy (CVE-2018-15664 and its kind), and archives that are hostile themselves.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';
import { type TarEntry, tarOf } from '../harness/tar.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-escape-'));
after(() => rmSync(folder, { recursive: true }));
const secret = join(folder, 'host/secret');

before(async () => {
  mkdirSync(join(folder, 'host'));
  writeFileSync(secret, 'of the host\n');
  writeFileSync(join(folder, 'payload'), 'payload\n');
  await daemon.succeed(['run', '-d', '--name', 'box', 'busybox:test', 'sleep', '300']);
});

const inside = (script: string): Promise<string> => daemon.succeed(['exec', 'box', 'sh', '-c', script]);

/** Sends an archive as a client without docker's own checks would. */
function put(container: string, path: string, archive: Uint8Array): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(
    {
      socketPath: daemon.socket,
      method: 'PUT',
      path: `/containers/${container}/archive?path=${encodeURIComponent(path)}`,
      headers: { 'Content-Type': 'application/x-tar', 'Content-Length': archive.length },
    },
    (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
  );
  sent.on('error', reject);
  sent.end(archive);
  return promise;
}

test('reading through a link that leads out reads the inside', async () => {
  await inside(
    `ln -s ${folder}/host /out; ln -s ../../../../../..${secret} /up; ln -s /proc/1/root${secret} /proclink`,
  );
  for (const path of ['/out/secret', '/up', '/proclink', '/proc/1/root/../../../etc/hostname']) {
    await daemon.docker(['cp', '-L', `box:${path}`, join(folder, 'read')]);
    if (existsSync(join(folder, 'read')))
      assert.doesNotMatch(readFileSync(join(folder, 'read'), 'utf8'), /of the host/);
    rmSync(join(folder, 'read'), { force: true });
  }
});

test('writing through a link that leads out writes the inside', async () => {
  await daemon.docker(['cp', join(folder, 'payload'), 'box:/out/planted']);
  await daemon.docker(['cp', join(folder, 'payload'), 'box:/up']);
  assert.deepEqual(readdirSync(join(folder, 'host')), ['secret']);
  assert.equal(readFileSync(secret, 'utf8'), 'of the host\n');
});

const hostile: readonly (readonly [name: string, entries: readonly TarEntry[]])[] = [
  ['a name with ..', [{ name: `../../../../../../../..${folder}/host/planted`, content: 'x' }]],
  ['an absolute name', [{ name: `${folder}/host/planted`, content: 'x' }]],
  [
    'a link, then a file through it',
    [
      { name: 'l', link: `${folder}/host` },
      { name: 'l/planted', content: 'x' },
    ],
  ],
  [
    'a link upwards, then a file through it',
    [
      { name: 'm', link: `../../../../../../..${folder}/host` },
      { name: 'm/planted', content: 'x' },
    ],
  ],
  [
    'a link through a link',
    [
      { name: 'a', link: 'b' },
      { name: 'b', link: `${folder}/host` },
      { name: 'a/planted', content: 'x' },
    ],
  ],
  [
    'a hard link to the outside',
    [
      { name: 'h', hardLink: secret },
      { name: 'h', content: 'overwritten' },
    ],
  ],
  [
    'a hard link upwards',
    [
      { name: 'h', hardLink: `../../../../../../..${secret}` },
      { name: 'h', content: 'overwritten' },
    ],
  ],
  [
    'a link over a directory',
    [
      { name: 'etc', link: `${folder}/host` },
      { name: 'etc/planted', content: 'x' },
    ],
  ],
];

for (const [name, entries] of hostile) {
  test(`an archive with ${name} leaves the host alone`, async () => {
    for (const path of ['/', '/tmp']) {
      await put('box', path, tarOf(entries));
      assert.deepEqual(readdirSync(join(folder, 'host')), ['secret']);
      assert.equal(readFileSync(secret, 'utf8'), 'of the host\n');
    }
    assert.equal(await inside('echo alive'), 'alive');
  });
}

test('a path that is exchanged during the copy never leads out', async () => {
  const swap = `mkdir -p /race/dir; ln -s ${folder}/host /race/link; cd /race; while :; do mv dir keep; mv link dir; mv dir link; mv keep dir; done 2>/dev/null`;
  await daemon.succeed(['run', '-d', '--name', 'racer', 'busybox:test', 'sh', '-c', swap]);
  for (let round = 0; round < 40; round++) {
    await daemon.docker(['cp', join(folder, 'payload'), 'racer:/race/dir/planted']);
    const read = await daemon.docker(['cp', 'racer:/race/dir/secret', '-']);
    assert.doesNotMatch(read.stdout, /of the host/);
  }
  assert.deepEqual(readdirSync(join(folder, 'host')), ['secret']);
  await daemon.succeed(['rm', '-f', 'racer']);
});

test('a broken archive is refused and the container unharmed', async () => {
  const whole = tarOf([{ name: 'file', content: 'x'.repeat(5000) }]);
  for (const bytes of [whole.subarray(0, 700), Buffer.from('no archive at all'), Buffer.alloc(600, 0xff)]) {
    assert.ok((await put('box', '/tmp', bytes)) >= 400);
  }
  assert.equal(await inside('echo alive'), 'alive');
});
