import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../base/digest.ts';
import { ContentStore } from './content-store.ts';
import { mediaTypes } from './oci.ts';

let directory: string;
let store: ContentStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holm-content-'));
  store = await ContentStore.open(directory);
});
afterEach(() => rm(directory, { recursive: true }));

const blobs = (): Promise<string[]> => readdir(join(directory, 'blobs/sha256'));
const ingest = (): Promise<string[]> => readdir(join(directory, 'ingest'));

describe('writeBlob()', () => {
  it('stores any chunks under their digest', async () => {
    using lease = store.acquire();
    const chunks = Array.from({ length: 3000 }, (_, at) => Buffer.alloc((at * 37) % 5000, at));
    const whole = Buffer.concat(chunks);
    const blob = await store.writeBlob(chunks, lease, { expectedDigest: digestOf(whole), expectedSize: whole.length });
    assert.deepEqual(blob, { digest: digestOf(whole), size: whole.length });
    assert.ok((await readFile(store.pathOf(blob.digest))).equals(whole));
    assert.deepEqual(await store.writeBlob([whole], lease), blob);
    assert.deepEqual(await ingest(), []);
  });

  const wrong = [
    { title: 'a wrong digest', expectation: { expectedDigest: digestOf('other') }, message: /has the digest/ },
    { title: 'too few bytes', expectation: { expectedSize: 9 }, message: /has 4 bytes, not 9/ },
    { title: 'too many bytes', expectation: { expectedSize: 3 }, message: /longer than its 3 bytes/ },
  ];
  for (const { title, expectation, message } of wrong) {
    it(`leaves nothing after ${title}`, async () => {
      using lease = store.acquire();
      await assert.rejects(store.writeBlob([Buffer.from('blob')], lease, expectation), { kind: 'corrupt', message });
      assert.deepEqual([...(await blobs()), ...(await ingest())], []);
    });
  }

  it('leaves nothing when its source fails', async () => {
    using lease = store.acquire();
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(3_000_000);
      throw new Error('the line broke');
    }
    await assert.rejects(store.writeBlob(failing(), lease), /the line broke/);
    assert.deepEqual([...(await blobs()), ...(await ingest())], []);
  });
});

describe('collect()', () => {
  async function addImage(text: string): Promise<{ manifest: Buffer; layer: Buffer }> {
    using lease = store.acquire();
    const layer = Buffer.from(`layer ${text}`);
    const config = Buffer.from('{}');
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        config: { mediaType: mediaTypes.config, digest: digestOf(config), size: config.length },
        layers: [{ mediaType: mediaTypes.layer, digest: digestOf(layer), size: layer.length }],
      }),
    );
    for (const bytes of [layer, config, manifest]) await store.writeBlob([bytes], lease);
    return { manifest, layer };
  }
  const entryOf = (manifest: Buffer, references: string[]) => ({
    descriptor: { mediaType: mediaTypes.manifest, digest: digestOf(manifest), size: manifest.length },
    references,
  });

  it('keeps what the index names through manifests, and what a lease keeps', async () => {
    const one = await addImage('one');
    const other = await addImage('other');
    await store.setIndex([entryOf(one.manifest, ['debian:bookworm'])]);
    using lease = store.acquire();
    const kept = await store.writeBlob([Buffer.from('under way')], lease);
    const { removed } = await store.collect();
    assert.deepEqual([...removed].sort(), [digestOf(other.layer), digestOf(other.manifest)].sort());
    assert.ok(await store.hasBlob(kept.digest));
    lease[Symbol.dispose]();
    assert.deepEqual((await store.collect()).removed, [kept.digest]);
    assert.equal((await blobs()).length, 3);
  });

  it('follows an index within the index', async () => {
    const { manifest } = await addImage('inner');
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entryOf(manifest, []).descriptor] }));
    using lease = store.acquire();
    await store.writeBlob([index], lease);
    const descriptor = { mediaType: mediaTypes.index, digest: digestOf(index), size: index.length };
    await store.setIndex([{ descriptor, references: [] }]);
    lease[Symbol.dispose]();
    assert.deepEqual((await store.collect()).removed, []);
  });
});

describe('the layout', () => {
  it('is there at once, and an interrupted write is gone after open()', async () => {
    assert.deepEqual(JSON.parse(await readFile(join(directory, 'oci-layout'), 'utf8')), {
      imageLayoutVersion: '1.0.0',
    });
    await writeFile(join(directory, 'ingest', 'half'), 'half');
    await writeFile(join(directory, 'index.json.0000.new'), '{');
    store = await ContentStore.open(directory);
    assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'index.json', 'ingest', 'oci-layout']);
    assert.deepEqual(await ingest(), []);
  });

  it('names a manifest once for each reference', async () => {
    const descriptor = { mediaType: mediaTypes.manifest, digest: digestOf('x'), size: 1 };
    await store.setIndex([{ descriptor, references: ['a:1', 'b:2'] }]);
    const { manifests } = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'));
    assert.deepEqual(
      manifests.map((one: { annotations: object }) => Object.values(one.annotations)),
      [['a:1'], ['b:2']],
    );
  });

  it('notices a document that was changed on disk', async () => {
    using lease = store.acquire();
    const { digest } = await store.writeBlob([Buffer.from('{"a":1}')], lease);
    assert.deepEqual(await store.readJson(digest), { a: 1 });
    await writeFile(store.pathOf(digest), '{"a":2}');
    await assert.rejects(store.readJson(digest), { kind: 'corrupt' });
  });
});
