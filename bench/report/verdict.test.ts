import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Aim, Better } from '../start/measure.ts';
import { summarize } from '../statistics.ts';
import { judge } from './verdict.ts';

const values: Readonly<Record<string, number>> = { floor: 4, holm: 10, dockerd: 250 };
const of = new Map(Object.entries(values).map(([name, value]) => [name, summarize([value])]));

const cases: readonly (readonly [aim: Aim, better: Better, title: string, words: string])[] = [
  [{ of: 'holm', limit: 12 }, 'less', 'holm at most 12 ms', 'reached, 1.20 × better than asked'],
  [{ of: 'holm', limit: 5 }, 'less', 'holm at most 5 ms', 'missed by 2.00 ×'],
  [{ of: 'holm', limit: 5 }, 'more', 'holm at least 5 ms', 'reached, 2.00 × better than asked'],
  [{ of: 'holm', against: 'floor', factor: 3 }, 'less', 'holm at most 3 × floor', 'reached, 1.20 × better than asked'],
  [{ of: 'holm', against: 'floor', factor: 1 }, 'less', 'holm no more than floor', 'missed by 2.50 ×'],
  [
    { of: 'holm', against: 'dockerd', factor: 1 / 20 },
    'less',
    'holm 20 × faster than dockerd',
    'reached, 1.25 × better than asked',
  ],
  [{ of: 'holm', against: 'dockerd', factor: 4 }, 'more', 'holm at least 4 × dockerd', 'missed by 100 ×'],
  [
    { of: 'holm', against: 'podman', factor: 1 },
    'more',
    'holm no less than podman',
    'not known: podman was not measured',
  ],
];

for (const [aim, better, title, words] of cases) {
  test(`judge(): ${title}`, () => {
    const row = { name: 'x', title: 'x', unit: 'ms' as const, better, aims: [aim] };
    const [verdict] = judge({ row, of });
    assert.deepEqual([verdict?.aim, verdict?.words], [title, words]);
  });
}
