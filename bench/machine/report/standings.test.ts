import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeasureResult } from '../../start/take.ts';
import { summarize } from '../../statistics.ts';
import { tenPrograms } from '../measures/programs.ts';
import { geometricMean, standingsOf } from './standings.ts';

type Values = Readonly<Record<string, number>>;

function resultOf(name: string, values: Values): MeasureResult {
  const row = { name, title: name, unit: 's', better: 'less', aims: [] } as const;
  const of = new Map(Object.entries(values).map(([subject, value]) => [subject, summarize([value])]));
  return { measure: name, seconds: 1, rows: [{ row, of }], failures: new Map() };
}

const cases: readonly {
  readonly title: string;
  readonly results: Readonly<Record<string, Values>>;
  readonly goal: string;
  readonly want: readonly [value: number, keepsMust: boolean, reachesAim: boolean] | undefined;
}[] = [
  {
    title: 'speed is QEMU’s time over ours',
    results: { integer: { holm: 4, qemu: 3 } },
    goal: 'CoreMark-like integer work, speed',
    want: [0.75, true, false],
  },
  {
    title: 'time is ours over QEMU’s',
    results: { fork: { holm: 5, qemu: 2 } },
    goal: '300 fork + exec, time',
    want: [2.5, false, false],
  },
  {
    title: 'throughput is ours over QEMU’s',
    results: { 'disk 4k': { holm: 300, qemu: 200 } },
    goal: 'disk, 4 KB reads, throughput',
    want: [1.5, true, true],
  },
  {
    title: 'harts are compared within holm',
    results: { 'one hart': { holm: 8, qemu: 1 }, 'two harts': { holm: 5, qemu: 1 } },
    goal: 'two harts against one, speed-up',
    want: [1.6, true, false],
  },
  {
    title: 'the mean of the ten is geometric',
    results: Object.fromEntries(tenPrograms.map((name, at) => [name, { holm: at % 2 === 0 ? 1 : 4, qemu: 2 }])),
    goal: 'ten programs, geometric mean of speed',
    want: [1, true, false],
  },
  {
    title: 'nine of the ten give no mean',
    results: Object.fromEntries(tenPrograms.slice(1).map((name) => [name, { holm: 1, qemu: 1 }])),
    goal: 'ten programs, geometric mean of speed',
    want: undefined,
  },
  {
    title: 'who failed has no standing',
    results: { boot: { holm: 1 } },
    goal: 'kernel entry to /init, time',
    want: undefined,
  },
];

for (const { title, results, goal, want } of cases) {
  test(`standingsOf(): ${title}`, () => {
    const standings = standingsOf(Object.entries(results).map(([name, values]) => resultOf(name, values)));
    const found = standings.find((standing) => standing.title === goal);
    assert.deepEqual(found && [Number(found.value.toFixed(9)), found.keepsMust, found.reachesAim], want);
  });
}

test('geometricMean() of two numbers is the root of their product', () => {
  assert.equal(geometricMean([2, 8])?.toFixed(12), '4.000000000000');
  assert.equal(geometricMean([2, undefined]), undefined);
});
