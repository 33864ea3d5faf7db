// A group's whole life on this host's hierarchies, whatever they are: made by the keeper below a directory of the test's own,
// joined, limited, measured, changed, paused, killed, removed. What the group was given is read back from its files.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Limits } from '../../src/cgroups/controller.ts';
import {
  createSteps,
  freezeSteps,
  joinSteps,
  parentSteps,
  removeSteps,
  thawSteps,
  updateSteps,
} from '../../src/cgroups/group.ts';
import { detectHierarchies, directoriesOf, type Hierarchies, locate } from '../../src/cgroups/hierarchy.ts';
import { isFrozen, killCgroup, listGroups, processes, removeCgroup, waitFrozen } from '../../src/cgroups/kill.ts';
import { exitFiles, readUsage, wasOutOfMemory } from '../../src/cgroups/usage.ts';
import { AT_FDCWD, O_CLOEXEC } from '../../src/kernel/constants.ts';
import { register, step } from '../../src/kernel/steps.ts';
import { defaultDeviceRules, deviceAccess } from '../../src/security/devices.ts';
import { eventually, testKeeper } from '../keeper/client.ts';

const keeper = await testKeeper();
const { kernel } = keeper;
const h = detectHierarchies();
const parent = `holm-test-${process.pid}`;
const directory = register(7);
const mebibyte = 1024 * 1024;
const children: ChildProcess[] = [];

after(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const name of listGroups(h, parent)) await killCgroup(h, `${parent}/${name}`);
  await removeCgroup(h, parent);
});

/** Starts a shell in a group: it moves itself, as a stage does, then runs the script. */
function startIn(path: string, script: string): ChildProcess {
  const v1 = h.v1.map(({ mount }) => `echo 0 > ${mount}/${path}/tasks`);
  const v2 = h.unified === undefined ? [] : [`echo 0 > ${h.unified.mount}/${path}/cgroup.procs`];
  const child = spawn('/bin/sh', ['-c', [...v1, ...v2, 'echo ready', script].join('\n')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

async function ready(child: ChildProcess): Promise<void> {
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false }))
    if (String(chunk).includes('ready')) return;
}

function ended(child: ChildProcess): Promise<string | number> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.signalCode ?? child.exitCode!);
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code!)));
}

/** A file of the group's controller, by its names in v1 and v2. */
function value(path: string, controller: { v1: string; v2: string }, v1: string, v2: string): string | undefined {
  const found = locate(h, controller, path);
  return found === undefined
    ? undefined
    : readFileSync(`${found.directory}/${found.version === 1 ? v1 : v2}`, 'utf8').trim();
}

const memory = { v1: 'memory', v2: 'memory' };
const cpu = { v1: 'cpu', v2: 'cpu' };

test('create, limits, update, remove', async () => {
  const path = `${parent}/limits`;
  await kernel.run(parentSteps(h, parent));
  await kernel.run(parentSteps(h, parent));
  const limits: Limits = {
    memoryBytes: 64 * mebibyte,
    memoryReservationBytes: 32 * mebibyte,
    pids: 50,
    cpuNanos: 5e8,
    cpuShares: 512,
    cpusetCpus: '0',
    blockWeight: 300,
  };
  const outcome = await kernel.run([
    ...createSteps(h, path, limits, { directory, devices: deviceAccess(defaultDeviceRules) }),
    ...(h.unified === undefined ? [] : [step('close', [directory], 'close')]),
  ]);
  assert.equal(outcome.register(directory) >= 0, h.unified !== undefined);
  for (const one of directoriesOf(h, path)) assert.ok(existsSync(one), one);
  const isV1 = locate(h, memory, path)?.version === 1;
  assert.equal(value(path, memory, 'memory.limit_in_bytes', 'memory.max'), String(64 * mebibyte));
  assert.equal(value(path, memory, 'memory.soft_limit_in_bytes', 'memory.low'), String(32 * mebibyte));
  if (isV1 && h.swap) assert.equal(value(path, memory, 'memory.memsw.limit_in_bytes', ''), String(128 * mebibyte));
  assert.equal(value(path, { v1: 'pids', v2: 'pids' }, 'pids.max', 'pids.max'), '50');
  assert.equal(value(path, cpu, 'cpu.cfs_quota_us', 'cpu.max')?.split(' ')[0], '50000');
  assert.equal(value(path, cpu, 'cpu.shares', 'cpu.weight'), locate(h, cpu, path)?.version === 1 ? '512' : '59');
  assert.equal(value(path, { v1: 'cpuset', v2: 'cpuset' }, 'cpuset.cpus', 'cpuset.cpus'), '0');
  const devices = locate(h, { v1: 'devices' }, path);
  if (devices !== undefined) {
    const list = readFileSync(`${devices.directory}/devices.list`, 'utf8').trim().split('\n');
    assert.equal(list.length, defaultDeviceRules.length);
    assert.ok(list.includes('c 1:3 rwm'));
  }

  // Both ways: growing and shrinking, each in the order that the kernel takes.
  const steps: Limits[] = [
    { ...limits, memoryBytes: 256 * mebibyte, pids: 60, cpuNanos: 1e9 },
    { ...limits, memoryBytes: 16 * mebibyte, memoryReservationBytes: 8 * mebibyte, pids: 0 },
    { cpuPeriodMicros: 10_000, cpuQuotaMicros: 5000 },
    { cpuPeriodMicros: 1_000_000, cpuQuotaMicros: 900_000 },
    { cpuPeriodMicros: 2000, cpuQuotaMicros: 1000 },
  ];
  let before = limits;
  for (const next of steps) {
    await kernel.run(updateSteps(h, path, before, next));
    before = next;
  }
  assert.equal(value(path, { v1: 'pids', v2: 'pids' }, 'pids.max', 'pids.max'), 'max');
  assert.match(value(path, cpu, 'cpu.cfs_quota_us', 'cpu.max')!, /^1000( 2000)?$/);
  const unlimited = value(path, memory, 'memory.limit_in_bytes', 'memory.max')!;
  assert.ok(unlimited === 'max' || Number(unlimited) > 2 ** 50, unlimited);

  await kernel.run(removeSteps(h, path));
  await kernel.run(removeSteps(h, path));
  assert.deepEqual(listGroups(h, parent), []);
});

