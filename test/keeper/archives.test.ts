// unpack and pack: what comes out is what went in, hostile archives write nowhere else and get a clear sentence.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as linux from '../../src/kernel/constants.ts';
import { type Program, register, step } from '../../src/kernel/steps.ts';
import { testKeeper } from './client.ts';
import { paxRecords, type TarEntry, tar, tarEntry } from './tar.ts';

const keeper = await testKeeper();
const whiteoutsIn = 1;
const keepKinds = 2;
const noOwners = 4;
const sync = 16;
const whiteoutsOut = 1;
const named = 2;
const hardLinks = 8;
const nanoseconds = 32;

function confined(directory: string): Program {
  return [
    step('unshare', [linux.CLONE_NEWNS], 'leave the mounts'),
    step('mount', [null, '/', null, linux.MS_REC | linux.MS_PRIVATE, null], 'keep mounts private'),
    step('chroot', [directory], 'enter the root'),
    step('chdir', ['/'], 'enter it'),
  ];
}

interface Limits {
  readonly flags?: number;
  readonly bytes?: number;
  readonly entries?: number;
}

// Unpacks into a new directory (or the one given) and gives its path.
async function unpack(archive: Buffer, limits: Limits = {}, directory = keeper.newDirectory()): Promise<string> {
  const { flags = 0, bytes = 0, entries = 0 } = limits;
  const fork = keeper.kernel.fork([
    ...confined(directory),
    step('unpack', [register(0), flags, bytes, entries], 'unpack'),
  ]);
  fork.input.on('error', () => {});
  fork.input.end(archive);
  await fork.outcome.finally(() => fork.close());
  return directory;
}

async function pack(directory: string, path = '/', flags = hardLinks, mtime = -1): Promise<Buffer> {
  const fork = keeper.kernel.fork([...confined(directory), step('pack', [register(0), path, flags, mtime], 'pack')]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of fork.output) chunks.push(chunk);
  await fork.outcome;
  fork.close();
  return Buffer.concat(chunks);
}

function setXattr(path: string, name: string, value: string): void {
  execFileSync('python3', [
    '-c',
    'import os,sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode(), follow_symlinks=False)',
    path,
    name,
    value,
  ]);
}

test('entries of every kind', async () => {
  const directory = await unpack(
    tar(
      { name: './', type: '5', mode: 0o1755, mtime: 5 },
      { name: 'd/', type: '5', mode: 0o2750, uid: 12, gid: 34, mtime: 1000 },
      { name: 'd/file', data: 'content', mode: 0o4711, uid: 1000, gid: 1001, mtime: 1234567890 },
      { name: 'd/hard', type: '1', link: 'd/file', size: 7 },
      { name: 'd/soft', type: '2', link: '/some/where', uid: 7, gid: 8, mtime: 99 },
      { name: 'd/chr', type: '3', device: [1, 3], mode: 0o666 },
      { name: 'd/blk', type: '4', device: [259, 4000], mode: 0o600 },
      { name: 'd/fifo', type: '6', mode: 0o622 },
      { name: 'deep/er/down', data: 'x', prefix: 'very' },
      { name: '/leading/slash', data: 'y' },
      { name: 'old-directory/', type: '\0', mode: 0o755 },
      { name: 'empty' },
      { name: 'big', data: Buffer.alloc(1_000_001, 'b') },
      {
        name: 'short',
        pax: { path: `${'long/'.repeat(60)}name`, mtime: '1.25', uid: '3000000', gid: '4000000', comment: 'none' },
        data: 'z',
      },
      { name: 'huge-id', patch: { 108: Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0]) } },
      { name: 'before-1970', pax: { mtime: '-1.5' } },
      { name: '././@LongLink', type: 'L', data: `${'g'.repeat(200)}\0` },
      { name: 'ggg', data: 'gnu', patch: { 257: 'ustar  \0' } },
    ),
    { flags: sync },
  );
  const stat = (name: string): string => {
    const { mode, uid, gid, mtimeMs } = lstatSync(join(directory, name));
    return `${mode.toString(8)} ${uid}:${gid} ${mtimeMs / 1000}`;
  };
  assert.equal(stat('.'), '41755 0:0 5');
  assert.equal(stat('d'), '42750 12:34 1000');
  assert.equal(stat('d/file'), '104711 1000:1001 1234567890');
  assert.equal(readFileSync(join(directory, 'd/file'), 'utf8'), 'content');
  assert.equal(lstatSync(join(directory, 'd/hard')).ino, lstatSync(join(directory, 'd/file')).ino);
  assert.equal(stat('d/soft'), '120777 7:8 99');
  assert.equal(readlinkSync(join(directory, 'd/soft')), '/some/where');
  assert.equal(stat('d/chr').slice(0, 6), '20666 ');
  assert.equal(lstatSync(join(directory, 'd/chr')).rdev, 0x103);
  assert.equal(stat('d/blk').slice(0, 5), '60600');
  assert.equal(stat('d/fifo').slice(0, 5), '10622');
  assert.equal(readFileSync(join(directory, 'very/deep/er/down'), 'utf8'), 'x');
  assert.equal(readFileSync(join(directory, 'leading/slash'), 'utf8'), 'y');
  assert.ok(lstatSync(join(directory, 'old-directory')).isDirectory());
  assert.deepEqual(readFileSync(join(directory, 'big')), Buffer.alloc(1_000_001, 'b'));
  assert.equal(stat(`${'long/'.repeat(60)}name`), '100644 3000000:4000000 1.25');
  assert.equal(lstatSync(join(directory, 'huge-id')).uid, 0xfffffff0);
  assert.equal(lstatSync(join(directory, 'before-1970')).mtimeMs, -1500);
  assert.equal(readFileSync(join(directory, 'g'.repeat(200)), 'utf8'), 'gnu');
});

