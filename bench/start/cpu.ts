// The CPU time of all processes of an engine for a container's life, its own `true` included: what the cgroup of engine and guests says.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../engines/engine.ts';
import { cycle } from './bench.ts';
import type { Measure, Sample } from './measure.ts';

const cycles = 10;
/** For what an engine does afterwards, or ahead: it counts too. */
const settleMs = 150;

export const cpuMeasure: Measure = {
  name: 'cpu',
  rows: [
    {
      name: 'cpu',
      title: "CPU time of all of the engine's processes for that cycle",
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'holm', limit: 12 }],
    },
  ],
  rounds: { full: 5, quick: 2 },
  warmUp: 0,
  open: async ({ engines, cold }) =>
    [cold, ...engines].map((engine) => ({ name: engine.name, sample: () => spend(engine) })),
};

async function spend(engine: Engine): Promise<Sample> {
  const before = engine.group.cpuNanos();
  for (let count = 0; count < cycles; count++) await cycle(engine);
  await sleep(settleMs);
  return { cpu: Number(engine.group.cpuNanos() - before) / 1e6 / cycles };
}
