// How many containers a second live through their whole life when many clients ask at once.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { cycle } from './bench.ts';
import type { Measure, Sample } from './measure.ts';

const clients = 16;

export const throughputMeasure: Measure = {
  name: 'throughput',
  rows: [
    {
      name: 'throughput',
      title: `cycles a second, ${clients} clients`,
      unit: 'a second',
      better: 'more',
      aims: [{ of: 'holm', against: 'dockerd', factor: 10 }],
    },
  ],
  rounds: { full: 3, quick: 1 },
  warmUp: 0,
  open: async ({ engines, quick }) =>
    engines.map((engine) => ({ name: engine.name, sample: () => manyCycles(engine, quick ? 2000 : 5000) })),
};

async function manyCycles(engine: Engine, milliseconds: number): Promise<Sample> {
  const begin = performance.now();
  let count = 0;
  const client = async (): Promise<void> => {
    while (performance.now() - begin < milliseconds) {
      await cycle(engine);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { throughput: count / ((performance.now() - begin) / 1000) };
}