test('a limit that the kernel refuses is named', async () => {
  const path = `${parent}/refused`;
  await assert.rejects(
    kernel.run(createSteps(h, path, { cpusetCpus: String(cpus().length + 500) })),
    /^StepError: Cannot set CPUs \d+: (EINVAL|EACCES|ERANGE|errno \d+) from write/,
  );
  await removeCgroup(h, path);
});

test('a group made without its parents makes and prepares them', async () => {
  const path = `${parent}/deep/er/guest`;
  await kernel.run(createSteps(h, path, { pids: 10 }));
  const child = startIn(path, 'exit 3');
  assert.equal(await ended(child), 3);
  await removeCgroup(h, `${parent}/deep`);
  for (const one of directoriesOf(h, `${parent}/deep`)) assert.equal(existsSync(one), false, one);
});

test('a child of the keeper joins, alone and through CLONE_INTO_CGROUP’s stand-in', async () => {
  const path = `${parent}/join`;
  await kernel.run(createSteps(h, path, {}));
  const fd = register(1);
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_CLOEXEC), 0);
  const program = [
    ...joinSteps(h, path, { unified: true }),
    step('openat2', [AT_FDCWD, '/proc/self/cgroup', how, 24], 'open', { result: fd }),
    step('read', [fd, { outBytes: 4096 }, 4096], 'read'),
  ];
  const fork = kernel.fork(program);
  fork.input.end();
  const text = Buffer.from((await fork.outcome).output(program.length - 1)!).toString('utf8');
  const lines = text.replaceAll('\0', '').trim().split('\n');
  for (const { controllers } of h.v1) {
    const line = lines.find((one) => controllers.some((name) => one.split(':')[1]?.split(',').includes(name)));
    assert.match(line ?? '', new RegExp(`${path}$`), controllers.join());
  }
  if (h.unified !== undefined) assert.match(lines.find((one) => one.startsWith('0::')) ?? '', new RegExp(`${path}$`));
  fork.close();
  await removeCgroup(h, path);
});

