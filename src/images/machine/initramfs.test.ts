import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CpioEntry, formatCpio } from './cpio.ts';
import { makeInitramfs } from './initramfs.ts';
import { initScript } from './initramfs-script.ts';
import { KernelModules, parseModuleInfo } from './kernel-modules.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holm-test-initramfs-'));
});
after(() => rm(directory, { recursive: true }));

/** As the kernel's init/initramfs.c reads: header, name and body, each at a multiple of four. */
function readCpio(archive: Buffer): Map<string, { mode: number; body: Buffer; device: string }> {
  const found = new Map<string, { mode: number; body: Buffer; device: string }>();
  for (let at = 0; ; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    assert.equal(at % 4, 0);
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const name = archive.toString('utf8', at + 110, at + 110 + field(11) - 1);
    const start = (at + 110 + field(11) + 3) & ~3;
    if (name === 'TRAILER!!!') return found;
    found.set(name, {
      mode: field(1),
      body: archive.subarray(start, start + field(6)),
      device: `${field(9)}:${field(10)}`,
    });
    at = (start + field(6) + 3) & ~3;
  }
}

/** The start of a module, as far as we read it: a section .modinfo within other bytes. */
function moduleFile(...words: string[]): string {
  return `\x7fELF\0\0license=GPL\0${words.map((word) => `${word}\0`).join('')}name=x\0`;
}

describe('formatCpio()', () => {
  it('writes what the kernel reads, whatever the lengths of names and bodies', () => {
    const entries: CpioEntry[] = [
      { path: 'd', is: 'directory' },
      { path: 'd/console', is: 'device', major: 5, minor: 1 },
      { path: 'd/link', is: 'link', target: '../fünf' },
      { path: 'init', is: 'file', content: Buffer.from('#!'), executable: true },
    ];
    for (let length = 0; length < 9; length++)
      entries.push({ path: 'x'.repeat(length + 1), is: 'file', content: Buffer.alloc(length, length) });
    const read = readCpio(formatCpio(entries));
    assert.deepEqual(
      [...read.keys()],
      entries.map(({ path }) => path),
    );
    assert.equal(read.get('d')!.mode, 0o040755);
    assert.deepEqual([read.get('d/console')!.mode, read.get('d/console')!.device], [0o020600, '5:1']);
    assert.deepEqual([read.get('d/link')!.mode, read.get('d/link')!.body.toString()], [0o120777, '../fünf']);
    assert.equal(read.get('init')!.mode, 0o100755);
    for (let length = 0; length < 9; length++)
      assert.deepEqual(read.get('x'.repeat(length + 1))!.body, Buffer.alloc(length, length));
  });
});

describe('KernelModules', () => {
  it('reads what a module needs', () => {
    const text = moduleFile('depends=jbd2,crc16', 'softdep=pre: crc32c  x post: y', 'alias=fs-ext4');
    assert.deepEqual(parseModuleInfo(Buffer.from(text)), { depends: ['jbd2', 'crc16'], softBefore: ['crc32c', 'x'] });
    assert.deepEqual(parseModuleInfo(Buffer.from(moduleFile('depends='))), { depends: [], softBefore: [] });
  });

  it('orders modules, what others need first, each once, in circles too, without those built in', async () => {
    const files = {
      'fs/ext4.ko': moduleFile('depends=jbd2,crc-16'),
      'fs/jbd2.ko': moduleFile('depends=crc-16', 'softdep=pre: builtin'),
      'lib/crc-16.ko': moduleFile('depends='),
      'a.ko': moduleFile('depends=b'),
      'b.ko': moduleFile('depends=a'),
    };
    const root = join(directory, 'modules');
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), text);
    }
    const modules = await KernelModules.open(root);
    assert.deepEqual(await modules.orderOf(['ext4', 'crc-16', 'builtin']), ['crc_16', 'jbd2', 'ext4']);
    assert.deepEqual(await modules.orderOf(['a']), ['b', 'a']);
  });
});

describe('makeInitramfs()', () => {
  it('has /init, busybox, a console, and each list’s modules', async () => {
    const root = join(directory, 'kernel');
    await mkdir(root);
    for (const [name, needs] of Object.entries({ virtio_mmio: '', virtio_blk: '', ext4: 'jbd2', jbd2: '', other: '' }))
      await writeFile(join(root, `${name}.ko`), moduleFile(`depends=${needs}`));
    const make = async (): Promise<Buffer> =>
      await makeInitramfs(Buffer.from('busybox'), await KernelModules.open(root));
    const archive = await make();
    assert.deepEqual(await make(), archive);
    const read = readCpio(archive);
    assert.equal(read.get('init')!.body.toString(), initScript);
    assert.equal(read.get('bin/busybox')!.mode, 0o100755);
    assert.equal(read.get('dev/console')!.device, '5:1');
    assert.equal(read.get('lib/modules/root')!.body.toString(), 'jbd2\next4\n');
    assert.equal(read.get('lib/modules/virtio-0x0002')!.body.toString(), 'virtio_blk\n');
    assert.ok(read.has('lib/modules/jbd2.ko'));
    assert.ok(!read.has('lib/modules/other.ko'));
    for (const applet of ['sh', 'mount', 'switch_root', 'insmod']) assert.ok(read.has(`bin/${applet}`), applet);
  });

  it('has a script that a shell can read, and whose programs are all there', async () => {
    execFileSync('sh', ['-n'], { input: initScript });
    const read = readCpio(await makeInitramfs(Buffer.from('x'), await KernelModules.open(directory)));
    for (const program of [
      'chroot',
      'cttyhack',
      'dd',
      'insmod',
      'mkdir',
      'mount',
      'mv',
      'poweroff',
      'rm',
      'setsid',
      'sleep',
      'switch_root',
      'sync',
      'tr',
      'umount',
      'uname',
      'wc',
    ]) {
      assert.match(initScript, new RegExp(`\\b${program}\\b`), program);
      assert.ok(read.has(`bin/${program}`), program);
    }
  });
});
