import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlobDisk } from './page/blob-disk.ts';
import { partOf } from './page/boot-files.ts';

describe('a file as a disk', () => {
  const disk = new BlobDisk(new Blob([Uint8Array.from({ length: 1500 }, (_, i) => i & 0xff)]));

  it('reads into several buffers, in turn', async () => {
    const into = [new Uint8Array(500), new Uint8Array(12)];
    await disk.read(512, into);
    assert.deepEqual([into[0]![0], into[0]![499], into[1]![0], into[1]![11]], [0, 243, 244, 255]);
  });

  it('ends with its last whole sector, and is not written', () => {
    assert.equal(disk.bytes, 1024);
    assert.throws(() => disk.write(), /only read/);
    assert.throws(() => disk.zero(), /only read/);
  });
});

describe('what a dropped file is', () => {
  const file = (at: number, ...bytes: number[]): File => {
    const content = new Uint8Array(4096);
    content.set(bytes, at);
    return new File([content], 'file');
  };
  const cases = [
    ['a kernel', file(56, 0x52, 0x53, 0x43, 0x05), 'kernel'],
    ['a cpio archive', new File(['070701…'], 'file'), 'initrd'],
    ['gzip', file(0, 0x1f, 0x8b), 'initrd'],
    ['EROFS', file(1024, 0xe2, 0xe1, 0xf5, 0xe0), 'image'],
    ['ext4', file(1080, 0x53, 0xef), 'image'],
    ['zeros', file(0), undefined],
    ['nothing', new File([], 'file'), undefined],
  ] as const;
  for (const [what, given, part] of cases) {
    it(`${what}: ${part ?? 'unknown'}`, async () => assert.equal(await partOf(given), part));
  }
});
