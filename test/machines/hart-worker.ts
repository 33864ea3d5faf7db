// A hart's thread of a machine that a test has built.
import { workerData } from 'node:worker_threads';
import { sharedClock } from '../../src/machines/soft/clock.ts';
import { type HartStart, runHartThread } from '../../src/monitor/hart-thread.ts';

runHartThread(workerData as HartStart, sharedClock());
