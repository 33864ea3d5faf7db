import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from '../containers/container.ts';
import type { Healthcheck } from '../images/image.ts';
import { type CheckPlan, firstHealth, type Health, judge, pauseMs, planOf } from './health.ts';

const plan: CheckPlan = {
  argv: ['true'],
  intervalMs: 30_000,
  startIntervalMs: 5000,
  startPeriodMs: 20_000,
  timeoutMs: 1000,
  retries: 3,
};

function checked(healthcheck: Healthcheck | undefined): Container {
  return { config: { ...(healthcheck === undefined ? {} : { healthcheck }) } } as Container;
}

test('the command is docker’s: as it stands, or for the image’s shell', () => {
  const cases: [Healthcheck | undefined, string[] | undefined, string[] | undefined][] = [
    [undefined, undefined, undefined],
    [{ test: [] }, undefined, undefined],
    [{ test: ['NONE'] }, undefined, undefined],
    [{ test: ['CMD'] }, undefined, undefined],
    [{ test: ['OTHER', 'x'] }, undefined, undefined],
    [{ test: ['CMD', 'ping', '-c1'] }, ['/bin/bash', '-c'], ['ping', '-c1']],
    [{ test: ['CMD-SHELL', 'a | b'] }, undefined, ['/bin/sh', '-c', 'a | b']],
    [{ test: ['CMD-SHELL', 'a | b'] }, [], ['/bin/sh', '-c', 'a | b']],
    [{ test: ['CMD-SHELL', 'a | b'] }, ['/bin/bash', '-ec'], ['/bin/bash', '-ec', 'a | b']],
  ];
  for (const [check, shell, argv] of cases) assert.deepEqual(planOf(checked(check), shell)?.argv, argv);
});

test('what is not said is docker’s default', () => {
  const { argv: _, ...times } = planOf(checked({ test: ['CMD', 'x'] }), undefined)!;
  const byDefault = { intervalMs: 30_000, startIntervalMs: 5000, startPeriodMs: 0, timeoutMs: 30_000, retries: 3 };
  assert.deepEqual(times, byDefault);
  const own = planOf(checked({ test: ['CMD', 'x'], intervalNanos: 1.5e6, retries: 1 }), undefined)!;
  assert.deepEqual([own.intervalMs, own.retries], [1.5, 1]);
});

test('the pause is short only while it starts, within the start period', () => {
  const cases: [Health['status'], number, number][] = [
    ['starting', 0, 5000],
    ['starting', 19_999, 5000],
    ['starting', 20_000, 30_000],
    ['healthy', 0, 30_000],
    ['unhealthy', 0, 30_000],
  ];
  for (const [status, ranMs, ms] of cases) assert.equal(pauseMs(plan, { ...firstHealth, status }, ranMs), ms);
});

test('results change health by docker’s rules', () => {
  // Codes and the seconds after the start at which they come; then status, streak and codes on record.
  const cases: [[number, number][], Health['status'], number, number[]][] = [
    [[], 'starting', 0, []],
    [[[0, 1]], 'healthy', 0, [0]],
    [[[1, 1]], 'starting', 0, [1]],
    [[[1, 21]], 'starting', 1, [1]],
    [
      [
        [1, 1],
        [1, 21],
        [1, 30],
        [-1, 40],
      ],
      'unhealthy',
      3,
      [1, 1, 1, -1],
    ],
    [
      [
        [0, 1],
        [1, 2],
        [1, 3],
      ],
      'healthy',
      2,
      [0, 1, 1],
    ],
    [
      [
        [0, 1],
        [1, 2],
        [1, 3],
        [7, 4],
        [1, 5],
      ],
      'unhealthy',
      4,
      [0, 1, 1, 7, 1],
    ],
    [
      [
        [1, 21],
        [1, 22],
        [0, 23],
        [1, 24],
      ],
      'healthy',
      1,
      [1, 1, 0, 1],
    ],
    [
      [
        [1, 21],
        [2, 22],
        [3, 23],
        [4, 24],
        [5, 25],
        [0, 26],
      ],
      'healthy',
      0,
      [2, 3, 4, 5, 0],
    ],
  ];
  for (const [results, status, failingStreak, codes] of cases) {
    const health = results.reduce<Health>(
      (before, [code, seconds]) =>
        judge(before, plan, { startedAt: 0n, endedAt: 0n, code, output: '' }, seconds * 1000),
      firstHealth,
    );
    assert.deepEqual(
      [health.status, health.failingStreak, health.log.map(({ code }) => code)],
      [status, failingStreak, codes],
    );
  }
});
