// The schedule of probes, with time and probes made by the test: nothing waits and nothing runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as settle } from 'node:timers/promises';
import type { Container } from '../containers/container.ts';
import type { Healthcheck } from '../images/image.ts';
import { type Clock, HealthChecks, type HealthWork } from './health-checks.ts';

const second = 1_000_000_000;

class TestClock implements Clock {
  #now = 0;
  readonly timers = new Map<object, { at: number; work: () => void }>();

  nowNanos(): bigint {
    return BigInt(this.#now);
  }

  after(ms: number, work: () => void): () => void {
    const key = {};
    this.timers.set(key, { at: this.#now + ms * 1e6, work });
    return () => this.timers.delete(key);
  }

  /** Lets time pass, timer by timer; what a timer starts gets to run before the next. */
  async pass(seconds: number): Promise<void> {
    const end = this.#now + seconds * second;
    for (;;) {
      await settle();
      const next = [...this.timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers.delete(next[0]);
      this.#now = Math.max(this.#now, next[1].at);
      next[1].work();
    }
    this.#now = end;
  }
}

interface StartedProbe {
  readonly id: string;
  readonly at: number;
  killed: boolean;
  end(code: number): void;
}

/** Checks whose probes end with `code` at once, or hang until they are killed if that is undefined. */
function createChecks(code: () => number | undefined = () => 0, start: () => Promise<void> = async () => {}) {
  const clock = new TestClock();
  const probes: StartedProbe[] = [];
  const told: string[] = [];
  const work: HealthWork = {
    startProbe: async (id) => {
      const { promise, resolve } = Promise.withResolvers<number>();
      const probe: StartedProbe = { id, at: Number(clock.nowNanos()) / second, killed: false, end: resolve };
      probes.push(probe);
      await start();
      const now = code();
      if (now !== undefined) resolve(now);
      const kill = () => {
        probe.killed = true;
        resolve(137);
      };
      return { ended: promise, output: () => 'said', kill };
    },
    shellOf: () => undefined,
    tellStatus: (id, status) => told.push(`${id} ${status}`),
    restart: async (id) => void told.push(`restart ${id}`),
  };
  return { clock, probes, told, checks: new HealthChecks(work, clock) };
}

function running(id: string, check: Partial<Healthcheck> = {}, labels: Container['labels'] = {}): Container {
  const healthcheck = { test: ['CMD', 'x'], intervalNanos: second, timeoutNanos: 3 * second, ...check };
  const state = { is: 'running', pid: 1, startedAt: 0n };
  return { id, labels, config: { healthcheck, annotations: {} }, state } as unknown as Container;
}

test('a container is probed at its interval from the end of the last probe, and its change is told once', async () => {
  const { clock, probes, told, checks } = createChecks();
  const box = running('box');
  assert.equal(checks.find('box'), undefined);
  checks.note(box, 'start');
  assert.deepEqual(checks.find('box'), { status: 'starting', failingStreak: 0, log: [] });
  await clock.pass(3.5);
  assert.deepEqual(
    probes.map(({ at }) => at),
    [1, 2, 3],
  );
  assert.deepEqual(told, ['box healthy']);
  assert.deepEqual(checks.find('box')?.log[0], {
    startedAt: BigInt(second),
    endedAt: BigInt(second),
    code: 0,
    output: 'said',
  });
});

test('a container without a check costs no timer', async () => {
  const { clock, checks } = createChecks();
  for (const test of [[], ['NONE']]) checks.note(running('box', { test }), 'start');
  assert.equal(clock.timers.size, 0);
  assert.equal(checks.find('box'), undefined);
});

test('a probe that hangs is killed after its time, and counts as failed with docker’s words', async () => {
  const { clock, probes, told, checks } = createChecks(() => undefined);
  checks.note(running('box', { retries: 2 }), 'start');
  await clock.pass(8.5);
  assert.deepEqual(
    probes.map(({ at, killed }) => [at, killed]),
    [
      [1, true],
      [5, true],
    ],
  );
  assert.deepEqual(checks.find('box')?.log.map(({ code, output }) => [code, output])[1], [
    -1,
    'Health check exceeded timeout (3s): said',
  ]);
  assert.deepEqual(told, ['box unhealthy']);
});

test('a probe that cannot be started counts as failed, with the reason', async () => {
  const { clock, checks } = createChecks(undefined, () => Promise.reject(new Error('no such program')));
  checks.note(running('box', { retries: 1 }), 'start');
  await clock.pass(1.5);
  assert.deepEqual(
    checks.find('box')?.log.map(({ code, output }) => [code, output]),
    [[-1, 'no such program']],
  );
  assert.equal(checks.find('box')?.status, 'unhealthy');
});

test('a paused container is not probed and keeps its health; one that ended is unhealthy', async () => {
  const { clock, probes, checks } = createChecks();
  const box = running('box');
  checks.note(box, 'start');
  await clock.pass(1.5);
  checks.note(box, 'pause');
  await clock.pass(60);
  assert.equal(probes.length, 1);
  assert.equal(checks.find('box')?.status, 'healthy');
  checks.note(box, 'unpause');
  await clock.pass(1.5);
  assert.equal(probes.length, 2);
  checks.note(box, 'die');
  await clock.pass(60);
  assert.equal(probes.length, 2);
  assert.deepEqual([checks.find('box')?.status, checks.find('box')?.log.length], ['unhealthy', 2]);
  checks.note(box, 'destroy');
  assert.equal(checks.find('box'), undefined);
  assert.equal(clock.timers.size, 0);
});

test('what a probe says after its container ended is not heard', async () => {
  const { clock, probes, told, checks } = createChecks(() => undefined);
  checks.note(running('box', { retries: 1 }), 'start');
  await clock.pass(1.5);
  checks.note(running('box'), 'die');
  assert.equal(probes[0]?.killed, true);
  await clock.pass(60);
  assert.deepEqual([told, checks.find('box')?.log], [[], []]);
});

test('few are started at once; those that hang keep no other waiting', async () => {
  const gates: (() => void)[] = [];
  const gate = (): Promise<void> => new Promise((open) => gates.push(open));
  const { clock, probes, checks } = createChecks(() => undefined, gate);
  for (let i = 0; i < 300; i++) checks.note(running(`box${i}`, { timeoutNanos: 3600 * second }), 'start');
  assert.equal(clock.timers.size, 1, 'one timer for all');
  await clock.pass(1.5);
  assert.equal(probes.length, 4);
  for (let open = 0; open < 300; open++) {
    gates[open]?.();
    await clock.pass(0.001);
  }
  assert.equal(new Set(probes.map(({ id }) => id)).size, 300, 'all hang, and all were asked');
  checks.close();
  await clock.pass(0);
  assert.ok(probes.every(({ killed }) => killed));
});

test('a start that hangs gives its room back', async () => {
  const { clock, checks } = createChecks(undefined, () => new Promise(() => {}));
  for (let i = 0; i < 5; i++) checks.note(running(`box${i}`), 'start');
  await clock.pass(62);
  assert.match(checks.find('box4')?.log[0]?.output ?? '', /^timed out starting health check for container box4$/);
});

test('a container that asks for it is started again when it becomes unhealthy, once', async () => {
  const { clock, told, checks } = createChecks(() => 1);
  checks.note(running('asks', { retries: 2 }, { 'holm.restart': 'unhealthy' }), 'start');
  checks.note(running('other', { retries: 2 }, { 'holm.restart': 'no' }), 'start');
  await clock.pass(10);
  assert.deepEqual(told.toSorted(), ['asks unhealthy', 'other unhealthy', 'restart asks']);
});