test('hostile archives get a sentence, and nothing is written outside', async (t) => {
  const cut = tar({ name: 'file', data: 'x'.repeat(1000) });
  const parent = (entry: TarEntry): Buffer => tar({ name: 'ok', data: 'x' }, entry);
  const cases: [string, Buffer, string, Limits?][] = [
    ['.. in the midst', parent({ name: 'a/../../b', data: 'x' }), '"a/../../b": a path in it holds ".."'],
    ['.. at the front', parent({ name: '../b', data: 'x' }), '"../b": a path in it holds ".."'],
    ['.. at the end', parent({ name: 'a/..', type: '5' }), '"a/..": a path in it holds ".."'],
    ['.. after slashes', parent({ name: '//../b' }), '"../b": a path in it holds ".."'],
    [
      '.. in a pax path',
      parent({ name: 'x', pax: { path: '/tmp/../../b' } }),
      '"tmp/../../b": a path in it holds ".."',
    ],
    ['.. in a hard link', parent({ name: 'x', type: '1', link: '../../etc/passwd' }), '"x": a path in it holds ".."'],
    ['a hard link to nothing', parent({ name: 'x', type: '1', link: '/etc/passwd' }), '"x": ENOENT'],
    [
      'a hard link through a link',
      tar({ name: 'l', type: '2', link: '/etc' }, { name: 'x', type: '1', link: 'l/passwd' }),
      '"x": ENOENT',
    ],
    ['no name', parent({ name: '' }), '"the archive": it has an entry without a name'],
    ['a link to nothing', parent({ name: 'x', type: '2' }), '"x": it is a symbolic link to nothing'],
    [
      'a wrong checksum',
      parent({ name: 'x', badChecksum: true }),
      '"the archive": a checksum is wrong; it may be no tar archive',
    ],
    [
      'no archive at all',
      Buffer.from('text '.repeat(200)),
      '"the archive": a number in its header is malformed; it may be no tar archive',
    ],
    [
      'gzip',
      Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(510, 7)]),
      '"the archive": a number in its header is malformed; it may be no tar archive',
    ],
    ['cut in a header', cut.subarray(0, 400), '"the archive": the archive is cut off'],
    ['cut in the data', cut.subarray(0, 1000), '"file": the archive is cut off'],
    ['cut in the padding', cut.subarray(0, 512 + 1010), '"file": the archive is cut off'],
    [
      'cut in a pax header',
      tarEntry({ name: 'x', type: 'x', data: 'y'.repeat(600) }).subarray(0, 900),
      '"x": the archive is cut off',
    ],
    [
      'a pax header larger than 1 MiB',
      tar({ name: 'x', type: 'x', data: Buffer.alloc((1 << 20) + 1, 'x') }),
      '"x": its extended header is larger than 1 MiB',
    ],
    [
      'a pax header said to be huge',
      tar({ name: 'x', type: 'x', size: 0o77777777777 }),
      '"x": its extended header is larger than 1 MiB',
    ],
    [
      'a long name larger than 1 MiB',
      tar({ name: 'x', type: 'L', size: 2 << 20 }),
      '"x": its extended header is larger than 1 MiB',
    ],
    [
      'a long name longer than a path',
      tar({ name: 'x', type: 'L', data: 'y/'.repeat(3000) }),
      '"x": a path in it is longer than 4096 bytes',
    ],
    [
      'a pax path longer than a path',
      tar({ name: 'x', pax: { path: 'y/'.repeat(3000) } }),
      '"x": a path in it is longer than 4096 bytes',
    ],
    [
      'two pax headers',
      Buffer.concat([
        tarEntry({ name: 'x', type: 'x', data: paxRecords({ a: 'b' }) }),
        tar({ name: 'y', pax: { c: 'd' } }),
      ]),
      '"pax": it has two extended headers',
    ],
    [
      'a pax record without end',
      tar({ name: 'x', type: 'x', data: '12 path=abcdefgh' }, { name: 'y' }),
      '"y": its pax header is malformed',
    ],
    [
      'a pax record longer than the header',
      tar({ name: 'x', type: 'x', data: '999 path=a\n' }, { name: 'y' }),
      '"y": its pax header is malformed',
    ],
    [
      'a pax record whose digits are longer than it',
      tar(
        { name: 'a', pax: { comment: ' = '.repeat(100) } },
        { name: 'x', type: 'x', data: '0000000007' },
        { name: 'y' },
      ),
      '"y": its pax header is malformed',
    ],
    [
      'a pax record of length 0',
      tar({ name: 'x', type: 'x', data: '0 path=a\n' }, { name: 'y' }),
      '"y": its pax header is malformed',
    ],
    [
      'a pax record without "="',
      tar({ name: 'x', type: 'x', data: '7 path\n' }, { name: 'y' }),
      '"y": its pax header is malformed',
    ],
    [
      'a pax number that is none',
      parent({ name: 'x', pax: { size: '1x' } }),
      '"x": a number in its pax header is malformed',
    ],
    [
      'a pax size that overflows',
      parent({ name: 'x', pax: { size: '99999999999999999999' } }),
      '"x": a number in its pax header is too large',
    ],
    ['a negative pax size', parent({ name: 'x', pax: { size: '-5' } }), '"x": its size is out of range'],
    [
      'a negative size in base 256',
      parent({ name: 'x', patch: { 124: Buffer.alloc(12, 0xff) } }),
      '"x": its size is out of range',
    ],
    [
      'a huge size in base 256',
      parent({ name: 'x', patch: { 124: Buffer.from([0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]) } }),
      '"x": its size is out of range',
    ],
    [
      'a size that is no number',
      parent({ name: 'x', patch: { 124: '9z' } }),
      '"x": a number in its header is malformed',
    ],
    ['an owner out of range', parent({ name: 'x', pax: { uid: '4294967295' } }), '"x": its owner is out of range'],
    ['a sparse file of GNU', parent({ name: 'x', type: 'S' }), '"x": sparse files are not supported'],
    [
      'a sparse file of pax',
      parent({ name: 'x', pax: { 'GNU.sparse.major': '1' } }),
      '"x": sparse files are not supported',
    ],
    ['a type that is not known', parent({ name: 'x', type: 'V' }), '"x": entries of its type are not supported'],
    [
      'too many entries',
      tar({ name: 'a' }, { name: 'b' }, { name: 'c' }),
      '"c": the archive has more entries than it may',
      { entries: 2 },
    ],
    [
      'too many bytes',
      tar({ name: 'a', data: 'xxxx' }, { name: 'b', data: 'xxxx' }),
      '"b": the archive holds more bytes than it may',
      { bytes: 7 },
    ],
    ['a path below a file', tar({ name: 'a', data: 'x' }, { name: 'a/b', data: 'x' }), '"a/b": ENOTDIR'],
    [
      'a name too long for a file',
      parent({ name: 'x', pax: { path: 'y'.repeat(300) } }),
      `"${'y'.repeat(300)}": ENAMETOOLONG`,
    ],
    [
      'a whiteout of nothing',
      parent({ name: 'd/.wh.' }),
      '"d/.wh.": it is a whiteout of nothing',
      { flags: whiteoutsIn },
    ],
    [
      'a whiteout of ..',
      parent({ name: 'd/.wh...' }),
      '"d/.wh...": it is a whiteout of nothing',
      { flags: whiteoutsIn },
    ],
    ['control characters in a name', parent({ name: 'a\n\x1b/../b' }), '"a??/../b": a path in it holds ".."'],
  ];
  for (const [name, archive, sentence, limits] of cases) {
    await t.test(name, async () => {
      await assert.rejects(unpack(archive, limits), (error: Error) => {
        assert.equal(error.message.slice(0, `Cannot unpack ${sentence}`.length), `Cannot unpack ${sentence}`);
        return true;
      });
    });
  }
});

