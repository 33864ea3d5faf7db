import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { extractTar } from './extract.ts';
import { encodeHeader, padding, type TarEntry } from './header.ts';
import { packTar } from './pack.ts';
import { readTar } from './read.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-tar-'));
after(() => rmSync(directory, { recursive: true }));

const plain = { mode: 0o644, uid: 0, gid: 0, modifiedAt: 1_700_000_000, linkName: '', major: 0, minor: 0 };

/** An archive of entries with their contents, in pieces that do not meet the blocks. */
async function* archive(
  ...entries: readonly (Partial<TarEntry> & { name: string; content?: string })[]
): AsyncGenerator<Buffer> {
  const parts = entries.flatMap(({ content = '', ...entry }) => {
    const bytes = Buffer.from(content);
    return [encodeHeader({ type: 'file', ...plain, ...entry, sizeBytes: bytes.length }), bytes, padding(bytes.length)];
  });
  const all = Buffer.concat([...parts, Buffer.alloc(1024)]);
  for (let at = 0; at < all.length; at += 333) yield all.subarray(at, at + 333);
}

test('a tree comes back as it was', async () => {
  const from = join(directory, 'from');
  const long = 'n'.repeat(150);
  mkdirSync(join(from, 'sub'), { recursive: true });
  writeFileSync(join(from, 'a'), 'A'.repeat(1000), { mode: 0o755 });
  writeFileSync(join(from, 'sub', long), 'long');
  writeFileSync(join(from, 'sub', 'ünïcode'), 'u');
  linkSync(join(from, 'a'), join(from, 'sub', 'hard'));
  symlinkSync('../a', join(from, 'sub', 'soft'));
  utimesSync(join(from, 'a'), 1_600_000_000.5, 1_600_000_000.5);
  const to = join(directory, 'to');
  const bytes = await extractTar(packTar(from, 'from', false), to, { base: 'from', keepOwners: false });
  assert.equal(bytes, 1000 + 4 + 1);
  assert.equal(readFileSync(join(to, 'a'), 'utf8'), 'A'.repeat(1000));
  assert.equal(statSync(join(to, 'a')).mode & 0o777, 0o755);
  assert.equal(statSync(join(to, 'a')).mtimeMs, 1_600_000_000_500);
  assert.equal(readFileSync(join(to, 'sub', long), 'utf8'), 'long');
  assert.equal(readFileSync(join(to, 'sub', 'ünïcode'), 'utf8'), 'u');
  assert.equal(statSync(join(to, 'sub', 'hard')).ino, statSync(join(to, 'a')).ino);
  assert.equal(readlinkSync(join(to, 'sub', 'soft')), '../a');
});

test('large numbers and old forms are read', async () => {
  const header = encodeHeader({ type: 'file', ...plain, name: 'x', sizeBytes: 0, uid: 3_000_000, gid: 3_000_000 });
  const names: [string, number][] = [];
  for await (const { entry } of readTar(
    (async function* () {
      yield header;
    })(),
  ))
    names.push([entry.name, entry.uid]);
  assert.deepEqual(names, [['x', 3_000_000]]);
});

test('hostile archives write nothing outside', async () => {
  const outside = join(directory, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  const dir = { name: 'x/', type: 'directory', mode: 0o755 } as const;
  const cases: [string, AsyncGenerator<Buffer>][] = [
    ['dots', archive(dir, { name: 'x/../../outside/new', content: 'bad' })],
    ['absolute', archive(dir, { name: `${outside}/new`, content: 'bad' })],
    [
      'through a link',
      archive(dir, { name: 'x/l', type: 'symlink', linkName: outside }, { name: 'x/l/new', content: 'bad' }),
    ],
    ['link to outside', archive(dir, { name: 'x/h', type: 'link', linkName: `${outside}/secret` })],
    ['hard link with dots', archive(dir, { name: 'x/h', type: 'link', linkName: 'x/../outside/secret' })],
    ['other root', archive({ name: 'y', content: 'bad' })],
    ['device', archive({ name: 'x', type: 'character', major: 1, minor: 3 })],
  ];
  for (const [name, bytes] of cases) {
    const target = join(directory, `hostile-${name.replaceAll(' ', '-')}`);
    await assert.rejects(extractTar(bytes, target, { base: 'x', keepOwners: false }), { name: 'HolmError' }, name);
    assert.equal(existsSync(join(outside, 'new')), false, name);
    assert.equal(lstatSync(join(outside, 'secret')).nlink, 1, name);
  }
});

test('damaged archives are refused', async () => {
  const good = Buffer.concat(await Array.fromAsync(archive({ name: 'x', content: 'hello' })));
  const damaged = Buffer.from(good);
  damaged[0] = 0x7a;
  const read = async (bytes: Buffer) => {
    for await (const _one of readTar(
      (async function* () {
        yield bytes;
      })(),
    ));
  };
  await assert.rejects(read(damaged), { kind: 'corrupt' });
  await assert.rejects(read(good.subarray(0, 515)), { kind: 'corrupt' });
  await assert.rejects(read(good.subarray(0, 100)), { kind: 'corrupt' });
});
