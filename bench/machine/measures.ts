// The measures of `npm run bench -- machine`, in the order of the report.
import type { Measure } from '../start/measure.ts';
import type { Bench } from './bench.ts';
import { bootMeasure } from './measures/boot.ts';
import { debianMeasure } from './measures/debian.ts';
import { diskMeasure } from './measures/disk.ts';
import { forkMeasure } from './measures/fork.ts';
import { hartsMeasure } from './measures/harts.ts';
import { memoryMeasure } from './measures/memory.ts';
import { networkMeasure } from './measures/network.ts';
import { interpreterMeasure, programMeasures } from './measures/programs.ts';

export const measures: readonly Measure<Bench>[] = [
  ...programMeasures,
  interpreterMeasure,
  bootMeasure,
  debianMeasure,
  forkMeasure,
  hartsMeasure,
  memoryMeasure,
  diskMeasure,
  networkMeasure,
];

/** Names that stand for several, with --only. */
export const groups: Readonly<Record<string, readonly string[]>> = {
  programs: programMeasures.map(({ name }) => name),
};
