import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '../base/digest.ts';
import { chainIdsOf } from './chain.ts';
import { decompress, detectCompression, peek } from './compression.ts';
import { defaultLimits } from './limits.ts';
import { chunksOf, paxEntry, tarEntry, tarOf } from './tar-fixture.ts';
import { formatHeader, looksLikeTar, parseHeader } from './tar-format.ts';
import { TarMeter } from './tar-meter.ts';
import { readTar } from './tar-reader.ts';

const long = `${'d/'.repeat(90)}file`;
const sample = tarOf([
  { name: 'dir/', type: '5' },
  { name: 'dir/file', body: 'x'.repeat(1300) },
  paxEntry({ path: long, size: '7', comment: 'none' }),
  { name: 'short', body: 'content', size: 7 },
  { name: 'name', type: 'L', body: `${long}2\0` },
  { name: 'cut', body: '' },
  { name: 'link', type: '2', link: 'dir/file' },
]);
const expected = [
  { name: 'dir/', kind: 'directory', size: 0 },
  { name: 'dir/file', kind: 'file', size: 1300 },
  { name: long, kind: 'file', size: 7 },
  { name: `${long}2`, kind: 'file', size: 0 },
  { name: 'link', kind: 'symlink', size: 0 },
];

async function list(bytes: Uint8Array, chunk: number, read: boolean): Promise<object[]> {
  const found: object[] = [];
  for await (const { name, kind, size, body } of readTar(chunksOf(bytes, chunk))) {
    found.push({ name, kind, size });
    if (!read) continue;
    let length = 0;
    for await (const part of body) length += part.length;
    assert.equal(length, size);
  }
  return found;
}

describe('readTar()', () => {
  for (const chunk of [1, 7, 512, 1 << 20]) {
    it(`reads extended names and bodies in chunks of ${chunk}`, async () => {
      assert.deepEqual(await list(sample, chunk, true), expected);
      assert.deepEqual(await list(sample, chunk, false), expected);
    });
  }

  const broken = [
    { title: 'nothing', bytes: Buffer.alloc(0), message: /empty/ },
    { title: 'half a header', bytes: sample.subarray(0, 200), message: /ends within/ },
    { title: 'half a body', bytes: sample.subarray(0, 1500), message: /ends within/ },
    { title: 'no tar', bytes: Buffer.alloc(1024, 'text'), message: /no tar/ },
    { title: 'a wrong checksum', bytes: Buffer.from(sample).fill('9', 0, 3), message: /checksum/ },
    {
      title: 'a huge extended header',
      bytes: tarEntry({ name: 'x', type: 'x', size: 2 ** 31 }),
      message: /has 2147483648 bytes/,
    },
    {
      title: 'a malformed pax record',
      bytes: tarOf([{ name: 'x', type: 'x', body: '999 path=a\n' }]),
      message: /malformed/,
    },
    { title: 'a pax size', bytes: tarOf([paxEntry({ size: '1e9' }), { name: 'a' }]), message: /no number/ },
  ];
  for (const { title, bytes, message } of broken) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(list(bytes, 512, true), { name: 'HolmError', message });
    });
  }
});

describe('TarMeter', () => {
  for (const chunk of [1, 100, 5000]) {
    it(`adds up the files of chunks of ${chunk}`, () => {
      const meter = new TarMeter();
      for (let at = 0; at < sample.length; at += chunk) meter.push(sample.subarray(at, at + chunk));
      assert.equal(meter.bytes, 1307);
    });
  }
});

describe('formatHeader()', () => {
  it('is read back by parseHeader()', () => {
    for (const size of [0, 5, 8 ** 11 - 1, 8 ** 11, 2 ** 40]) {
      const block = formatHeader('blobs/x', 'file', size);
      assert.ok(looksLikeTar(block));
      assert.deepEqual(parseHeader(block), { name: 'blobs/x', kind: 'file', size, linkTarget: '', type: '0' });
    }
  });
});

describe('decompress()', () => {
  const plain = Buffer.from('some text '.repeat(200_000));
  const gzip = gzipSync(plain);
  const zstd = zstdCompressSync(plain);
  const read = async (bytes: Buffer, limits = {}, chunk = 1000): Promise<Buffer> => {
    const { head, whole } = await peek(chunksOf(bytes, chunk), 512);
    return Buffer.concat(
      await Array.fromAsync(decompress(whole, detectCompression(head), { ...defaultLimits, ...limits })),
    );
  };

  for (const [name, bytes] of Object.entries({ plain, gzip, zstd, members: Buffer.concat([gzip, gzip]) })) {
    it(`gives the content of ${name}`, async () => {
      assert.ok((await read(bytes)).equals(name === 'members' ? Buffer.concat([plain, plain]) : plain));
    });
  }

  const failing = [
    { title: 'a cut gzip', bytes: gzip.subarray(0, gzip.length - 30), limits: {}, kind: 'corrupt' },
    { title: 'a cut zstd', bytes: zstd.subarray(0, zstd.length - 30), limits: {}, kind: 'corrupt' },
    { title: 'a damaged gzip', bytes: Buffer.from(gzip).fill(0x55, 400, 900), limits: {}, kind: 'corrupt' },
    { title: 'more than it may', bytes: gzip, limits: { mostBytes: 1_999_999 }, kind: 'invalid' },
    { title: 'plain beyond the limit', bytes: plain, limits: { mostBytes: 1_999_999 }, kind: 'invalid' },
    { title: 'a bomb', bytes: zstd, limits: { ratioFromBytes: 1000, mostRatio: 10 }, kind: 'invalid' },
    { title: 'xz', bytes: Buffer.from('fd377a585a0000', 'hex'), limits: {}, kind: 'unsupported' },
    { title: 'bzip2', bytes: Buffer.from('BZh91AY'), limits: {}, kind: 'unsupported' },
  ];
  for (const { title, bytes, limits, kind } of failing) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(read(bytes, limits), { name: 'HolmError', kind });
    });
  }
});

describe('chainIdsOf()', () => {
  it('follows the specification', () => {
    const [a, b] = [digestOf('a'), digestOf('b')];
    assert.deepEqual(chainIdsOf([a, b]), [a, digestOf(`${a} ${b}`)]);
    assert.deepEqual(chainIdsOf([]), []);
  });
});
