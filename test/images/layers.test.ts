// Layers through the real keeper: what archives hold comes out as it was, and no archive reaches out of its directory.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Digest, digestOf } from '../../src/base/digest.ts';
import { takeLayer } from '../../src/layers/intake.ts';
import { packDirectory } from '../../src/layers/packing.ts';
import { chunksOf, type FixtureEntry, paxEntry, tarEntry, tarOf } from '../../src/layers/tar-fixture.ts';
import { TestStores } from './stores.ts';

let stores: TestStores;
let outside: string;

before(async () => {
  stores = await TestStores.open(undefined, { mostBytes: 8_000_000, mostEntries: 50 });
  outside = await mkdtemp(join(tmpdir(), 'holm-test-outside-'));
  writeFileSync(join(outside, 'victim'), 'untouched');
});
after(async () => {
  assert.deepEqual(readdirSync(outside), ['victim']);
  assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched');
  assert.deepEqual(await stores.rest(), []);
  await rm(outside, { recursive: true });
  await stores[Symbol.asyncDispose]();
});

async function unpacked(
  tar: Buffer,
  work: (directory: string, chainId: Digest) => Promise<void> | void,
): Promise<void> {
  const diffId = digestOf(tar);
  const layer = await stores.layers.unpack(diffId, diffId, () => chunksOf(tar, 10_000));
  try {
    await work(stores.layers.pathOf(layer.chainId), layer.chainId);
  } finally {
    await stores.layers.remove(layer.chainId);
  }
}

/** What GNU tar says of an archive: mode, owner, size or device, time, name. */
function listing(tar: Buffer): readonly string[] {
  const text = execFileSync('tar', ['--numeric-owner', '--full-time', '--utc', '-tvf', '-'], {
    input: tar,
    encoding: 'utf8',
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '));
}

const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
const rich: readonly FixtureEntry[] = [
  { name: './', type: '5', mode: 0o755, mtime: 1_500_000_000 },
  { name: 'dir/', type: '5', mode: 0o2750, uid: 1000, gid: 2000, mtime: 1_400_000_000 },
  { name: 'dir/setuid', body: 'x', mode: 0o4755, uid: 33, gid: 44 },
  { name: 'dir/hard', type: '1', link: 'dir/setuid' },
  { name: 'link', type: '2', link: 'dir/setuid', mode: 0o777 },
  { name: 'null', type: '3', mode: 0o666, device: [1, 3] },
  { name: 'disk', type: '4', mode: 0o660, device: [7, 200] },
  { name: 'pipe', type: '6', mode: 0o600 },
  paxEntry({ path: `${'long/'.repeat(40)}näme`, mtime: '1600000000.25' }),
  { name: 'x', body: 'deep' },
];

describe('unpack()', () => {
  it('gives owners, modes, times, links and devices', () =>
    unpacked(tarOf(rich), (directory) => {
      const of = (name: string) => lstatSync(join(directory, name));
      assert.equal(of('dir').mode & 0o7777, 0o2750);
      assert.deepEqual([of('dir').uid, of('dir').gid, of('dir').mtimeMs], [1000, 2000, 1_400_000_000_000]);
      assert.deepEqual([of('dir/setuid').mode & 0o7777, of('dir/setuid').uid, of('dir/setuid').nlink], [0o4755, 33, 2]);
      assert.equal(of('dir/hard').ino, of('dir/setuid').ino);
      assert.equal(readlinkSync(join(directory, 'link')), 'dir/setuid');
      assert.ok(of('null').isCharacterDevice() && of('disk').isBlockDevice() && of('pipe').isFIFO());
      assert.deepEqual([of('null').rdev, of('disk').rdev], [(1 << 8) | 3, (7 << 8) | 200]);
      assert.equal(of(`${'long/'.repeat(40)}näme`).mtimeMs, 1_600_000_000_250);
      assert.equal(of('.').mtimeMs, 1_500_000_000_000);
    }));

  it('turns whiteouts and opaque directories into overlay’s, and pack() turns them back', () => {
    const tar = tarOf([
      { name: 'gone/', type: '5' },
      { name: 'gone/.wh.file', body: '' },
      { name: 'full/', type: '5' },
      { name: 'full/.wh..wh..opq', body: '' },
      { name: 'full/new', body: 'n' },
    ]);
    return unpacked(tar, async (directory) => {
      const whiteout = statSync(join(directory, 'gone/file'));
      assert.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0);
      assert.deepEqual(readdirSync(join(directory, 'full')), ['new']);
      const packed = packDirectory(stores.kernel, directory, { convertWhiteouts: true });
      const names = listing(Buffer.concat(await Array.fromAsync(packed))).map((line) => line.split(' ').at(-1));
      assert.deepEqual(names.filter((name) => name?.includes('.wh.')).sort(), ['full/.wh..wh..opq', 'gone/.wh.file']);
    });
  });

  it('is undone by pack(), extended attributes and all', () => {
    const attributes = paxEntry({
      'SCHILY.xattr.user.note': 'hello',
      'SCHILY.xattr.security.capability': capability.toString('latin1'),
    });
    const tar = tarOf([...rich, attributes, { name: 'with', body: 'attributes' }]);
    return unpacked(tar, async (directory) => {
      const first = Buffer.concat(await Array.fromAsync(packDirectory(stores.kernel, directory)));
      await unpacked(first, async (again) => {
        const second = Buffer.concat(await Array.fromAsync(packDirectory(stores.kernel, again)));
        assert.ok(first.equals(second));
      });
      assert.ok(first.includes('SCHILY.xattr.user.note=hello\n'));
      assert.ok(first.includes('SCHILY.xattr.security.capability='));
      assert.equal(listing(first).length, rich.length - 1 + 40 + 1 - 1);
    });
  });

  it('is asked for the same layer many times at once, and unpacks it once', async () => {
    const tar = tarOf(rich);
    const diffId = digestOf(tar);
    let opened = 0;
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        stores.layers.unpack(diffId, diffId, () => {
          opened++;
          return chunksOf(tar, 999);
        }),
      ),
    );
    assert.equal(opened, 1);
    assert.equal(new Set(all).size, 1);
    await stores.layers.remove(diffId);
  });

  it('unpacks several layers at the same time', async () => {
    const tars = Array.from({ length: 6 }, (_, at) => tarOf([...rich, { name: 'which', body: `${at}` }]));
    const made = await Promise.all(
      tars.map((tar) => stores.layers.unpack(digestOf(tar), digestOf(tar), () => chunksOf(tar, 512))),
    );
    for (const [at, { chainId }] of made.entries()) {
      assert.equal(readFileSync(join(stores.layers.pathOf(chainId), 'which'), 'utf8'), `${at}`);
      await stores.layers.remove(chainId);
    }
  });

  it('copes with names that are no UTF-8 and with directories deeper than a path may be long', () => {
    const deep = Array.from({ length: 42 }, (_, at): FixtureEntry[] => [
      paxEntry({ path: `${'d'.repeat(95)}/`.repeat(at + 1) }),
      { name: 'x', type: '5' },
    ]);
    const odd = tarEntry({ name: 'odd', body: 'x' });
    odd.write('\xff\xfe', 0, 'latin1');
    const sum = odd.subarray(0, 512).reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
    odd.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return unpacked(Buffer.concat([odd, tarOf(deep.flat())]), (directory) => {
      assert.equal(readdirSync(directory, { encoding: 'buffer' }).length, 2);
    });
  });
});