test('links lead nowhere but into the root', async (t) => {
  const outside = keeper.newDirectory();
  writeFileSync(join(outside, 'victim'), 'untouched');
  const intact = (): void => {
    assert.deepEqual(readdirSync(outside), ['victim']);
    assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched');
    assert.equal(statSync(join(outside, 'victim')).mode & 0o7777, 0o644);
  };
  const up = `${'../'.repeat(20)}${outside.slice(1)}`;
  const cases: [string, TarEntry[]][] = [
    [
      'a file through an absolute link',
      [
        { name: 'l', type: '2', link: outside },
        { name: 'l/victim', data: 'x', mode: 0o777 },
      ],
    ],
    [
      'a file through a relative link',
      [
        { name: 'l', type: '2', link: up },
        { name: 'l/victim', data: 'x' },
      ],
    ],
    [
      'a file through two links',
      [
        { name: 'a', type: '2', link: up },
        { name: 'b', type: '2', link: 'a' },
        { name: 'b/victim', data: 'x' },
      ],
    ],
    [
      'a file over a link',
      [
        { name: 'l', type: '2', link: `${outside}/victim` },
        { name: 'l', data: 'x', mode: 0o777 },
      ],
    ],
    [
      'a directory over a link',
      [
        { name: 'l', type: '2', link: outside },
        { name: 'l/', type: '5', mode: 0o700 },
        { name: 'l/new', data: 'x' },
      ],
    ],
    [
      'a hard link to a link, then its mode',
      [
        { name: 'l', type: '2', link: `${outside}/victim` },
        { name: 'h', type: '1', link: 'l' },
        { name: 'h', data: 'x', mode: 0o777 },
      ],
    ],
    [
      'a device over a link',
      [
        { name: 'l', type: '2', link: `${outside}/victim` },
        { name: 'l', type: '3', device: [1, 3] },
      ],
    ],
  ];
  for (const [name, entries] of cases) {
    await t.test(name, async () => {
      await unpack(tar(...entries)).catch((error: Error) => assert.match(error.message, /^Cannot unpack/));
      intact();
    });
  }
  await t.test('a link to a directory of the root is followed', async () => {
    const directory = await unpack(
      tar({ name: 'usr/lib/', type: '5' }, { name: 'lib', type: '2', link: '/usr/lib' }, { name: 'lib/x', data: 'x' }),
    );
    assert.equal(readFileSync(join(directory, 'usr/lib/x'), 'utf8'), 'x');
  });
});

