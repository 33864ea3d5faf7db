import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { ContentStore } from '../content/content-store.ts';
import { DrainingKernel } from '../layers/draining-kernel.ts';
import { LayerStore } from '../layers/layer-store.ts';
import { type FixtureEntry, tarOf } from '../layers/tar-fixture.ts';
import { configOf, dockerArchive, layerOf, ociArchive, pack } from './archive-fixture.ts';
import { Images } from './images.ts';
import type { ImageUser } from './removal.ts';

let directory: string;
let database: DatabaseSync;
let kernel: DrainingKernel;
let images: Images;
let layers: LayerStore | undefined;
const users = new Map<Digest, ImageUser[]>();
const events: string[] = [];

async function open(): Promise<void> {
  await layers?.synced();
  const content = await ContentStore.open(join(directory, 'content'));
  layers = await LayerStore.open(join(directory, 'layers'), kernel);
  images = await Images.open({
    content,
    layers,
    database,
    usersOf: (id) => users.get(id) ?? [],
    onEvent: (action, _, name) => events.push(`${action} ${name}`),
  });
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holm-images-'));
  database = new DatabaseSync(':memory:');
  kernel = new DrainingKernel();
  users.clear();
  events.length = 0;
  await open();
});
afterEach(async () => {
  database.close();
  await layers?.synced();
  await rm(directory, { recursive: true });
});

const one = layerOf('one');
const two = layerOf('two');
const load = (archive: Buffer): Promise<readonly string[]> => images.load(Readable.from([archive]), () => undefined);
const blobs = (): Promise<string[]> => readdir(join(directory, 'content/blobs/sha256'));
const unpacked = (): Promise<string[]> => readdir(join(directory, 'layers'));
const assertEmpty = async (): Promise<void> => {
  assert.deepEqual([...(await blobs()), ...(await unpacked())], []);
  assert.deepEqual(await readdir(join(directory, 'content/ingest')), []);
};

