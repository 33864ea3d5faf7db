// Medians and percentiles of samples. Nothing is left out as an "outlier": what is slow is part of what was measured.

export interface Summary {
  readonly count: number;
  readonly median: number;
  /** Nearest rank: a value that was measured. */
  readonly p95: number;
  readonly least: number;
  readonly most: number;
}

/** Summarises samples; at least one is needed. For measures where more is better, `p95` is the bad end too: the 5th percentile. */
export function summarize(samples: readonly number[], better: 'less' | 'more' = 'less'): Summary {
  if (samples.length === 0) throw new RangeError('Cannot summarise no samples at all');
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    median: medianOf(sorted),
    p95: percentileOf(better === 'less' ? sorted : sorted.toReversed(), 95),
    least: sorted[0]!,
    most: sorted.at(-1)!,
  };
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Nearest rank: the smallest value that at least so many percent of all do not exceed. */
function percentileOf(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!;
}
