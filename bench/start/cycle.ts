// The main measure: a container's whole life over the API, against what the kernel itself needs for it.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { create, remove, start, wait } from './bench.ts';
import type { Measure, Row, Sample } from './measure.ts';

const part = (name: string): Row => ({
  name,
  title: `  of this: ${name}`,
  unit: 'ms',
  better: 'less',
  aims: [],
  drawn: false,
});

export const cycleMeasure: Measure = {
  name: 'cycle',
  rows: [
    {
      name: 'cycle',
      title: 'create + start + wait + remove of `true`, default bridge, over the API',
      unit: 'ms',
      better: 'less',
      aims: [
        { of: 'holm-cold', against: 'floor', factor: 3 },
        { of: 'holm', against: 'floor', factor: 1 },
        { of: 'holm', against: 'dockerd', factor: 1 / 20 },
      ],
    },
    ...['create', 'start', 'wait', 'remove'].map(part),
  ],
  rounds: { full: 60, quick: 12 },
  warmUp: 3,
  // The kernel takes an engine's network namespaces and veths away long after it answered, under the lock of all networking.
  settleMs: 250,
  open: async ({ engines, cold, floor }) => [
    { name: 'floor', sample: async () => ({ cycle: await floor.life('bridge') }) },
    ...[cold, ...engines].map((engine) => ({ name: engine.name, sample: () => life(engine) })),
  ],
};

async function life(engine: Engine): Promise<Sample> {
  const begin = performance.now();
  const id = await create(engine, ['true']);
  const created = performance.now();
  await start(engine, id);
  const started = performance.now();
  await wait(engine, id);
  const ended = performance.now();
  await remove(engine, id);
  const removed = performance.now();
  return {
    cycle: removed - begin,
    create: created - begin,
    start: started - created,
    wait: ended - started,
    remove: removed - ended,
  };
}