describe('load()', () => {
  const id = digestOf(configOf({ layers: [one, two] }));
  for (const packing of ['none', 'gzip', 'zstd'] as const) {
    for (const [form, archive] of Object.entries({
      docker: dockerArchive({ layers: [one, two], tags: ['app:1'], packing }),
      oci: ociArchive([{ layers: [one, two], tags: ['app:1'], packing }]),
    })) {
      for (const outer of ['none', 'gzip', 'zstd'] as const) {
        it(`reads an archive of ${form}, layers ${packing}, itself ${outer}`, async () => {
          assert.deepEqual(await load(pack(archive, outer)), ['app:1']);
          const image = images.get('app:1');
          assert.equal(image.id, id);
          assert.deepEqual(
            image.layers.map(({ diffId }) => diffId),
            [digestOf(one), digestOf(two)],
          );
          assert.equal(image.sizeBytes, 6);
          assert.deepEqual(image.defaults.command, ['sh']);
          assert.equal(image.createdAt, 1714979289123456789n);
          assert.equal((await blobs()).length, 4);
          assert.equal((await unpacked()).length, 2);
          assert.deepEqual(events, ['load app:1']);
        });
      }
    }
  }

  it('follows the links of old archives between equal layers', async () => {
    await load(dockerArchive({ layers: [one, two, one], tags: ['app:1'] }));
    assert.equal((await unpacked()).length, 3);
    assert.equal(images.get('app:1').layers.length, 3);
  });

  it('takes the host’s platform, and keeps the others when all is there', async () => {
    const other = { layers: [two], architecture: 's390x' };
    await load(ociArchive([{ layers: [one], tags: ['app:1'] }, other]));
    assert.deepEqual(
      images.get('app:1').layers.map(({ diffId }) => diffId),
      [digestOf(one)],
    );
    assert.equal((await blobs()).length, 7);
    await images.remove('app:1', { force: false, prune: true });
    await assertEmpty();
    await load(ociArchive([{ layers: [one], tags: ['app:1'] }, other], { lacks: digestOf(two) }));
    assert.equal((await blobs()).length, 3);
  });

  it('takes another platform when it is the only one', async () => {
    await load(ociArchive([{ layers: [two], architecture: 's390x', tags: ['app:1'] }]));
    assert.equal(images.get('app:1').platform.architecture, 's390x');
  });

  it('loads the same again and moves a name', async () => {
    await load(dockerArchive({ layers: [one], tags: ['app:1'] }));
    await load(ociArchive([{ layers: [one], tags: ['app:1'] }]));
    assert.equal(images.list().length, 1);
    await load(dockerArchive({ layers: [one, two], tags: ['app:1'] }));
    assert.deepEqual(
      images.list().map(({ references }) => references),
      [[], ['app:1']],
    );
  });

  it('gives the id of an image without a name', async () => {
    assert.deepEqual(await load(dockerArchive({ layers: [one] })), [digestOf(configOf({ layers: [one] }))]);
  });

  const config = configOf({ layers: [one] });
  const configName = `${hexOf(digestOf(config))}.json`;
  const docker = (item: object, entries: FixtureEntry[] = []): Buffer =>
    tarOf([...entries, { name: configName, body: config }, { name: 'manifest.json', body: JSON.stringify([item]) }]);
  const item = { Config: configName, RepoTags: ['a:1'], Layers: ['l/layer.tar'] };
  const whole = dockerArchive({ layers: [one], tags: ['a:1'] });
  const hostile: readonly [string, Buffer, RegExp][] = [
    ['nothing', Buffer.alloc(0), /empty/],
    ['text', Buffer.from('x'.repeat(2000)), /no tar/],
    ['a tar without documents', tarOf([{ name: 'a', body: 'b' }]), /neither a manifest.json nor an index.json/],
    ['a cut archive', whole.subarray(0, 3000), /ends within/],
    ['a path with ..', tarOf([{ name: '../evil', body: 'x' }]), /unexpected path/],
    ['an inner ..', tarOf([{ name: 'a/../../evil', body: 'x' }]), /unexpected path/],
    ['an absolute path', tarOf([{ name: '/etc/passwd', body: 'x' }]), /unexpected path/],
    ['a link out', tarOf([{ name: 'l/layer.tar', type: '2', link: '../../x' }]), /unexpected path/],
    ['an absolute link', docker(item, [{ name: 'l/layer.tar', type: '2', link: '/etc/passwd' }]), /missing/],
    ['a link to itself', docker(item, [{ name: 'l/layer.tar', type: '2', link: 'layer.tar' }]), /too many links/],
    ['a device', tarOf([{ name: 'dev', type: '3' }]), /neither a file/],
    ['a hard link', tarOf([{ name: 'l', type: '1', link: 'x' }]), /neither a file/],
    ['a missing layer', docker(item), /layer "l\/layer.tar" is missing/],
    ['a missing configuration', docker({ ...item, Config: 'x.json' }), /configuration "x.json" is missing/],
    ['another layer than the configuration says', docker(item, [{ name: 'l/layer.tar', body: two }]), /holds "sha256/],
    [
      'too many layers',
      docker({ ...item, Layers: ['l/layer.tar', 'l/layer.tar'] }, [{ name: 'l/layer.tar', body: one }]),
      /has 2 layers/,
    ],
    ['a bad name', docker({ ...item, RepoTags: ['A B'] }, [{ name: 'l/layer.tar', body: one }]), /invalid reference/],
    ['a blob that is another', tarOf([{ name: `blobs/sha256/${'a'.repeat(64)}`, body: one }]), /has the digest/],
    ['a document that is another', tarOf([{ name: `blobs/sha256/${'a'.repeat(64)}`, body: '{}' }]), /has the digest/],
    ['a blob without a digest', tarOf([{ name: 'blobs/sha256/x', body: one }]), /not named by a digest/],
    [
      'a cut gzip layer',
      docker(item, [{ name: 'l/layer.tar', body: gzipSync(one).subarray(0, 60) }]),
      /damaged or ends early/,
    ],
    ['a manifest.json that is none', tarOf([{ name: 'manifest.json', body: '[1]' }]), /not a JSON object/],
    ['a broken index.json', tarOf([{ name: 'index.json', body: '{"manifests":[{}]}' }]), /lacks its mediaType/],
    ['an OCI layout without a layer', ociArchive([{ layers: [one] }], { lacks: digestOf(one) }), /is missing/],
  ];
  for (const [title, archive, message] of hostile) {
    it(`refuses ${title} and leaves nothing`, async () => {
      await assert.rejects(load(archive), { name: 'HolmError', message });
      await assertEmpty();
      assert.deepEqual(images.list(), []);
    });
  }

  it('leaves nothing when the keeper refuses a layer', async () => {
    kernel.failure = new Error('it is a trap');
    await assert.rejects(load(whole), /it is a trap/);
    await assertEmpty();
  });
});

describe('save()', () => {
  it('writes what load() reads, the same each time', async () => {
    await load(ociArchive([{ layers: [one, two], tags: ['app:1'], packing: 'gzip' }]));
    await load(dockerArchive({ layers: [one], tags: ['app:2', 'other:x'] }));
    const save = async (names: string[]): Promise<Buffer> =>
      Buffer.concat(await Array.fromAsync(await images.save(names)));
    const archive = await save(['app', 'other:x']);
    assert.ok(archive.equals(await save(['app', 'other:x'])));
    const before = images.list();
    for (const image of before) await images.remove(image.id, { force: true, prune: true });
    await assertEmpty();
    assert.deepEqual([...(await load(archive))].sort(), ['app:1', 'app:2', 'other:x']);
    assert.deepEqual(
      images
        .list()
        .map(({ id, manifest }) => [id, manifest])
        .sort(),
      before.map(({ id, manifest }) => [id, manifest]).sort(),
    );
    await assert.rejects(images.save(['none']), { kind: 'notFound', message: 'No such image: none:latest' });
  });
});

describe('get()', () => {
  it('finds by name, digest, id and the beginning of an id', async () => {
    await load(dockerArchive({ layers: [one], tags: ['debian:latest', 'me/app:2'] }));
    const image = images.list()[0]!;
    const hex = hexOf(image.id);
    const texts = ['debian', 'docker.io/library/debian:latest', 'me/app:2', image.id, hex, hex.slice(0, 3)];
    for (const text of [
      ...texts,
      `sha256:${hex.slice(0, 5)}`,
      `debian@${image.manifest}`,
      `me/app:9@${image.manifest}`,
    ])
      assert.equal(images.get(text), image, text);
    const missing = [
      ['debian:x', 'debian:x'],
      ['nix', 'nix:latest'],
      [`other@${image.manifest}`, `other@${image.manifest}`],
      ['sha256:zz', 'sha256:zz'],
      ['Bad Name', 'Bad Name'],
    ];
    for (const [text, shown] of missing)
      assert.throws(() => images.get(text!), { kind: 'notFound', message: `No such image: ${shown}` });
  });

  it('refuses an ambiguous beginning', async () => {
    for (let at = 0; at < 20; at++) await load(dockerArchive({ layers: [layerOf(`${at}`)] }));
    const first = images.list().map(({ id }) => id[7]!);
    const twice = first.find((digit, at) => first.indexOf(digit) !== at)!;
    assert.throws(() => images.get(twice), { message: `multiple IDs found with provided prefix: ${twice}` });
  });
});

describe('remove()', () => {
  const user = (isRunning: boolean): ImageUser[] => [{ id: 'ab'.repeat(32), isRunning }];
  const id = digestOf(configOf({ layers: [one] }));
  const short = hexOf(id).slice(0, 12);
  const cases: readonly {
    title: string;
    tags: string[];
    text: string;
    users?: ImageUser[];
    force?: boolean;
    gives?: unknown;
    message?: string;
  }[] = [
    { title: 'the last name', tags: ['a:1'], text: 'a:1', gives: ['a:1', id, digestOf(one)] },
    { title: 'one of two names', tags: ['a:1', 'b:1'], text: 'b:1', gives: ['b:1'] },
    { title: 'by id', tags: ['a:1'], text: short, gives: ['a:1', id, digestOf(one)] },
    {
      title: 'by id, with two names',
      tags: ['a:1', 'b:1'],
      text: short,
      message: `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    },
    {
      title: 'by id, forced',
      tags: ['a:1', 'b:1'],
      text: short,
      force: true,
      gives: ['a:1', 'b:1', id, digestOf(one)],
    },
    {
      title: 'the name that a container uses',
      tags: ['a:1'],
      text: 'a:1',
      users: user(false),
      message: `conflict: unable to remove repository reference "a:1" (must force) - container abababababab is using its referenced image ${short}`,
    },
    {
      title: 'the id that a stopped container uses',
      tags: ['a:1'],
      text: id,
      users: user(false),
      message: `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container abababababab`,
    },
    {
      title: 'the id that a running container uses, forced',
      tags: ['a:1'],
      text: id,
      users: user(true),
      force: true,
      message: `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container abababababab`,
    },
    {
      title: 'the name that a running container uses, forced',
      tags: ['a:1'],
      text: 'a:1',
      users: user(true),
      force: true,
      gives: ['a:1'],
    },
    { title: 'another name of a used image', tags: ['a:1', 'b:1'], text: 'a:1', users: user(true), gives: ['a:1'] },
  ];
  for (const { title, tags, text, users: its, force, gives, message } of cases) {
    it(`${message === undefined ? 'removes' : 'refuses'} ${title}`, async () => {
      await load(dockerArchive({ layers: [one], tags }));
      if (its !== undefined) users.set(id, its);
      const removing = images.remove(text, { force: force ?? false, prune: true });
      if (message === undefined)
        assert.deepEqual(
          (await removing).flatMap((entry) => Object.values(entry)),
          gives,
        );
      else await assert.rejects(removing, { kind: 'conflict', message });
      if (Array.isArray(gives) && gives.includes(id)) await assertEmpty();
    });
  }

  it('keeps the layers of a stopped container until it is gone', async () => {
    await load(dockerArchive({ layers: [one], tags: ['a:1'] }));
    users.set(id, user(false));
    await images.remove('a:1', { force: true, prune: true });
    assert.throws(() => images.get('a:1'), { kind: 'notFound' });
    assert.equal((await unpacked()).length, 1);
    await open();
    await images.collect();
    assert.equal((await unpacked()).length, 1);
    users.clear();
    await images.collect();
    await assertEmpty();
  });

  it('keeps what another image shares', async () => {
    await load(dockerArchive({ layers: [one], tags: ['a:1'] }));
    await load(dockerArchive({ layers: [one, two], tags: ['b:1'] }));
    const removed = await images.remove('b:1', { force: false, prune: true });
    assert.equal(removed.length, 3);
    assert.deepEqual((await unpacked()).length, 1);
  });
});

describe('importRoot(), create(), tag(), prune()', () => {
  it('makes an image of a tar, and another upon it', async () => {
    const id = await images.importRoot(Readable.from([gzipSync(one)]), {
      reference: 'root:1',
      message: 'mine',
      changes: ['CMD ["x"]', 'ENV A=b'],
    });
    const parent = images.get('root:1');
    assert.equal(parent.id, id);
    assert.deepEqual([parent.comment, parent.defaults.command, parent.layers.length], ['mine', ['x'], 1]);
    const child = await images.create({
      parent,
      layer: Readable.from([two]),
      defaults: parent.defaults,
      createdBy: 'commit',
      reference: 'child',
    });
    assert.deepEqual(
      child.layers.map(({ diffId }) => diffId),
      [digestOf(one), digestOf(two)],
    );
    assert.deepEqual(
      child.history.map(({ createdBy }) => createdBy),
      ['', 'commit'],
    );
    assert.deepEqual(child.references, ['child:latest']);
    assert.equal((await unpacked()).length, 2);
    await assert.rejects(images.importRoot(Readable.from(['text']), { message: '', changes: [] }), { kind: 'corrupt' });
    await assert.rejects(images.importRoot(Readable.from([one]), { message: '', changes: ['RUN x'] }), {
      kind: 'invalid',
    });
  });

  it('tags, and prunes what has no name or no container', async () => {
    await load(dockerArchive({ layers: [one], tags: ['a:1'] }));
    await load(dockerArchive({ layers: [two] }));
    await images.tag('a:1', 'host.example/b');
    assert.deepEqual(images.get('a:1').references, ['a:1', 'host.example/b:latest']);
    await assert.rejects(images.tag('none', 'x'), { message: 'No such image: none:latest' });
    await assert.rejects(images.tag('a:1', 'X'), { kind: 'invalid' });
    const { removed, bytes } = await images.prune({ danglingOnly: true }, () => false);
    assert.deepEqual([removed.length, bytes], [2, 3]);
    users.set(images.get('a:1').id, [{ id: 'c', isRunning: false }]);
    assert.deepEqual((await images.prune({ danglingOnly: false }, () => false)).removed, []);
    users.clear();
    assert.deepEqual((await images.prune({ danglingOnly: false }, () => true)).removed, []);
    assert.equal((await images.prune({ danglingOnly: false }, () => false)).removed.length, 4);
    await assertEmpty();
  });
});

describe('recover()', () => {
  it('unpacks again what is gone, and removes what belongs to none', async () => {
    await load(dockerArchive({ layers: [one, two], tags: ['a:1'], packing: 'gzip' }));
    const [first] = images.get('a:1').layers;
    await layers!.synced();
    await layers!.remove(first!.chainId);
    await (await layers!.stage()).finish();
    await open();
    assert.equal((await unpacked()).length, 2);
    assert.equal(images.get('a:1').sizeBytes, 6);
  });

  it('names the images in index.json', async () => {
    await load(dockerArchive({ layers: [one], tags: ['a:1', 'b:2'] }));
    const { manifests } = JSON.parse(await readFile(join(directory, 'content/index.json'), 'utf8'));
    assert.deepEqual(
      manifests.map(({ annotations }: { annotations: object }) => Object.values(annotations)[0]),
      ['a:1', 'b:2'],
    );
  });
});
