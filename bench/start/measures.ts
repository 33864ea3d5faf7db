// The measures of `npm run bench -- start`, in the order of the report.
import { attachMeasure } from './attach.ts';
import { bundleMeasure } from './bundle.ts';
import { clientMeasure } from './client.ts';
import { cpuMeasure } from './cpu.ts';
import { cycleMeasure } from './cycle.ts';
import { execMeasure, killMeasure } from './exec.ts';
import { fleetMeasure } from './fleet.ts';
import { loadMeasure } from './load.ts';
import { logMeasure } from './logs.ts';
import type { Measure } from './measure.ts';
import { throughputMeasure } from './throughput.ts';

export const measures: readonly Measure[] = [
  cycleMeasure,
  cpuMeasure,
  clientMeasure,
  bundleMeasure,
  execMeasure,
  killMeasure,
  throughputMeasure,
  fleetMeasure,
  logMeasure,
  attachMeasure,
  loadMeasure,
];
