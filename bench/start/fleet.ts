// Three hundred containers: started by four clients, listed, weighed, killed, seen again by a new daemon, removed.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { memoryOf } from '../memory.ts';
import { create, kill, remove, start, wait } from './bench.ts';
import type { Measure, Sample } from './measure.ts';

const fleet = 300;
const clients = 4;
const lists = 11;

export const fleetMeasure: Measure = {
  name: 'fleet',
  rows: [
    {
      name: 'fleet start',
      title: `${fleet} containers created and started by ${clients} clients`,
      unit: 's',
      better: 'less',
      aims: [{ of: 'holm', against: 'dockerd', factor: 1 / 8 }],
    },
    {
      name: 'fleet end',
      title: `${fleet} containers killed and removed by ${clients} clients`,
      unit: 's',
      better: 'less',
      aims: [{ of: 'holm', against: 'dockerd', factor: 1 / 8 }],
    },
    {
      name: 'list',
      title: `list of ${fleet} running containers`,
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'holm', limit: 3 }],
    },
    {
      name: 'restart',
      title: `start of the daemon with ${fleet} stopped containers, until it lists them`,
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'holm', limit: 300 }],
    },
    {
      name: 'memory',
      title: 'memory per idle container (PSS of all helper processes)',
      unit: 'MB',
      better: 'less',
      aims: [{ of: 'holm', limit: 0.2 }],
    },
    {
      name: 'daemon memory',
      title: `the daemon itself with ${fleet} containers (RSS)`,
      unit: 'MB',
      better: 'less',
      aims: [{ of: 'holm', limit: 90 }],
    },
  ],
  rounds: { full: 1, quick: 1 },
  warmUp: 0,
  open: async ({ engines, quick }) =>
    engines.map((engine) => ({ name: engine.name, sample: () => liveAsFleet(engine, quick ? 60 : fleet) })),
};

async function liveAsFleet(engine: Engine, size: number): Promise<Sample> {
  const before = memoryOf(engine);
  const ids: string[] = [];
  const startSeconds = await timed(() =>
    byClients(Array.from({ length: size }), async () => {
      const id = await create(engine, ['sleep', '100000']);
      ids.push(id);
      await start(engine, id);
    }),
  );
  const list = await listMilliseconds(engine, '/containers/json', size);
  const memory = memoryOf(engine);
  const killSeconds = await timed(() =>
    byClients(ids, async (id) => {
      await kill(engine, id);
      await wait(engine, id);
    }),
  );
  const restart = await restartMilliseconds(engine, size);
  const removeSeconds = await timed(() => byClients(ids, (id) => remove(engine, id)));
  return {
    'fleet start': startSeconds,
    'fleet end': killSeconds + removeSeconds,
    list,
    restart,
    memory: (memory.helpersBytes - before.helpersBytes) / 1e6 / size,
    'daemon memory': memory.daemonBytes / 1e6,
  };
}

async function byClients<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

/** The median of a few lists. */
async function listMilliseconds(engine: Engine, path: string, size: number): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < lists; count++) {
    const begin = performance.now();
    const { body } = await engine.api.call('GET', path);
    times.push(performance.now() - begin);
    expectFleet(body, size);
  }
  return times.toSorted((a, b) => a - b)[lists >> 1]!;
}

async function restartMilliseconds(engine: Engine, size: number): Promise<number> {
  await engine.stop();
  return await engine.start(async () => {
    const { body } = await engine.api.call('GET', '/containers/json?all=1');
    expectFleet(body, size);
  });
}

function expectFleet(body: string, size: number): void {
  const count = (JSON.parse(body) as unknown[]).length;
  if (count < size) throw new Error(`Only ${count} of ${size} containers are listed`);
}
