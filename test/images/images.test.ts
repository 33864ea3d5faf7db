// Images as other tools make and read them: skopeo, a Debian of debootstrap, and a real root file system.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { layerOf, ociArchive } from '../../src/images/archive-fixture.ts';
import { createDebianImage } from '../../src/images/from-debian.ts';
import { TestStores } from './stores.ts';

let stores: TestStores;
let directory: string;
const suite = 'bookworm';

before(async () => {
  stores = await TestStores.open();
  directory = await mkdtemp(join(tmpdir(), 'holm-test-skopeo-'));
});
after(async () => {
  await stores[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function skopeo(...args: string[]): string {
  try {
    return execFileSync('skopeo', ['--tmpdir', directory, '--insecure-policy', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Error('This test needs the program skopeo', { cause: error });
    throw error;
  }
}

describe('skopeo', () => {
  const image = { layers: [layerOf('one'), layerOf('two')], tags: ['app:1'], packing: 'gzip' } as const;

  it('reads the content store, and what save() writes in both its forms', async () => {
    await stores.images.load(Readable.from([ociArchive([image])]), () => undefined);
    const { id, manifest } = stores.images.get('app:1');
    const inspected = JSON.parse(skopeo('inspect', `oci:${stores.content.directory}:app:1`)) as { Digest: string };
    assert.equal(inspected.Digest, manifest);
    const saved = join(directory, 'saved.tar');
    await pipeline(await stores.images.save(['app:1']), createWriteStream(saved));
    for (const source of [`docker-archive:${saved}`, `oci-archive:${saved}:1`]) {
      const raw = JSON.parse(skopeo('inspect', '--config', '--raw', source)) as { rootfs: { diff_ids: string[] } };
      assert.deepEqual(raw, JSON.parse((await stores.content.readDocument(id)).toString()), source);
    }
    await stores.images.remove('app:1', { force: false, prune: true });
  });

  it('writes archives that load() reads', async () => {
    await stores.images.load(Readable.from([ociArchive([image])]), () => undefined);
    const { id } = stores.images.get('app:1');
    const source = `oci:${stores.content.directory}:app:1`;
    const targets = { 'docker.tar': 'docker-archive:%:other:2', 'oci.tar': 'oci-archive:%:other:3' };
    for (const [file, target] of Object.entries(targets))
      skopeo('copy', source, target.replace('%', join(directory, file)));
    await stores.images.remove('app:1', { force: false, prune: true });
    assert.deepEqual(await stores.rest(), []);
    const loaded: string[] = [];
    for (const file of Object.keys(targets))
      loaded.push(...(await stores.images.load(createReadStream(join(directory, file)), () => undefined)));
    assert.deepEqual(loaded, ['other:2', 'other:3']);
    for (const name of loaded) assert.equal(stores.images.get(name).layers.length, 2);
    assert.equal(stores.images.get('other:3').id, id);
    for (const name of loaded) await stores.images.remove(name, { force: false, prune: true });
    assert.deepEqual(await stores.rest(), []);
  });
});

describe('createDebianImage()', () => {
  const cacheDirectory = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm', 'debian');
  const make = (cache: string, reference: string) =>
    createDebianImage(stores.images, stores.kernel, {
      suite,
      reference,
      cacheDirectory: cache,
      workDirectory: join(stores.directory, 'work'),
    });

  it('makes a Debian whose files are all there', async () => {
    const { image } = await make(cacheDirectory, `debian:${suite}`);
    assert.deepEqual(image.references, [`debian:${suite}`]);
    assert.deepEqual(image.defaults.command, ['bash']);
    const root = stores.layers.pathOf(image.layers[0]!.chainId);
    assert.match(readFileSync(join(root, 'etc/os-release'), 'utf8'), new RegExp(suite));
    assert.equal(readlinkSync(join(root, 'bin')), 'usr/bin');
    assert.equal(statSync(join(root, 'usr/bin/passwd')).mode & 0o7777, 0o4755);
    assert.equal(statSync(join(root, 'etc/shadow')).gid, 42);
    assert.equal(statSync(join(root, 'etc/machine-id')).size, 0);
    assert.ok(gunzipSync(readFileSync(join(root, 'usr/share/doc/bash/changelog.Debian.gz'))).length > 0);
    for (const gone of ['etc/resolv.conf', 'etc/hostname', 'var/log/dpkg.log', 'debootstrap', 'dev/null'])
      assert.ok(!existsSync(join(root, gone)), gone);
  });

  it('gives the same digest when it is made anew', async () => {
    const before = stores.images.get(`debian:${suite}`).id;
    await stores.images.remove(`debian:${suite}`, { force: false, prune: true });
    const cache = join(directory, 'cache');
    await mkdir(cache);
    await symlink(join(cacheDirectory, 'packages'), join(cache, 'packages'));
    const { image, cached } = await make(cache, 'again:1');
    assert.deepEqual([image.id, cached], [before, false]);
    assert.deepEqual([(await make(cache, 'again:2')).cached, image.id], [true, before]);
  });

  it('refuses what is no suite and no package', async () => {
    const options = { workDirectory: directory, cacheDirectory: directory };
    await assert.rejects(createDebianImage(stores.images, stores.kernel, { suite: '../x', ...options }), {
      kind: 'invalid',
    });
    await assert.rejects(createDebianImage(stores.images, stores.kernel, { suite, include: ['-x'], ...options }), {
      kind: 'invalid',
    });
  });
});
