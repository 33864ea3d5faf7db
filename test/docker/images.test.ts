// docker's commands for images: load, save, import, tag, list, inspect, history, remove, commit.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';
import { busyboxImage } from '../harness/images.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-images-'));
after(() => rmSync(folder, { recursive: true }));

test('load says what it loaded, twice the same', async () => {
  assert.equal(await daemon.succeed(['load', '-q', '-i', await busyboxImage()]), 'Loaded image: busybox:test');
  assert.equal(await daemon.succeed(['images', '--format', '{{.Repository}}:{{.Tag}}']), 'busybox:test');
});

test('load from standard input, compressed', async () => {
  const zipped = execFileSync('gzip', ['-1', '-c', await busyboxImage()], { maxBuffer: 1 << 28 });
  assert.match(await daemon.succeed(['load', '-q'], { stdin: zipped }), /Loaded image: busybox:test/);
});

test('inspect', async () => {
  interface Inspected {
    Id: string;
    RepoTags: string[];
    Architecture: string;
    Os: string;
    Size: number;
    Config: { Cmd: string[]; Env: string[] };
    RootFS: { Type: string; Layers: string[] };
  }
  const [image] = JSON.parse(await daemon.succeed(['image', 'inspect', 'busybox:test'])) as Inspected[];
  assert.match(image?.Id ?? '', /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(image?.RepoTags, ['busybox:test']);
  assert.deepEqual(
    [image?.Os, image?.Config.Cmd, image?.RootFS.Type, image?.RootFS.Layers.length],
    ['linux', ['sh'], 'layers', 1],
  );
  assert.ok((image?.Size ?? 0) > 1_500_000);
});

test('tag, and remove tag by tag', async () => {
  await daemon.succeed(['tag', 'busybox:test', 'other/name:v1']);
  const listed = await daemon.succeed(['images', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}']);
  const ids = new Set(listed.split('\n').map((line) => line.split(' ')[1]));
  assert.equal(ids.size, 1);
  assert.equal(await daemon.succeed(['rmi', 'other/name:v1']), 'Untagged: other/name:v1');
  assert.match((await daemon.docker(['rmi', 'other/name:v1'])).stderr, /No such image: other\/name:v1/);
});

test('history', async () => {
  assert.match(
    await daemon.succeed(['history', '--format', '{{.CreatedBy}} {{.Size}}', 'busybox:test']),
    /^the tests of holm \d\.\d+MB$/,
  );
});

test('save and load give the same image', async () => {
  const id = await daemon.succeed(['inspect', '-f', '{{.Id}}', 'busybox:test']);
  await daemon.succeed(['save', '-o', join(folder, 'saved.tar'), 'busybox:test']);
  const names = execFileSync('tar', ['-tf', join(folder, 'saved.tar')]).toString();
  assert.match(names, /^manifest\.json$/m);
  await daemon.succeed(['rmi', '-f', 'busybox:test']);
  assert.equal(await daemon.succeed(['images', '-q']), '');
  await daemon.succeed(['load', '-i', join(folder, 'saved.tar')]);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.Id}}', 'busybox:test']), id);
  assert.equal(await daemon.succeed(['run', '--rm', 'busybox:test', 'echo', 'runs']), 'runs');
});

test('import makes an image of a root', async () => {
  mkdirSync(join(folder, 'root/etc'), { recursive: true });
  writeFileSync(join(folder, 'root/etc/marker'), 'imported\n');
  const busybox = execFileSync('tar', ['-xOf', await busyboxImage(), 'layer0.tar'], { maxBuffer: 1 << 28 });
  execFileSync('tar', ['-C', join(folder, 'root'), '-x', './bin'], { input: busybox });
  const root = execFileSync('tar', ['-C', join(folder, 'root'), '-c', '.'], { maxBuffer: 1 << 28 });
  const id = await daemon.succeed(
    ['import', '-c', 'CMD ["cat", "/etc/marker"]', '-c', 'ENV X=1', '-m', 'by hand', '-', 'mine:1'],
    { stdin: root },
  );
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await daemon.succeed(['run', '--rm', 'mine:1']), 'imported');
  assert.equal(await daemon.succeed(['run', '--rm', 'mine:1', 'sh', '-c', 'echo $X']), '1');
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.Comment}}', 'mine:1']), 'by hand');
});

test('commit makes an image of a container', async () => {
  await daemon.succeed([
    'run',
    '--name',
    'changed',
    'busybox:test',
    'sh',
    '-c',
    'echo more > /etc/more; rm /etc/group',
  ]);
  await daemon.succeed(['commit', '-c', 'CMD cat /etc/more', '-a', 'me', 'changed', 'changed:1']);
  assert.equal(await daemon.succeed(['run', '--rm', 'changed:1']), 'more');
  assert.equal((await daemon.docker(['run', '--rm', 'changed:1', 'ls', '/etc/group'])).code, 1);
  await daemon.succeed(['rm', 'changed']);
  await daemon.succeed(['rmi', 'changed:1']);
});

test('an image in use is not removed without force', async () => {
  await daemon.succeed(['create', '--name', 'user', 'mine:1']);
  const result = await daemon.docker(['rmi', 'mine:1']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /conflict: unable to (?:remove repository reference|delete) .*(?:container|being used)/);
  await daemon.succeed(['rm', 'user']);
  assert.match(await daemon.succeed(['rmi', 'mine:1']), /^Untagged: mine:1\nDeleted: sha256:/);
});

test('layers lie over layers: whiteouts and opaque directories hide what is below', async () => {
  const write = (root: string, path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const first = (root: string): void => {
    for (const name of ['kept', 'gone']) write(root, `d/${name}`, `${name}\n`);
    write(root, 'top', 'under\n');
    write(root, 'opaque/old', 'old\n');
  };
  const second = (root: string): void => {
    write(root, 'd/new', 'new\n');
    write(root, 'd/.wh.gone', '');
    write(root, 'top', 'over\n');
    write(root, 'opaque/.wh..wh..opq', '');
    write(root, 'opaque/fresh', 'fresh\n');
  };
  await daemon.loadChanged('layered:test', first, second);
  const script = 'cat /d/kept /d/new /top; ls /d /opaque';
  const stdout = await daemon.succeed(['run', '--rm', 'layered:test', 'sh', '-c', script]);
  assert.equal(stdout, 'kept\nnew\nover\n/d:\nkept\nnew\n\n/opaque:\nfresh');
});

test('a damaged archive is refused, and nothing of it stays', async () => {
  const before = await daemon.succeed(['images', '-q']);
  const whole = readFileSync(await busyboxImage());
  for (const bytes of [whole.subarray(0, whole.length >> 1), Buffer.from('this is no archive'), Buffer.alloc(0)]) {
    const result = await daemon.docker(['load', '-q'], { stdin: bytes });
    assert.notEqual(result.code, 0, result.output);
  }
  assert.equal(await daemon.succeed(['images', '-q']), before);
});
