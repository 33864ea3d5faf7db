// Takes the samples of one measure: a round asks everyone once, so that what else the machine does meets all alike.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Summary, summarize } from '../statistics.ts';
import type { Measure, Row, Sample, Subject } from './measure.ts';

/** What came of one row: a summary for each who took part. */
export interface RowResult {
  readonly row: Row;
  readonly of: ReadonlyMap<string, Summary>;
}

export interface MeasureResult {
  readonly measure: string;
  readonly seconds: number;
  readonly rows: readonly RowResult[];
  /** Who could not go on, and why. */
  readonly failures: ReadonlyMap<string, string>;
}

/** Takes the samples; who fails is left out from then on, with what it had. `signal` ends it between two samples. */
export async function take<B>(
  measure: Measure<B>,
  bench: B,
  rounds: number,
  { signal }: { signal: AbortSignal },
): Promise<MeasureResult> {
  const startedAt = performance.now();
  const failures = new Map<string, string>();
  const subjects = await measure.open(bench).catch((error: unknown) => {
    failures.set(measure.name, messageOf(error));
    return [];
  });
  const samples = new Map(subjects.map((subject) => [subject.name, [] as Sample[]]));
  try {
    for (let round = -measure.warmUp; round < rounds; round++) {
      for (const subject of subjects) {
        signal.throwIfAborted();
        if (failures.has(subject.name)) continue;
        const sample = await sampleOf(subject, failures);
        await sleep(measure.settleMs ?? 40);
        if (round >= 0 && sample !== undefined) samples.get(subject.name)?.push(sample);
      }
    }
  } finally {
    for (const subject of subjects) await subject.close?.().catch((error) => noteFailure(failures, subject, error));
  }
  return {
    measure: measure.name,
    seconds: (performance.now() - startedAt) / 1000,
    rows: measure.rows.map((row) => ({ row, of: summaries(row, samples) })),
    failures,
  };
}

async function sampleOf(subject: Subject, failures: Map<string, string>): Promise<Sample | undefined> {
  try {
    return await subject.sample();
  } catch (error) {
    noteFailure(failures, subject, error);
    return undefined;
  }
}

function noteFailure(failures: Map<string, string>, { name }: Subject, error: unknown): void {
  failures.set(name, messageOf(error));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function summaries(row: Row, samples: ReadonlyMap<string, readonly Sample[]>): Map<string, Summary> {
  const rows = [...samples].map(([name, taken]) => {
    const values = taken.map((sample) => sample[row.name]).filter((value) => value !== undefined);
    return [name, values] as const;
  });
  return new Map(
    rows.filter(([, values]) => values.length > 0).map(([name, values]) => [name, summarize(values, row.better)]),
  );
}
