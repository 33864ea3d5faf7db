// What is to be reached, as data: one row a quantity, made of the medians of what was measured. All are ratios to QEMU of the
// same run but two: the interpreter's speed, and two harts against one.
import type { MeasureResult } from '../../start/take.ts';
import { tenPrograms } from '../measures/programs.ts';

/** The median of a row for who took part; undefined if that was not measured. */
export type Median = (row: string, subject: string) => number | undefined;

interface Goal {
  readonly title: string;
  readonly unit: '×' | 'MIPS';
  readonly better: 'less' | 'more';
  /** The limit that must be kept, and what is aimed at. */
  readonly must: number;
  readonly aim: number;
  value(median: Median): number | undefined;
  /** The two quantities behind a ratio, for the table. */
  readonly of?: { readonly row: string; readonly unit: string };
}

const [ours, theirs] = ['holm', 'qemu'];

/** How many times as fast as QEMU, by CPU time. */
const speed =
  (...rows: readonly string[]) =>
  (median: Median): number | undefined =>
    geometricMean(rows.map((row) => ratio(median(row, theirs), median(row, ours))));

/** How many times what QEMU takes, or gives. */
const times =
  (row: string) =>
  (median: Median): number | undefined =>
    ratio(median(row, ours), median(row, theirs));

const goals: readonly Goal[] = [
  {
    title: 'ten programs, geometric mean of speed',
    ...{ unit: '×', better: 'more', must: 0.6, aim: 1.2 },
    value: speed(...tenPrograms),
  },
  {
    title: 'CoreMark-like integer work, speed',
    ...{ unit: '×', better: 'more', must: 0.6, aim: 1 },
    value: speed('integer'),
    of: { row: 'integer', unit: 's' },
  },
  {
    title: 'double precision with exact flags, speed',
    ...{ unit: '×', better: 'more', must: 1, aim: 3 },
    value: speed('mandelbrot', 'orbits'),
  },
  {
    title: 'interpreter alone',
    ...{ unit: 'MIPS', better: 'more', must: 200, aim: 350 },
    value: (median) => median('interpreter', 'holm-interpreter'),
  },
  {
    title: 'kernel entry to /init, time',
    ...{ unit: '×', better: 'less', must: 2.5, aim: 1.4 },
    value: times('boot'),
    of: { row: 'boot', unit: 's' },
  },
  {
    title: 'Debian to a login prompt, time',
    ...{ unit: '×', better: 'less', must: 2, aim: 1 },
    value: times('debian'),
    of: { row: 'debian', unit: 's' },
  },
  {
    title: '300 fork + exec, time',
    ...{ unit: '×', better: 'less', must: 2, aim: 1 },
    value: times('fork'),
    of: { row: 'fork', unit: 's' },
  },
  {
    title: 'two harts against one, speed-up',
    ...{ unit: '×', better: 'more', must: 1.5, aim: 1.8 },
    value: (median) => ratio(median('one hart', ours), median('two harts', ours)),
  },
  {
    title: 'memory beyond what the guest touched',
    ...{ unit: '×', better: 'less', must: 1.5, aim: 1 },
    value: times('memory'),
    of: { row: 'memory', unit: 'MB' },
  },
  ...[
    { title: 'disk, 4 KB reads', row: 'disk 4k', unit: '/s' },
    { title: 'disk, 1 MB reads', row: 'disk 1m', unit: 'MiB/s' },
    { title: 'network, guest to host', row: 'network out', unit: 'MiB/s' },
    { title: 'network, host to guest', row: 'network in', unit: 'MiB/s' },
  ].map(
    ({ title, row, unit }): Goal => ({
      title: `${title}, throughput`,
      ...{ unit: '×', better: 'more', must: 0.5, aim: 1 },
      value: times(row),
      of: { row, unit },
    }),
  ),
];

export interface Standing extends Omit<Goal, 'value' | 'of'> {
  readonly value: number;
  readonly keepsMust: boolean;
  readonly reachesAim: boolean;
  /** How many times better than the aim; below 1 that is the distance. */
  readonly margin: number;
  readonly ours?: number;
  readonly theirs?: number;
  readonly quantity?: string;
}

/** How the goals stand that could be measured. */
export function standingsOf(results: readonly MeasureResult[]): readonly Standing[] {
  const median = medianIn(results);
  return goals.flatMap(({ value: measure, of, ...goal }) => {
    const value = measure(median);
    if (value === undefined) return [];
    const over = (limit: number): number => (goal.better === 'more' ? value / limit : limit / value);
    const both = { ours: of && median(of.row, ours), theirs: of && median(of.row, theirs) };
    return {
      ...goal,
      value,
      keepsMust: over(goal.must) >= 1,
      reachesAim: over(goal.aim) >= 1,
      margin: over(goal.aim),
      ...(both.ours !== undefined && { ours: both.ours }),
      ...(both.theirs !== undefined && { theirs: both.theirs }),
      ...(of && { quantity: of.unit }),
    };
  });
}

/** The titles of the goals that could not be measured. */
export function unknownGoals(standings: readonly Standing[]): readonly string[] {
  return goals.map(({ title }) => title).filter((title) => !standings.some((standing) => standing.title === title));
}

export function medianIn(results: readonly MeasureResult[]): Median {
  const rows = new Map(results.flatMap((result) => result.rows.map(({ row, of }) => [row.name, of] as const)));
  return (row, subject) => rows.get(row)?.get(subject)?.median;
}

function ratio(above: number | undefined, below: number | undefined): number | undefined {
  return above === undefined || below === undefined ? undefined : above / below;
}

/** Undefined if one of them is: a mean of nine is not one of ten. */
export function geometricMean(values: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const value of values) {
    if (value === undefined) return undefined;
    sum += Math.log(value);
  }
  return Math.exp(sum / values.length);
}
