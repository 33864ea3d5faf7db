// What cannot be is refused with a reason and leaves nothing; what breaks while machines run is noticed, or survived.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kernelOf } from './kernels.ts';
import { machineHost } from './machine-host.ts';

const host = await machineHost();
const { daemon } = host;
const machinesDirectory = join(daemon.state, 'machines');

/** The directories of machines that there are. */
function directories(): readonly string[] {
  return existsSync(machinesDirectory) ? readdirSync(machinesDirectory) : [];
}

test('a request that cannot be carried out is refused, and nothing is left of it', async () => {
  const image = await host.loadKernel('spin');
  const gzip = new Uint8Array(4096);
  gzip.set([0x1f, 0x8b]);
  await host.loadImage('gzip:test', gzip);
  await host.loadImage('text:test', Buffer.from('#!/bin/sh\n'.repeat(100)));
  const huge = kernelOf('spin');
  new DataView(huge.buffer).setBigUint64(16, 600n * 2n ** 20n, true);
  await host.loadImage('huge:test', huge);
  const cases: readonly (readonly [args: readonly string[], why: RegExp])[] = [
    [['gzip:test'], /Cannot boot the kernel of image "gzip:test": it is compressed with gzip, must be a raw Image/],
    [['text:test'], /Cannot boot the kernel of image "text:test": it has no RISC-V Image header/],
    [['huge:test'], /it needs at least \d+ MiB of memory with its initial RAM disk, the machine has 512 MiB/],
    [['busybox:test'], /Cannot make a machine from image "busybox:test": it has no kernel/],
    [['nothing:test'], /No such image: nothing:test/],
    [['--cpus', '0', image], /it must have 1 to 4 CPUs, not 0/],
    [['--cpus', '5', image], /it must have 1 to 4 CPUs, not 5/],
    [['--memory', '1m', image], /its memory must be 64MiB to 3GiB in whole MiB, not 1048576 bytes/],
    [['--memory', '100g', image], /its memory must be 64MiB to 3GiB/],
    [['--disk', '1k', image], /its disk must have 64MiB or more in units of 4096 bytes, not 1024 bytes/],
    [['--disk', '1000t', image], /its disk must have 64MiB/],
    [['--engine', 'steam', image], /its engine must be "translator" or "interpreter", not "steam"/],
    [['--network', 'lan', image], /its network must be "user" or "none", not "lan"/],
    [['--network', 'none', '-p', '80', image], /it has ports but no network/],
    [['-p', '0:80', image], /ports are 1 to 65535, not 0:80/],
    [['-p', 'x:80', image], /invalid port "x:80"/],
    [['-v', '/nowhere:work', image], /"\/nowhere" is no directory/],
    [['-v', '/tmp:a', '-v', '/etc:a', image], /two shares have the tag "a"/],
    [['--name', 'a b', image], /Cannot name a machine "a b"/],
    [['--append', 'a\nb', image], /its command line must be one line/],
  ];
  for (const [args, why] of cases) {
    const result = await host.machine(['create', ...args]);
    assert.notEqual(result.code, 0, args.join(' '));
    assert.match(result.stderr, why);
  }
  assert.equal(await host.succeed(['ls', '-aq']), '');
  assert.deepEqual(directories(), []);
  await host.succeed(['create', '--name', 'taken', image]);
  assert.match((await host.machine(['create', '--name', 'taken', image])).stderr, /machine [0-9a-f]{12} has that name/);
  await host.succeed(['rm', 'taken']);
  assert.deepEqual(directories(), []);
});

