// Whether an aim was reached, and by how much it was missed or surpassed; in numbers and in words.
import type { Aim, Row } from '../start/measure.ts';
import type { RowResult } from '../start/take.ts';

export interface Verdict {
  readonly aim: string;
  /** Absent if who is compared was not measured. */
  readonly isReached?: boolean;
  /** How many times better than asked; below 1 it is missed. */
  readonly margin?: number;
  readonly words: string;
}

export function judge({ row, of }: RowResult): readonly Verdict[] {
  return row.aims.map((aim) => {
    const title = describeAim(aim, row);
    const value = of.get(aim.of)?.median;
    const limit = 'limit' in aim ? aim.limit : scale(of.get(aim.against)?.median, aim.factor);
    if (value === undefined || limit === undefined) {
      const missing = value === undefined ? aim.of : 'against' in aim ? aim.against : aim.of;
      return { aim: title, words: `not known: ${missing} was not measured` };
    }
    const margin = row.better === 'less' ? limit / value : value / limit;
    const isReached = margin >= 1;
    const words = isReached ? `reached, ${times(margin)} better than asked` : `missed by ${times(1 / margin)}`;
    return { aim: title, isReached, margin, words };
  });
}

function scale(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

/** "holm at most 12 ms", "holm 20 × faster than dockerd", "holm at least 4 × dockerd". */
export function describeAim(aim: Aim, { better, unit }: Row): string {
  if ('limit' in aim) return `${aim.of} at ${better === 'less' ? 'most' : 'least'} ${aim.limit} ${unit}`;
  const { of, against, factor } = aim;
  if (better === 'more')
    return factor === 1 ? `${of} no less than ${against}` : `${of} at least ${factor} × ${against}`;
  if (factor === 1) return `${of} no more than ${against}`;
  return factor > 1 ? `${of} at most ${factor} × ${against}` : `${of} ${round(1 / factor)} × faster than ${against}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** "1.30 ×", "12 ×". */
export function times(factor: number): string {
  return `${factor < 9.95 ? factor.toFixed(2) : factor.toFixed(0)} ×`;
}