test('what stands there is replaced, unless kinds are kept', async (t) => {
  const make = (): string => {
    const directory = keeper.newDirectory();
    mkdirSync(join(directory, 'dir/sub/sub'), { recursive: true });
    writeFileSync(join(directory, 'dir/sub/file'), 'x');
    symlinkSync('elsewhere', join(directory, 'link'));
    writeFileSync(join(directory, 'file'), 'old', { mode: 0o600 });
    linkSync(join(directory, 'file'), join(directory, 'other'));
    return directory;
  };
  const archive = tar({ name: 'dir', data: 'now a file' }, { name: 'link/', type: '5' }, { name: 'file', data: 'new' });
  const directory = await unpack(archive, {}, make());
  assert.equal(readFileSync(join(directory, 'dir'), 'utf8'), 'now a file');
  assert.ok(lstatSync(join(directory, 'link')).isDirectory());
  assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'new');
  assert.equal(readFileSync(join(directory, 'other'), 'utf8'), 'old');
  const kept: [TarEntry, string][] = [
    [{ name: 'dir', data: 'x' }, 'Cannot unpack "dir": only a directory can replace a directory'],
    [{ name: 'file/', type: '5' }, 'Cannot unpack "file": a directory cannot replace what is none'],
    [{ name: 'link/', type: '5' }, 'Cannot unpack "link": a directory cannot replace what is none'],
  ];
  for (const [entry, message] of kept) {
    await t.test(message, async () => {
      const target = make();
      await assert.rejects(unpack(tar(entry), { flags: keepKinds }, target), { message });
      assert.ok(existsSync(join(target, 'dir/sub/file')));
    });
  }
  const merged = await unpack(
    tar({ name: 'dir/', type: '5', mode: 0o711 }, { name: 'file', data: 'new' }),
    { flags: keepKinds },
    make(),
  );
  assert.equal(lstatSync(join(merged, 'dir')).mode & 0o777, 0o711);
  assert.ok(existsSync(join(merged, 'dir/sub/file')));
});

