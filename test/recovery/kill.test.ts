// kill -9 of holmd in the middle of everything it does: 210 times, at moments spread evenly over each operation. After each, a
// new holmd finds its guests running, nothing is half there, and every container can be used or removed.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const killsEach = 30;

interface Operation {
  readonly name: string;
  /** Brings the container "subject" to where the operation begins. */
  readonly prepare: () => Promise<void>;
  readonly act: () => Promise<unknown>;
}

// The argument of the subject's sleep tells its processes from all others.
let round = 0;
const argument = (): string => `${process.pid}${String(round).padStart(4, '0')}`;
const post = (path: string, body?: unknown): Promise<unknown> => daemon.request('POST', path, body);

async function create(): Promise<void> {
  const HostConfig = { Binds: ['recovery:/data'], Tmpfs: { '/scratch': '' } };
  await post('/containers/create?name=subject', { Image: 'busybox:test', Cmd: ['sleep', argument()], HostConfig });
}

async function run(): Promise<void> {
  await create();
  await post('/containers/subject/start');
}

async function runToEnd(): Promise<void> {
  await run();
  await post('/containers/subject/kill');
  await post('/containers/subject/wait');
}

async function exec(): Promise<void> {
  const { Id } = (await post('/containers/subject/exec', { Cmd: ['sleep', argument()] })) as { Id: string };
  await post(`/exec/${Id}/start`, { Detach: true });
}

const operations: readonly Operation[] = [
  { name: 'create', prepare: async () => {}, act: create },
  { name: 'start', prepare: create, act: () => post('/containers/subject/start') },
  { name: 'exec', prepare: run, act: exec },
  { name: 'stop', prepare: run, act: () => post('/containers/subject/stop?t=0') },
  { name: 'restart', prepare: run, act: () => post('/containers/subject/restart?t=0') },
  { name: 'remove', prepare: runToEnd, act: () => daemon.request('DELETE', '/containers/subject') },
  { name: 'remove --force', prepare: run, act: () => daemon.request('DELETE', '/containers/subject?force=1&v=1') },
];

function processesOf(word: string): readonly number[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${word}\0` ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}

interface Listed {
  readonly Names: readonly string[];
  readonly State: string;
}

async function stateOfSubject(): Promise<string | undefined> {
  const all = (await daemon.request('GET', '/containers/json?all=1')) as readonly Listed[];
  return all.find((container) => container.Names.includes('/subject'))?.State;
}

// What holmd says of the subject is what the host shows of it.
async function checkSubject(operation: string): Promise<void> {
  const state = await stateOfSubject();
  assert.ok([undefined, 'created', 'running', 'exited'].includes(state), `state "${state}" after ${operation}`);
  const found = processesOf(argument());
  if (state === 'running') {
    const { State } = (await daemon.request('GET', '/containers/subject/json')) as { State: { Pid: number } };
    assert.ok(found.includes(State.Pid), `holmd names process ${State.Pid}, the host has ${found}`);
  } else {
    assert.deepEqual(found, [], `processes of a container that is ${state ?? 'gone'}`);
  }
  if (state === 'created' || state === 'exited') {
    await post('/containers/subject/start');
    assert.equal(processesOf(argument()).length, 1, 'it can be started');
  }
  if (state !== undefined) await daemon.request('DELETE', '/containers/subject?force=1');
  for (let wait = 0; wait < 50 && processesOf(argument()).length > 0; wait++) await sleep(10);
  assert.deepEqual(processesOf(argument()), []);
  assert.equal(await stateOfSubject(), undefined);
}

async function timeOf(operation: Operation): Promise<number> {
  const times: number[] = [];
  for (let sample = 0; sample < 5; sample++) {
    round++;
    await operation.prepare();
    const startedAt = performance.now();
    await operation.act();
    times.push(performance.now() - startedAt);
    await daemon.request('DELETE', '/containers/subject?force=1');
  }
  return times.sort((a, b) => a - b)[2] ?? 0;
}

const witness = 'i=0; while :; do i=$((i+1)); echo $i; usleep 5000 2>/dev/null || sleep 0.005; done';
await daemon.succeed(['run', '-d', '--name', 'witness', 'busybox:test', 'sh', '-c', witness]);
const witnessPid = await daemon.succeed(['inspect', '-f', '{{.State.Pid}}', 'witness']);

async function killDuring(operation: Operation, delayMs: number): Promise<void> {
  round++;
  await operation.prepare();
  const done = operation.act().catch(() => undefined);
  const until = performance.now() + delayMs;
  if (delayMs > 2) await sleep(delayMs - 1.5);
  while (performance.now() < until) await new Promise(setImmediate);
  await daemon.kill9();
  await done;
  await daemon.restart();
  await checkSubject(operation.name);
  const { State } = (await daemon.request('GET', '/containers/witness/json')) as { State: { Pid: number } };
  assert.equal(String(State.Pid), witnessPid);
}

for (const operation of operations) {
  test(`${killsEach} kills during ${operation.name}`, async () => {
    await daemon.request('DELETE', '/containers/subject?force=1');
    const typicalMs = await timeOf(operation);
    const failures: string[] = [];
    for (let kill = 0; kill < killsEach; kill++) {
      const delayMs = (typicalMs * 1.3 * kill) / killsEach;
      try {
        await killDuring(operation, delayMs);
      } catch (error) {
        const when = `${delayMs.toFixed(2)} of ${typicalMs.toFixed(2)} ms into ${operation.name}`;
        failures.push(`${when}: ${error instanceof Error ? error.message.replaceAll('\n', ' ') : error}`);
        await daemon.request('DELETE', '/containers/subject?force=1').catch(() => undefined);
      }
    }
    assert.equal(failures.join('\n'), '');
  });
}

test('the guest that ran through it all lost no line of its log', async () => {
  await daemon.succeed(['kill', 'witness']);
  await daemon.succeed(['wait', 'witness']);
  const lines = (await daemon.succeed(['logs', 'witness'])).split('\n').map(Number);
  assert.ok(lines.length > 1000);
  for (const [index, line] of lines.entries()) assert.equal(line, index + 1);
});

test('no volume, exec or address is left behind', async () => {
  await daemon.succeed(['rm', 'witness']);
  assert.equal(await daemon.succeed(['ps', '-aq']), '');
  assert.equal(await daemon.succeed(['volume', 'ls', '-q']), 'recovery');
  const addresses = new Set<string>();
  for (let count = 0; count < 20; count++) {
    const id = await daemon.succeed(['run', '-d', 'busybox:test', 'sleep', '100']);
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    addresses.add(await daemon.succeed(['inspect', '-f', format, id]));
  }
  assert.equal(addresses.size, 20);
});