describe('hostile layers', () => {
  const target = (): string => join(outside, 'victim');
  /** Confined: unpacked without an error, and nothing outside is touched. Refused: an error, and nothing is left. */
  const cases: readonly { title: string; tar: () => Buffer; refused?: RegExp; inside?: (directory: string) => void }[] =
    [
      {
        title: 'a path with ..',
        tar: () => tarOf([{ name: '../../../../../../tmp/evil', body: 'x' }]),
        refused: /holds "\.\."/,
      },
      { title: 'an inner ..', tar: () => tarOf([{ name: 'a/../../evil', body: 'x' }]), refused: /holds "\.\."/ },
      {
        title: 'an absolute path',
        tar: () => tarOf([{ name: target(), body: 'evil' }]),
        inside: (directory) => assert.equal(readFileSync(join(directory, target()), 'utf8'), 'evil'),
      },
      {
        title: 'a file through an absolute link',
        tar: () =>
          tarOf([
            { name: 'l', type: '2', link: outside },
            { name: 'l/victim', body: 'evil' },
          ]),
        refused: /./,
      },
      {
        title: 'a file through a relative link',
        tar: () =>
          tarOf([
            { name: 'l', type: '2', link: '../'.repeat(20) + outside.slice(1) },
            { name: 'l/victim', body: 'evil' },
          ]),
        refused: /./,
      },
      {
        title: 'a file through links through links',
        tar: () =>
          tarOf([
            { name: 'a', type: '2', link: '/' },
            { name: 'b', type: '2', link: `a/../..${outside}` },
            { name: 'b/victim', body: 'evil' },
          ]),
        refused: /./,
      },
      {
        title: 'a file over a link',
        tar: () =>
          tarOf([
            { name: 'l', type: '2', link: target() },
            { name: 'l', body: 'evil' },
          ]),
        inside: (directory) => assert.ok(lstatSync(join(directory, 'l')).isFile()),
      },
      {
        title: 'a hard link to the outside',
        tar: () => tarOf([{ name: 'h', type: '1', link: target() }]),
        refused: /./,
      },
      {
        title: 'a hard link through a link',
        tar: () =>
          tarOf([
            { name: 'l', type: '2', link: outside },
            { name: 'h', type: '1', link: 'l/victim' },
          ]),
        refused: /./,
      },
      {
        title: 'a mode for a file through a link',
        tar: () =>
          tarOf([
            { name: 'l', type: '2', link: outside },
            { name: 'l', type: '5', mode: 0o777 },
          ]),
        inside: () => assert.notEqual(statSync(outside).mode & 0o777, 0o777),
      },
      { title: 'a whiteout of ..', tar: () => tarOf([{ name: '.wh...', body: '' }]), refused: /whiteout/ },
      {
        title: 'a huge pax header',
        tar: () => tarEntry({ name: 'x', type: 'x', size: 2 ** 30 }),
        refused: /extended header/,
      },
      {
        title: 'too many entries',
        tar: () => tarOf(Array.from({ length: 51 }, (_, at) => ({ name: `${at}` }))),
        refused: /more entries/,
      },
      { title: 'too many bytes', tar: () => tarEntry({ name: 'big', size: 8_000_001 }), refused: /more bytes/ },
      {
        title: 'a cut stream',
        tar: () => tarEntry({ name: 'cut', body: 'x'.repeat(5000) }).subarray(0, 3000),
        refused: /cut off/,
      },
      {
        title: 'garbage after a file',
        tar: () => Buffer.concat([tarEntry({ name: 'a' }), Buffer.alloc(512, 7)]),
        refused: /checksum|malformed/,
      },
      { title: 'a sparse file', tar: () => tarOf([{ name: 's', type: 'S' }]), refused: /sparse/ },
      {
        title: 'a negative size',
        tar: () => tarOf([paxEntry({ size: '-5' }), { name: 'n' }]),
        refused: /size is out of range/,
      },
    ];
  for (const { title, tar, refused, inside } of cases) {
    it(`${refused === undefined ? 'confines' : 'refuses'} ${title}`, async () => {
      const before = await stores.rest();
      const unpacking = unpacked(tar(), (directory) => inside?.(directory));
      if (refused === undefined) await unpacking;
      else await assert.rejects(unpacking, { name: /^(?:StepError|HolmError)$/, message: refused });
      assert.deepEqual(await stores.rest(), before);
    });
  }

  it('refuses a wrong diff id and leaves nothing', async () => {
    const wrong = digestOf('wrong');
    await assert.rejects(
      stores.layers.unpack(wrong, wrong, () => chunksOf(tarOf(rich), 999)),
      { kind: 'corrupt' },
    );
    assert.deepEqual(await stores.rest(), []);
  });

  it('refuses a gzip bomb beyond the limit, and leaves nothing', async () => {
    const bomb = gzipSync(tarOf([{ name: 'zeros', body: Buffer.alloc(9_000_000) }]));
    using lease = stores.content.acquire();
    await assert.rejects(takeLayer(chunksOf(bomb, 4096), stores, lease), { kind: 'invalid' });
    assert.deepEqual(await stores.rest(), []);
  });

  it('leaves nothing when the stream breaks', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield tarEntry({ name: 'a', body: 'x'.repeat(700_000) });
      throw new Error('the line broke');
    }
    using lease = stores.content.acquire();
    await assert.rejects(takeLayer(broken(), stores, lease), /the line broke/);
    assert.deepEqual(await stores.rest(), []);
  });
});

describe('packDirectory()', () => {
  it('makes nothing younger than it may, and is the same each time', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holm-test-pack-'));
    await writeFile(join(directory, 'b'), 'now');
    await writeFile(join(directory, 'a'), 'now');
    const read = async (): Promise<Buffer> =>
      Buffer.concat(await Array.fromAsync(packDirectory(stores.kernel, directory, { mostTime: 1_600_000_000 })));
    const tar = await read();
    assert.ok(tar.equals(await read()));
    const lines = listing(tar);
    assert.ok(
      lines.every((line) => line.includes('2020-09-13 12:26:40')),
      lines.join('\n'),
    );
    await rm(directory, { recursive: true });
  });

  it('fails for a directory that is not there', async () => {
    await assert.rejects(Array.fromAsync(packDirectory(stores.kernel, '/nowhere/at/all')), /ENOENT/);
  });
});