test('whiteouts become overlay\u2019s, and come back', async () => {
  const entries: TarEntry[] = [
    { name: 'd/', type: '5', mode: 0o755 },
    { name: 'd/.wh..wh..opq' },
    { name: 'd/.wh.gone' },
    { name: 'd/kept', data: 'x' },
  ];
  const archive = tar(...entries, { name: '.wh..wh.plnk' }, { name: 'new/.wh.x' });
  const directory = await unpack(archive, { flags: whiteoutsIn });
  assert.equal(lstatSync(join(directory, 'd/gone')).rdev, 0);
  assert.ok(lstatSync(join(directory, 'd/gone')).isCharacterDevice());
  assert.deepEqual(readdirSync(join(directory, 'd')).sort(), ['gone', 'kept']);
  assert.ok(lstatSync(join(directory, 'new/x')).isCharacterDevice());
  assert.deepEqual(readdirSync(directory).sort(), ['d', 'new']);
  assert.deepEqual(names(await pack(directory, '/', whiteoutsOut)), [
    'd/',
    'd/.wh..wh..opq',
    'd/.wh.gone',
    'd/kept',
    'new/',
    'new/.wh.x',
  ]);
  const plain = await unpack(tar(...entries));
  assert.deepEqual(readdirSync(join(plain, 'd')).sort(), ['.wh..wh..opq', '.wh.gone', 'kept']);
});

