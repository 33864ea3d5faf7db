// The picture's panels and their logarithmic axes: times on one axis from milliseconds to minutes, rates and sizes each on their own.
import type { Unit } from '../start/measure.ts';
import type { RowResult } from '../start/take.ts';

export interface Panel {
  readonly title: string;
  readonly units: readonly Unit[];
  readonly rows: readonly RowResult[];
}

export interface Axis {
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** The place of a value on the axis, never outside of it. */
  place(value: number, unit: Unit): number;
}

const kinds: readonly { readonly title: string; readonly units: readonly Unit[] }[] = [
  { title: 'Time (shorter is better)', units: ['ms', 's'] },
  { title: 'Cycles a second (longer is better)', units: ['a second'] },
  { title: 'Throughput (longer is better)', units: ['MiB/s'] },
  { title: 'Memory (shorter is better)', units: ['MB'] },
];

/** The rows that are drawn, by kind. */
export function panelsOf(rows: readonly RowResult[]): readonly Panel[] {
  const drawn = rows.filter(({ row, of }) => row.drawn !== false && of.size > 0);
  return kinds
    .map((kind) => ({ ...kind, rows: drawn.filter(({ row }) => kind.units.includes(row.unit)) }))
    .filter((panel) => panel.rows.length > 0);
}

/** In the panel's first unit. */
function scaled(value: number, unit: Unit): number {
  return unit === 's' ? value * 1000 : value;
}

export function axisOf({ units, rows }: Panel, { left, right }: { left: number; right: number }): Axis {
  const values = rows.flatMap(({ row, of }) =>
    [...of.values()].flatMap(({ median, p95 }) => [scaled(median, row.unit), scaled(p95, row.unit)]),
  );
  // Half a decade of room below the least, so that its bar is one.
  const from = Math.floor(2 * Math.log10(Math.min(...values) / 2)) / 2;
  const to = Math.ceil(2 * Math.log10(Math.max(...values))) / 2;
  const at = (exponent: number): number => left + ((right - left) * (exponent - from)) / (to - from);
  const decades = Array.from({ length: Math.floor(to) - Math.ceil(from) + 1 }, (_, index) => Math.ceil(from) + index);
  return {
    ticks: decades.map((exponent) => ({ at: at(exponent), label: labelOf(10 ** exponent, units[0]!) })),
    place: (value, unit) => Math.min(right, Math.max(left, at(Math.log10(scaled(value, unit))))),
  };
}

function labelOf(value: number, unit: Unit): string {
  const number = (amount: number): string => String(Number(amount.toPrecision(3)));
  if (unit === 'ms') return value >= 1000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
  return unit === 'a second' ? `${number(value)} /s` : `${number(value)} ${unit}`;
}
