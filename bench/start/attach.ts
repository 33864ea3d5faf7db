// What a container writes, to a client that is attached; without a log, so that only the stream counts.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { create, remove, start } from './bench.ts';
import { FrameCounter } from './logs.ts';
import type { Measure, Sample } from './measure.ts';

export const attachMeasure: Measure = {
  name: 'attach',
  rows: [
    {
      name: 'attach',
      title: 'attached stream of 1 GiB',
      unit: 'MiB/s',
      better: 'more',
      aims: [{ of: 'holm', against: 'dockerd', factor: 1.5 }],
    },
  ],
  rounds: { full: 3, quick: 2 },
  warmUp: 0,
  open: async ({ engines, quick }) =>
    engines.map((engine) => ({ name: engine.name, sample: () => stream(engine, quick ? 256 : 1024) })),
};

async function stream(engine: Engine, mebibytes: number): Promise<Sample> {
  const bytes = mebibytes * (1 << 20);
  const id = await create(engine, ['emit', String(bytes), '0'], {
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { LogConfig: { Type: 'none', Config: {} } },
  });
  const counter = new FrameCounter();
  const path = `/containers/${id}/attach?stream=1&stdout=1&stderr=1`;
  const { ended } = await engine.api.hijack(path, undefined, (chunk) => counter.take(chunk));
  const begin = performance.now();
  await start(engine, id);
  await ended;
  const seconds = (performance.now() - begin) / 1000;
  await remove(engine, id);
  if (counter.bytes !== bytes) throw new Error(`${counter.bytes} of ${bytes} bytes came`);
  return { attach: mebibytes / seconds };
}