test('usage counts what a group does', async () => {
  const path = `${parent}/usage`;
  await kernel.run(createSteps(h, path, { pids: 20, memoryBytes: 128 * mebibyte }));
  const child = startIn(path, 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 600');
  await ready(child);
  const deadline = Date.now() + 20_000;
  while (readUsage(h, path).cpuTotalNanos < 2e7 && Date.now() < deadline) await setTimeout(20);
  const usage = readUsage(h, path);
  assert.ok(usage.cpuTotalNanos >= 2e7 && usage.cpuTotalNanos < 60e9, String(usage.cpuTotalNanos));
  assert.ok(usage.cpuUserNanos + usage.cpuSystemNanos > 0);
  assert.ok(usage.memoryBytes > 0 && usage.memoryPeakBytes >= usage.memoryBytes / 2);
  assert.equal(usage.memoryLimitBytes, 128 * mebibyte);
  assert.ok(usage.pids >= 1);
  assert.equal(usage.pidsLimit, 20);
  assert.equal(usage.hostCpus, cpus().length);
  assert.ok(usage.hostCpuNanos > 1e9);
  assert.ok(Object.keys(usage.memoryStat).length > 5);
  assert.deepEqual(processes(h, path).includes(child.pid!), true);
  await killCgroup(h, path);
  await removeCgroup(h, path);
  const gone = readUsage(h, path);
  assert.deepEqual([gone.cpuTotalNanos, gone.memoryBytes, gone.pids], [0, 0, 0]);
});

test('v2 alone: a guest is cloned into its group, paused, killed; its exit comes with the group’s files', async (t) => {
  if (h.unified === undefined) {
    t.skip('this host has no cgroup v2');
    return;
  }
  const alone: Hierarchies = { unified: h.unified, v1: [], swap: h.swap };
  const path = `${parent}/cloned`;
  const create = createSteps(alone, path, {}, { directory, devices: deviceAccess(defaultDeviceRules) });
  const guest = await keeper.start('cat /proc/self/cgroup; head -c1 /dev/kmsg || echo denied; sleep 600 & sleep 600', {
    before: create,
    cgroup: directory,
    exitFiles: [`${h.unified.mount}/${path}/cgroup.events`],
    logged: true,
  });
  assert.ok(processes(alone, path).includes(guest.pid));
  await eventually('the guest has written', () => guest.log().includes('denied'));
  assert.match(guest.log(), new RegExp(`0::/(.*/)?${path}`));
  await kernel.run(freezeSteps(alone, path));
  await waitFrozen(alone, path);
  await killCgroup(alone, path);
  const exit = await guest.ended();
  assert.deepEqual([exit.code, exit.signal], [137, 9]);
  assert.match(exit.files[0]?.toString() ?? '', /^populated /m);
  await removeCgroup(alone, path);
});

test('freeze, thaw, and kill while frozen', async () => {
  const path = `${parent}/freeze`;
  await kernel.run(createSteps(h, path, {}));
  const child = startIn(path, 'while :; do :; done & while :; do :; done');
  await ready(child);
  await kernel.run(freezeSteps(h, path));
  await waitFrozen(h, path);
  assert.equal(isFrozen(h, path), true);
  const used = readUsage(h, path).cpuTotalNanos;
  await setTimeout(60);
  assert.ok(readUsage(h, path).cpuTotalNanos - used < 5e6, 'nothing runs');
  await kernel.run(thawSteps(h, path));
  const deadline = Date.now() + 5000;
  while (readUsage(h, path).cpuTotalNanos - used < 1e7 && Date.now() < deadline) await setTimeout(10);
  assert.ok(readUsage(h, path).cpuTotalNanos - used >= 1e7, 'it goes on');
  assert.equal(isFrozen(h, path), false);
  await kernel.run(freezeSteps(h, path));
  await waitFrozen(h, path);
  await killCgroup(h, path);
  assert.equal(await ended(child), 'SIGKILL');
  await removeCgroup(h, path);
});

test('kill takes what keeps forking, and groups below, with and without cgroup.kill', async () => {
  const path = `${parent}/kill`;
  const withoutV2 = { ...h };
  if (h.v1.length > 0) delete (withoutV2 as { unified?: unknown }).unified;
  for (const hierarchies of [h, withoutV2]) {
    await kernel.run(createSteps(h, path, { pids: 40 }));
    await kernel.run(createSteps(h, `${path}/below`, {}));
    const nested = startIn(`${path}/below`, 'sleep 600 & sleep 600');
    const forking = startIn(path, 'for i in 1 2 3 4 5; do (while :; do sleep 0.003; done) & done; wait');
    await Promise.all([ready(nested), ready(forking)]);
    await setTimeout(50);
    assert.ok(processes(h, path).length > 3);
    await killCgroup(hierarchies, path);
    assert.deepEqual(processes(h, path), []);
    await removeCgroup(h, path);
  }
  await killCgroup(h, path);
});

test('an out-of-memory kill is told from another', async () => {
  const path = `${parent}/oom`;
  await kernel.run(createSteps(h, path, { memoryBytes: 8 * mebibyte, memorySwapBytes: 8 * mebibyte }));
  const read = (): string[] => exitFiles(h, path).map((file) => readFileSync(file, 'utf8'));
  assert.equal(wasOutOfMemory(read()), false);
  const killed = startIn(path, 'kill -9 $$');
  assert.equal(await ended(killed), 'SIGKILL');
  assert.equal(wasOutOfMemory(read()), false);
  const hungry = startIn(path, 'exec tail /dev/zero');
  assert.equal(await ended(hungry), 'SIGKILL');
  assert.equal(wasOutOfMemory(read()), true);
  await removeCgroup(h, path);
});

test('nothing outside of the own directory is changed', async () => {
  const watched = directoriesOf(h, '.').flatMap((root) =>
    readdirSync(root, { withFileTypes: true })
      .filter(
        (entry) => entry.isFile() && /\.(max|limit_in_bytes|cpus|mems|shares|weight|quota_us|list)$/.test(entry.name),
      )
      .map(({ name }) => `${root}/${name}`),
  );
  const contents = (): string[] => watched.map((path) => readFileSync(path, 'utf8'));
  const before = contents();
  await kernel.run(createSteps(h, `${parent}/own`, { memoryBytes: 64 * mebibyte, cpuNanos: 1e8, pids: 3 }));
  await kernel.run(removeSteps(h, `${parent}/own`));
  assert.deepEqual(contents(), before);
});
