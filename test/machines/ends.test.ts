// How machines end: by themselves, by a panic, by those who use them; and that each end is told as what it was. The kernels are
// of a few instructions (kernels.ts), so that no test waits for a boot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KernelName } from './kernels.ts';
import { machineHost } from './machine-host.ts';

const host = await machineHost();

const ends: readonly (readonly [kernel: KernelName, why: string, said: string])[] = [
  ['power-off', 'power off', 'going off'],
  ['panic', 'panic', 'Kernel panic - not syncing: a test'],
  ['halt', 'halt', 'halting'],
];
for (const [kernel, why, said] of ends) {
  for (const engine of ['translator', 'interpreter']) {
    test(`a guest that ends by "${why}" is told so, and its console is kept (${engine})`, async () => {
      const image = await host.loadKernel(kernel);
      const name = `${kernel}-${engine}`;
      await host.succeed(['create', '--name', name, '--engine', engine, image]);
      await host.succeed(['start', name]);
      assert.equal(await host.endOf(name), why);
      assert.equal(await host.succeed(['logs', name]), `${said}\r`);
      assert.match(await host.succeed(['ls', '-a']), new RegExp(`${name} .*Ended by ${why} `));
      await host.succeed(['rm', name]);
    });
  }
}

test('a reboot is a new boot of the same process', async () => {
  await host.succeed(['run', '-d', '--name', 'again', await host.loadKernel('reboot')]);
  await host.waitForLog('again', /(booted\r\n){3}/);
  const before = await host.inspect('again');
  await host.waitForLog('again', /(booted\r\n){5}/);
  assert.deepEqual(await host.inspect('again'), before);
  await host.succeed(['kill', 'again']);
  assert.equal(await host.endOf('again'), 'killed');
  await host.succeed(['rm', 'again']);
});

test('a guest that spins is seen in the statistics, is stopped, started and killed', async () => {
  await host.succeed(['run', '-d', '--name', 'busy', await host.loadKernel('spin')]);
  await host.waitForLog('busy', /spinning/);
  const cpu = await host.succeed(['stats', '--no-stream', '--format', '{{.CPUPerc}}', 'busy']);
  assert.ok(Number.parseFloat(cpu) > 5, cpu);
  // It has no service that could be asked to power off.
  await host.succeed(['stop', 'busy']);
  assert.equal(await host.endOf('busy'), 'stop');
  await host.succeed(['start', 'busy']);
  await host.succeed(['kill', 'busy']);
  assert.equal(await host.endOf('busy'), 'killed');
  await host.succeed(['rm', 'busy']);
});

test('the restart policy starts a machine that failed, as often as it says', async () => {
  const image = await host.loadKernel('panic');
  await host.succeed(['run', '-d', '--name', 'retried', '--restart', 'on-failure:2', image]);
  await host.waitForLog('retried', /(?:panic[\s\S]*){3}/);
  await sleep(1500);
  assert.equal(await host.endOf('retried'), 'panic');
  assert.equal((await host.succeed(['logs', 'retried'])).match(/panic/g)?.length, 3);
  await host.succeed(['rm', 'retried']);
  const off = await host.loadKernel('power-off');
  await host.succeed(['run', '-d', '--name', 'content', '--restart', 'on-failure:2', off]);
  assert.equal(await host.endOf('content'), 'power off');
  await sleep(500);
  assert.equal((await host.succeed(['logs', 'content'])).match(/going off/g)?.length, 1);
  await host.succeed(['rm', 'content']);
});

test('the console is a person’s: keys, leaving and coming back, the end', async () => {
  await using first = host.inTerminal(['run', '--name', 'talk', await host.loadKernel('echo')]);
  await first.waitFor(/ready/);
  first.write('abc');
  await first.waitFor(/abc/);
  first.write('\x10\x11');
  assert.equal(await first.end(), 0);
  assert.equal((await host.inspect('talk')).state.is, 'running');
  await using second = host.inTerminal(['console', 'talk']);
  second.write('xyz');
  await second.waitFor(/xyz/);
  second.write('q');
  assert.equal(await second.end(), 0);
  assert.equal(await host.endOf('talk'), 'power off');
  assert.match(await host.succeed(['logs', 'talk']), /ready\r\nabcxyz/);
  await host.succeed(['rm', 'talk']);
});

test('a move that the state does not allow is refused', async () => {
  await host.succeed(['create', '--name', 'still', await host.loadKernel('spin')]);
  const refused = async (args: readonly string[], why: RegExp): Promise<void> => {
    const result = await host.machine(args);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, why);
  };
  await refused(['stop', 'still'], /Cannot stop machine "still": it is created, must be running or paused/);
  await refused(['kill', 'still'], /Cannot kill machine "still": it is created/);
  await refused(['console', 'still'], /Cannot open the console of machine "still": it is created/);
  await host.succeed(['start', 'still']);
  await refused(['start', 'still'], /Cannot start machine "still": it is running, must be created or ended/);
  await refused(['rm', 'still'], /Cannot remove machine "still": it is running, must be created or ended/);
  await refused(['start', 'nobody'], /No such machine: nobody/);
  const { container } = await host.inspect('still');
  const docker = await host.daemon.docker(['rm', '-f', container!]);
  assert.match(docker.stderr, /Cannot change container "machine.still": it is a machine's process/);
  assert.equal(await host.daemon.succeed(['ps', '-aq']), '');
  await host.succeed(['rm', '-f', 'still']);
});
