// The program holm-machine: one machine, the whole life of its process. The main thread is the machine's device thread; each
// hart is a worker, which runs this same file.
import { isMainThread, workerData } from 'node:worker_threads';
import { fullMessageOf } from './base/error.ts';
import { sharedClock } from './machines/soft/clock.ts';
import { runMachineProcess } from './machines/soft/process.ts';
import { runHartThread } from './monitor/hart-thread.ts';

if (isMainThread) {
  runMachineProcess(process.argv[2]).then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`holm-machine: ${fullMessageOf(error)}\n`);
      process.exit(70);
    },
  );
} else runHartThread(workerData, sharedClock());
