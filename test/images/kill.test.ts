// kill -9 at any time while images are loaded and removed: afterwards each image is whole or not there, and nothing else is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dockerArchive, ociArchive } from '../../src/images/archive-fixture.ts';
import { tarOf } from '../../src/layers/tar-fixture.ts';
import { TestStores } from './stores.ts';

const loader = fileURLToPath(new URL('loader.ts', import.meta.url));
const rounds = 30;
let directory: string;
let archives: string[];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holm-test-kill-'));
  const layer = (text: string): Buffer =>
    tarOf(Array.from({ length: 300 }, (_, at) => ({ name: `${text}${at}`, body: `${at}`.repeat(at * 5) })));
  const contents = [
    dockerArchive({ layers: [layer('a'), layer('b')], tags: ['app:1'] }),
    ociArchive([{ layers: [layer('a'), layer('c')], tags: ['app:2'], packing: 'gzip' }]),
  ];
  archives = contents.map((_, at) => join(directory, `${at}.tar`));
  for (const [at, archive] of archives.entries()) await writeFile(archive, contents[at]!);
});
after(() => rm(directory, { recursive: true }));

it(`images are whole or absent after each of ${rounds} kills`, async () => {
  const state = join(directory, 'state');
  let spanMs = 0;
  let seen = 0;
  for (let round = 0; round < rounds; round++) {
    const child = spawn(process.execPath, [loader, state, ...archives], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    await lines.next();
    const openedAt = performance.now();
    if (round === 0) {
      for (let turns = 0; turns < 3; turns++) await lines.next();
      spanMs = performance.now() - openedAt;
    } else await setTimeout((spanMs * round) / rounds);
    child.kill('SIGKILL');
    await ended;
    seen += await check(state);
  }
  assert.ok(seen > 0 && seen < rounds * 2, `${seen} images were seen`);
});

/** Opens the stores as after a crash; gives the number of images. */
async function check(state: string): Promise<number> {
  const stores = await TestStores.open(state);
  try {
    const images = stores.images.list();
    const blobs = new Set<string>();
    const layers = new Set<string>();
    for (const image of images) {
      const manifest = await stores.images.manifestOf(image);
      for (const digest of [image.manifest, image.id, ...manifest.layers.map((layer) => layer.digest)])
        blobs.add(digest.slice(7));
      for (const { chainId } of image.layers) {
        layers.add(chainId.slice(7, 31));
        const files = readdirSync(stores.layers.pathOf(chainId));
        assert.equal(files.length, 300);
        for (const file of files) {
          const at = file.slice(1);
          assert.equal(readFileSync(join(stores.layers.pathOf(chainId), file), 'utf8'), at.repeat(Number(at) * 5));
        }
      }
    }
    assert.deepEqual([...(await stores.rest())].sort(), [...blobs, ...layers].sort());
    const index = JSON.parse(readFileSync(join(state, 'content/index.json'), 'utf8')) as { manifests: object[] };
    assert.equal(index.manifests.length, images.flatMap(({ references }) => references).length || images.length);
    return images.length;
  } finally {
    await stores.close();
  }
}
