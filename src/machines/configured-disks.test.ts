import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../base/digest.ts';
import { ConfiguredDisks, configuredDiskBytes, copyDisk } from './configured-disks.ts';

let directory: string;
let own: string;
let cache: string;
let made: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holm-configured-'));
  own = join(directory, 'own');
  cache = join(directory, 'cache');
  made = 0;
});
afterEach(() => rmSync(directory, { recursive: true }));

const chain = digestOf('a layer');
const configure = async (fresh: string): Promise<void> => {
  made++;
  await using file = await open(fresh, 'w');
  await file.write('configured');
  await file.truncate(configuredDiskBytes);
};

describe('ConfiguredDisks', () => {
  it('makes a disk once, for all who ask at a time', async () => {
    const disks = new ConfiguredDisks(own, cache);
    const [one, two] = await Promise.all([disks.make(chain, configure), disks.make(chain, configure)]);
    assert.equal(one, two);
    assert.equal(await disks.make(chain, configure), one);
    assert.equal(made, 1);
    const { size, blocks } = statSync(one);
    assert.ok(size === configuredDiskBytes && blocks * 512 < 2 ** 20);
    assert.equal(readdirSync(cache).length, 1);
  });
  it('takes it from the cache where there is one', async () => {
    await new ConfiguredDisks(own, cache).make(chain, configure);
    const file = await new ConfiguredDisks(join(directory, 'other'), cache).make(chain, configure);
    assert.equal(made, 1);
    assert.equal(statSync(file).size, configuredDiskBytes);
  });
  it('keeps nothing of what failed, and removes what was interrupted', async () => {
    const disks = new ConfiguredDisks(own, cache);
    const failing = async (fresh: string): Promise<void> => {
      writeFileSync(fresh, 'half');
      throw new Error('no packages');
    };
    await assert.rejects(disks.make(chain, failing), /no packages/);
    assert.deepEqual(readdirSync(own), []);
    writeFileSync(join(own, 'x.ext4.unfinished'), 'half');
    new ConfiguredDisks(own, cache);
    assert.deepEqual(readdirSync(own), []);
    await disks.make(chain, configure);
    assert.equal(made, 1);
  });
  it('retains the disks that are wanted', async () => {
    const disks = new ConfiguredDisks(own, cache);
    const kept = await disks.make(chain, configure);
    await disks.make(digestOf('another'), configure);
    disks.retain([chain]);
    assert.deepEqual(
      readdirSync(own).map((name) => join(own, name)),
      [kept],
    );
  });
});

describe('copyDisk()', () => {
  it('copies bytes and holes, and makes it larger', async () => {
    const source = join(directory, 'source');
    await configure(source);
    const target = join(directory, 'target');
    await copyDisk(source, target, configuredDiskBytes * 2);
    const { size, blocks } = statSync(target);
    assert.ok(size === configuredDiskBytes * 2 && blocks * 512 < 2 ** 20);
    await using file = await open(target);
    assert.equal((await file.read(Buffer.alloc(10), 0, 10, 0)).buffer.toString(), 'configured');
    await assert.rejects(copyDisk(join(directory, 'none'), join(directory, 'new'), 1), { kind: 'internal' });
    assert.throws(() => readFileSync(join(directory, 'new')), { code: 'ENOENT' });
  });
});
