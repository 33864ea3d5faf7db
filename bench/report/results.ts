// The results as data: what was measured, on what, with which versions, and how the aims stand.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { detectHierarchies, modeOf } from '../../src/cgroups/hierarchy.ts';
import type { MeasureResult } from '../start/take.ts';
import { judge } from './verdict.ts';

export interface Results {
  /** RFC 3339. */
  readonly at: string;
  readonly isQuick: boolean;
  readonly host: Host;
  /** Versions by name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly measures: readonly MeasureResult[];
  /** How a benchmark's goals stand, where they are made of several rows. */
  readonly standings?: readonly object[];
}

export interface Host {
  readonly kernel: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryBytes: number;
  readonly cgroups: string;
}

export function describeHost(): Host {
  const processors = cpus();
  return {
    kernel: release(),
    cpus: processors.length,
    cpuModel: processors[0]?.model.trim() ?? '',
    memoryBytes: totalmem(),
    cgroups: modeOf(detectHierarchies()),
  };
}

export function writeResults(path: string, results: Results): void {
  const { at, isQuick, host, versions, measures, standings } = results;
  const rows = measures.flatMap((measure) =>
    measure.rows.map((result) => ({
      measure: measure.measure,
      name: result.row.name,
      title: result.row.title.trim(),
      unit: result.row.unit,
      better: result.row.better,
      of: Object.fromEntries(result.of),
      aims: judge(result),
    })),
  );
  const failures = measures.flatMap(({ measure, failures }) =>
    [...failures].map(([name, why]) => ({ measure, name, why })),
  );
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ at, isQuick, host, versions, standings, rows, failures }, null, 2)}\n`);
}
