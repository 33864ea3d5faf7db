// An image for a machine of another architecture: made of Debian's packages without running any of them, with a kernel, an
// initial RAM disk and a disk. Takes one to three minutes, six on a busy host: packages are fetched once, the image is made once or twice.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, it } from 'node:test';
import { digestOf } from '../../src/base/digest.ts';
import { layerOf, ociArchive } from '../../src/images/archive-fixture.ts';
import { createDebianImage } from '../../src/images/from-debian.ts';
import { findMachineFiles, machineLabels } from '../../src/images/machine/machine-files.ts';
import { createWritableDisk, DiskStore } from '../../src/layers/disk-store.ts';
import { TestStores } from './stores.ts';

const suite = 'trixie';
const reference = 'debian:machine';
const cacheDirectory = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm', 'debian');
let stores: TestStores;
let directory: string;
let root: string;

before(async () => {
  stores = await TestStores.open();
  directory = await mkdtemp(join(tmpdir(), 'holm-test-riscv64-'));
});
after(async () => {
  await stores[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function make(cache: string) {
  return createDebianImage(stores.images, stores.kernel, {
    suite,
    architecture: 'riscv64',
    kernel: true,
    reference,
    cacheDirectory: cache,
    workDirectory: join(stores.directory, 'work'),
  });
}

it('makes a Debian for riscv64 whose packages are unpacked and not configured', async () => {
  const { image } = await make(cacheDirectory);
  assert.deepEqual(image.platform, { os: 'linux', architecture: 'riscv64' });
  assert.deepEqual(image.references, [reference]);
  root = stores.layers.pathOf(image.layers[0]!.chainId);
  assert.equal(machineOf(join(root, 'usr/bin/bash')), 243);
  assert.equal(readlinkSync(join(root, 'bin')), 'usr/bin');
  assert.equal(statSync(join(root, 'usr/bin/passwd')).mode & 0o7777, 0o4755);
  const status = readFileSync(join(root, 'var/lib/dpkg/status'), 'utf8');
  const states = new Set([...status.matchAll(/^Status: (.+)$/gm)].map(([, state]) => state));
  assert.deepEqual([...states], ['install ok unpacked']);
  for (const name of ['base-files', 'systemd-sysv', 'udev', 'login', 'e2fsprogs', 'systemd-resolved'])
    assert.match(status, new RegExp(`^Package: ${name}$`, 'm'));
  for (const made of [
    'etc/passwd',
    'etc/ld.so.cache',
    'etc/shadow',
    'var/lib/dpkg/info/base-files.list~',
    'debootstrap',
  ])
    assert.ok(!existsSync(join(root, made)), `${made} is made when packages are configured`);
  assert.ok(statSync(join(root, 'usr/lib/holm/first-boot')).mode & 0o100);
  execFileSync('sh', ['-n', join(root, 'usr/lib/holm/first-boot')]);
});

/** The machine an ELF file is for (e_machine): 243 is RISC-V. */
function machineOf(file: string): number {
  return readFileSync(file).readUInt16LE(18);
}

it('is, for Debian’s own tools, a system with all its packages unpacked', () => {
  const dpkg = (...args: string[]): string =>
    execFileSync('dpkg', [`--root=${root}`, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  assert.match(dpkg('--listfiles', 'libc6:riscv64'), /^\/usr\/lib\/riscv64-linux-gnu\/libc\.so\.6$/m);
  assert.match(dpkg('--search', '/usr/bin/bash'), /^bash:riscv64: /);
  const verified = execFileSync(
    'dpkg-query',
    [`--admindir=${root}/var/lib/dpkg`, '-W', '-f', '$' + '{db:Status-Abbrev}\n'],
    {
      encoding: 'utf8',
    },
  );
  assert.deepEqual(new Set(verified.trim().split(/\s*\n/)), new Set(['iU']));
});

it('has a kernel, its modules with their index, and an initial RAM disk', async () => {
  const image = stores.images.get(reference);
  const files = await findMachineFiles(image, stores.layers);
  const kernel = await readFile(files!.kernel);
  assert.equal(kernel.readUInt32LE(0x38), 0x05435352);
  const listed = execFileSync('cpio', ['-it', '--quiet'], {
    input: await readFile(files!.initramfs!),
    encoding: 'utf8',
  });
  for (const name of ['init', 'bin/busybox', 'dev/console', 'lib/modules/virtio_blk.ko', 'lib/modules/overlay.ko'])
    assert.ok(listed.split('\n').includes(name), name);
  const version = /vmlinux-(.+)$/.exec(image.defaults.labels[machineLabels.kernel]!)![1]!;
  const modules = join(root, 'usr/lib/modules', version);
  assert.match(readFileSync(join(modules, 'modules.dep'), 'utf8'), /^kernel\/fs\/ext4\/ext4\.ko\.xz: .*jbd2/m);
  assert.ok(statSync(join(modules, 'modules.dep.bin')).size > 10_000);
});

it('gives the same digest when it is made anew', async () => {
  const before = stores.images.get(reference).id;
  await stores.images.remove(reference, { force: false, prune: true });
  const cache = join(directory, 'cache');
  await mkdir(cache);
  await symlink(join(cacheDirectory, 'packages'), join(cache, 'packages'));
  const { image, cached } = await make(cache);
  assert.deepEqual([image.id, cached], [before, false]);
  assert.deepEqual([(await make(cache)).cached, image.id], [true, before]);
});

it('becomes a disk, made once, the same when it is made anew', async () => {
  const chain = stores.images.get(reference).layers.map(({ chainId }) => chainId);
  const disks = await DiskStore.open(join(directory, 'disks'), stores.layers);
  const [file, again] = await Promise.all([disks.make(chain), disks.make(chain)]);
  assert.equal(again, file);
  assert.equal((await readFile(file)).readUInt32LE(1024), 0xe0f5e1e2);
  assert.deepEqual(readdirSync(disks.directory).length, 1);
  const copy = join(directory, 'copy.erofs');
  execFileSync('cp', [file, copy]);
  await disks.remove(chain.at(-1)!);
  assert.deepEqual(readdirSync(disks.directory), []);
  await disks.make(chain);
  execFileSync('cmp', [file, copy]);
  await disks.remove(chain.at(-1)!);
});

it('makes one disk of several layers, as they lie upon one another', async () => {
  const layers = [layerOf('one'), layerOf('two')];
  await stores.images.load(
    Readable.from([ociArchive([{ layers, tags: ['app:1'], packing: 'gzip' }])]),
    () => undefined,
  );
  const chain = stores.images.get('app:1').layers.map(({ chainId }) => chainId);
  const disks = await DiskStore.open(join(directory, 'disks'), stores.layers);
  const file = await disks.make(chain);
  const dump = execFileSync('dump.erofs', ['--path=/', '--ls', file], { encoding: 'utf8' });
  const names = chain.flatMap((id) => readdirSync(stores.layers.pathOf(id)));
  for (const name of names) assert.match(dump, new RegExp(`\\b${name}\\b`));
  await assert.rejects(disks.make([]), { kind: 'invalid' });
  await assert.rejects(disks.make([digestOf('none')]), { kind: 'notFound' });
  await stores.images.remove('app:1', { force: false, prune: true });
});

it('makes a sparse disk to write to', async () => {
  const file = join(directory, 'upper');
  await createWritableDisk(file, 1024 ** 3);
  const { size, blocks } = lstatSync(file);
  assert.equal(size, 1024 ** 3);
  assert.ok(blocks * 512 < 64 * 1024 ** 2, `${blocks} blocks`);
  assert.equal((await readFile(file)).readUInt16LE(1024 + 56), 0xef53);
  await assert.rejects(createWritableDisk(file, 1024 ** 3), { code: 'EEXIST' });
  await assert.rejects(createWritableDisk(join(directory, 'other'), 1000), { kind: 'invalid' });
  assert.ok(!existsSync(join(directory, 'other')));
});

it('refuses a kernel for what no machine is, and names that are none', async () => {
  const options = { suite, workDirectory: directory, cacheDirectory: directory, kernel: true };
  const refused = (more: object) => createDebianImage(stores.images, stores.kernel, { ...options, ...more });
  await assert.rejects(refused({ architecture: 'amd64' }), { kind: 'unsupported' });
  await assert.rejects(refused({ architecture: 'riscv64', init: '-x' }), { kind: 'invalid' });
  await assert.rejects(refused({ architecture: '../x' }), { kind: 'invalid' });
});
