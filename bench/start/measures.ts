// The measures of `npm run bench -- start`, in the order of the report.
import { cpuMeasure } from './cpu.ts';
import { cycleMeasure } from './cycle.ts';
import type { Measure } from './measure.ts';

export const measures: readonly Measure[] = [cycleMeasure, cpuMeasure];
