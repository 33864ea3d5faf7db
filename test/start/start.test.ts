// npm start and npm stop, with directories and names of their own: from nothing to a running container and a machine that booted,
// twice, and after a kill.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type CommandResult, command } from '../../scripts/command.ts';
import { dockerClient } from '../harness/docker-client.ts';
import { settleLeftovers, takeSnapshot } from '../harness/leftovers.ts';
import { dismantle, makeNames, sweep } from '../harness/sweep.ts';

const root = join(import.meta.dirname, '../..');
const names = makeNames();
const { directory } = names;
const env: NodeJS.ProcessEnv = {
  ...process.env,
  HOLM_STATE: join(directory, 'state'),
  HOLM_RUN: join(directory, 'run'),
  HOLM_BRIDGE: names.bridge,
  HOLM_SUBNET: `10.99.${process.pid % 250}.0/24`,
  HOLM_CGROUP_PARENT: names.cgroupParent,
};
const before = await takeSnapshot();
const dockerHost = `unix://${directory}/run/holm.sock`;

after(async () => {
  await stop('--all');
  sweep(names);
});

const script = (name: string, ...args: readonly string[]): Promise<CommandResult> =>
  command(['sh', join(root, 'scripts/with-node.sh'), `scripts/${name}.ts`, ...args], { env, timeoutMs: 600_000 });
const start = (): Promise<CommandResult> => script('start');
const stop = (...args: readonly string[]): Promise<CommandResult> => script('stop', ...args);
const docker = async (...args: readonly string[]): Promise<CommandResult> =>
  command([await dockerClient(), '-H', dockerHost, ...args], { env: { ...env, HOME: directory }, timeoutMs: 30_000 });
const daemonPid = (): number => Number(readFileSync(join(directory, 'run/holmd.pid'), 'utf8'));

test('the first time everything is made, a container runs, and a machine boots', async () => {
  const { code, output } = await start();
  assert.equal(code, 0, output);
  assert.match(output, /container, by holm: Debian GNU\/Linux 12 \(bookworm\)/);
  assert.match(output, /machine booted: Debian GNU\/Linux 13 on Linux [\d.]+\S*-riscv64, to its login prompt/);
  assert.match(output, new RegExp(`export DOCKER_HOST=${dockerHost}`));
  assert.match(readFileSync(`/proc/${daemonPid()}/cmdline`, 'latin1'), /^holmd/);
});

test('the second time nothing is done again', async () => {
  const pid = daemonPid();
  const { code, output, milliseconds } = await start();
  assert.equal(code, 0, output);
  assert.match(output, /runs already/);
  assert.match(output, /there already/);
  assert.equal(daemonPid(), pid);
  assert.ok(milliseconds < 20_000);
});

test('after a kill it starts again and finds its guests', async () => {
  assert.equal((await docker('run', '-d', '--name', 'guest', 'debian:bookworm', 'sleep', '300')).code, 0);
  const killed = daemonPid();
  process.kill(killed, 'SIGKILL');
  const { code, output } = await start();
  assert.equal(code, 0, output);
  assert.notEqual(daemonPid(), killed);
  assert.equal((await docker('exec', 'guest', 'echo', 'alive')).stdout, 'alive\n');
});

test('npm stop ends holmd and says which guests go on; --all ends them', async () => {
  const first = await stop();
  assert.equal(first.code, 0, first.output);
  assert.match(first.output, /Still running: guest/);
  assert.match((await stop()).output, /does not run/);
  assert.equal((await start()).code, 0);
  assert.equal((await docker('ps', '--format', '{{.Names}}')).stdout, 'guest\n');
  const last = await stop('--all');
  assert.equal(last.code, 0, last.output);
  dismantle(names);
  const ours = (thing: string): boolean => Object.values(names).some((name) => thing.includes(name));
  const left = await settleLeftovers(before, (thing) => ours(thing) && !thing.startsWith('temporary directory'));
  assert.deepEqual(left, []);
});