test('extended attributes travel, overlay\u2019s own do not', async () => {
  const pax = {
    'SCHILY.xattr.user.mark': 'a\0b\nc=d',
    'SCHILY.xattr.trusted.overlay.opaque': 'y',
    'SCHILY.xattr.user.overlay.opaque': 'y',
    'SCHILY.xattr.security.capability': Buffer.from('0100000200040000000000000000000000000000', 'hex'),
  };
  const directory = await unpack(
    tar({ name: 'file', data: 'x', uid: 5, pax }, { name: 'dir/', type: '5', pax: { 'SCHILY.xattr.user.of': 'dir' } }),
  );
  const list = execFileSync(
    'python3',
    [
      '-c',
      'import os,sys\nfor n in ("file","dir"):\n  p=sys.argv[1]+"/"+n\n  print([(k, os.getxattr(p,k)) for k in sorted(os.listxattr(p))])',
      directory,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(
    list,
    "[('security.capability', b'\\x01\\x00\\x00\\x02\\x00\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'), ('user.mark', b'a\\x00b\\nc=d')]\n[('user.of', b'dir')]\n",
  );
  const again = await pack(directory);
  assert.deepEqual(await pack(await unpack(again)), again);
});

test('pack and unpack of a tree with everything in it give the same archive', async () => {
  const directory = keeper.newDirectory();
  const at = (name: string): string => join(directory, name);
  mkdirSync(at(`${'d'.repeat(200)}/${'e'.repeat(200)}`), { recursive: true });
  writeFileSync(at(`${'d'.repeat(200)}/${'e'.repeat(200)}/f`), Buffer.alloc(700_000, 'f'));
  writeFileSync(at('b'), 'text');
  chownSync(at('b'), 70000, 4_000_000_000);
  chmodSync(at('b'), 0o6755);
  linkSync(at('b'), at('a'));
  symlinkSync('x'.repeat(300), at('long-link'));
  symlinkSync('b', at('c'));
  writeFileSync(at('ümlaut \u{1f600}'), '');
  execFileSync('mkfifo', [at('fifo')]);
  execFileSync('mknod', [at('null'), 'c', '1', '3']);
  execFileSync('python3', ['-c', 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])', at('socket')]);
  setXattr(at('b'), 'user.x', 'y');
  utimesSync(at('b'), 1, 1.5);
  const archive = await pack(directory, '/', hardLinks | nanoseconds);
  const listed = execFileSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8', maxBuffer: 1 << 24 })
    .trim()
    .split('\n');
  assert.equal(listed.length, 10);
  assert.equal(execFileSync('tar', ['xOf', '-', 'a'], { input: archive, encoding: 'utf8' }), 'text');
  const copy = await unpack(archive);
  assert.deepEqual(await pack(copy, '/', hardLinks | nanoseconds), archive);
  assert.equal(lstatSync(join(copy, 'b')).mtimeMs, 1500);
  assert.equal(lstatSync(join(copy, 'b')).nlink, 2);
  const clamped = await pack(directory, '/', hardLinks, 1000);
  assert.deepEqual(await pack(await unpack(clamped), '/', hardLinks, 1000), clamped);
  assert.match(
    execFileSync('tar', ['tvf', '-', 'null'], {
      input: clamped,
      encoding: 'utf8',
      env: { TZ: 'UTC', PATH: process.env.PATH },
    }),
    /1970-01-01 00:16/,
  );
});

test('pack of one thing, under its name or for its content', async (t) => {
  const directory = keeper.newDirectory();
  mkdirSync(join(directory, 'a/b/c'), { recursive: true });
  writeFileSync(join(directory, 'a/b/f'), 'x');
  symlinkSync('b', join(directory, 'a/l'));
  const cases: [string, number, string[]][] = [
    ['/a/b', 0, ['c/', 'f']],
    ['/a/b', named, ['b/', 'b/c/', 'b/f']],
    ['/a/b/', named, ['b/', 'b/c/', 'b/f']],
    ['/a/b/f', 0, ['f']],
    ['/a/b/f', named, ['f']],
    ['/a/l', named, ['l']],
    ['/', 0, ['a/', 'a/b/', 'a/b/c/', 'a/b/f', 'a/l']],
  ];
  for (const [path, flags, expected] of cases) {
    await t.test(`${path} with flags ${flags}`, async () =>
      assert.deepEqual(names(await pack(directory, path, flags)), expected),
    );
  }
  await assert.rejects(pack(directory, '/none'), { message: 'Cannot pack "/none": ENOENT' });
});

test('owners are left out on request', async () => {
  const directory = await unpack(tar({ name: 'f', uid: 5, gid: 6, data: 'x' }), { flags: noOwners });
  assert.equal(lstatSync(join(directory, 'f')).uid, 0);
});

test('a reader that leaves ends the packing', async () => {
  const directory = keeper.newDirectory();
  writeFileSync(join(directory, 'big'), Buffer.alloc(50_000_000));
  const fork = keeper.kernel.fork([...confined(directory), step('pack', [register(0), '/', 0, -1], 'pack')]);
  for await (const _chunk of fork.output) break;
  fork.close();
  await assert.rejects(fork.outcome);
});

function names(archive: Buffer): string[] {
  return execFileSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8' }).split('\n').slice(0, -1);
}