test('a machine whose disk was cut short is not started, and can be removed', async () => {
  await host.succeed(['create', '--name', 'short', await host.loadKernel('spin')]);
  const { id } = await host.inspect('short');
  const disk = join(machinesDirectory, id, 'disk');
  const { size } = statSync(disk);
  truncateSync(disk, size / 2);
  assert.match(
    (await host.machine(['start', 'short'])).stderr,
    /Cannot start machine "short": its disk .* must have \d+/,
  );
  rmSync(disk);
  assert.match((await host.machine(['start', 'short'])).stderr, /Cannot start machine "short": its disk .* is gone/);
  await host.succeed(['rm', 'short']);
  await host.succeed(['create', '--name', 'thin', await host.loadKernel('spin')]);
  const disks = join(daemon.state, 'disks');
  for (const name of readdirSync(disks)) truncateSync(join(disks, name), 100);
  assert.match((await host.machine(['start', 'thin'])).stderr, /Cannot start machine "thin": the disk of its image/);
  await host.succeed(['rm', 'thin']);
  for (const name of readdirSync(disks)) rmSync(join(disks, name));
});

test('the disk of an image goes with the image, but not from a machine', async () => {
  const image = await host.loadKernel('echo');
  const disks = (): number => readdirSync(join(daemon.state, 'disks')).length;
  const before = disks();
  await host.succeed(['create', '--name', 'reader', image]);
  assert.equal(disks(), before + 1);
  assert.match((await daemon.docker(['rmi', image])).stderr, /conflict/);
  await host.succeed(['rm', 'reader']);
  await daemon.succeed(['rmi', image]);
  await sleep(100);
  assert.equal(disks(), before);
});

test('a process that is killed is noticed at once', async () => {
  await host.succeed(['run', '-d', '--name', 'victim', await host.loadKernel('spin')]);
  await host.waitForLog('victim', /spinning/);
  const { state } = await host.inspect('victim');
  process.kill(state.pid!, 'SIGKILL');
  assert.equal(await host.endOf('victim', 3000), 'killed');
  await host.succeed(['rm', 'victim']);
});

test('a process without memory ends, and that is told', async () => {
  await host.succeed(['create', '--name', 'large', await host.loadKernel('spin')]);
  const { container } = await host.inspect('large');
  await daemon.succeed(['update', '--memory', '20m', '--memory-swap', '20m', container!]);
  await host.machine(['start', 'large']);
  assert.equal(await host.endOf('large'), 'out of memory');
  await host.succeed(['rm', 'large']);
});

test('holmd is killed: machines run on, are found again with their consoles, and their ends are not missed', async () => {
  await host.succeed(['run', '-d', '--name', 'lasting', await host.loadKernel('echo')]);
  await host.succeed(['run', '-d', '--name', 'passing', await host.loadKernel('spin')]);
  await host.waitForLog('lasting', /ready/);
  await host.waitForLog('passing', /spinning/);
  const stand = async (): Promise<unknown> => {
    const { id, address, state } = await host.inspect('lasting');
    return { id, address, is: state.is, pid: state.pid };
  };
  const before = await stand();
  const passing = (await host.inspect('passing')).state.pid!;
  await daemon.kill9();
  process.kill(passing, 'SIGKILL');
  await daemon.restart();
  assert.deepEqual(await stand(), before);
  assert.equal(await host.endOf('passing', 3000), 'killed');
  await using console = host.inTerminal(['console', 'lasting']);
  console.write('abc');
  await console.waitFor(/abc/);
  console.write('q');
  assert.equal(await console.end(), 0);
  assert.equal(await host.endOf('lasting'), 'power off');
  await host.succeed(['rm', 'lasting', 'passing']);
});

test('holmd is killed while it makes a machine: it is there and whole, or not at all', async () => {
  const image = await host.loadKernel('power-off');
  await host.succeed(['create', '--name', 'first', image]);
  await host.succeed(['rm', 'first']);
  for (const delayMs of [1, 5, 15, 30, 60, 120, 200, 300]) {
    const creating = daemon.request('POST', '/holm/machines/create?name=half', { image }).catch(() => undefined);
    await sleep(delayMs);
    await daemon.kill9();
    await creating;
    await daemon.restart();
    const names = await host.succeed(['ls', '-a', '--format', '{{.Name}} {{.Status}}']);
    assert.match(names, /^(half Created)?$/);
    assert.equal(directories().length, names === '' ? 0 : 1);
    if (names === '') continue;
    await host.succeed(['start', 'half']);
    assert.equal(await host.endOf('half'), 'power off');
    await host.succeed(['rm', 'half']);
  }
});
