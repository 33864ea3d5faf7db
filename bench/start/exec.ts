// Another process in a container that runs, and the end of one that will not end by itself.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { create, kill, remove, start, wait } from './bench.ts';
import type { Measure, Subject } from './measure.ts';

const idle = ['sleep', '100000'];

export const execMeasure: Measure = {
  name: 'exec',
  rows: [
    {
      name: 'exec',
      title: 'exec of `true` over the API: create, start attached until its end, exit code',
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'holm', limit: 5 }],
    },
  ],
  rounds: { full: 60, quick: 12 },
  warmUp: 3,
  open: async ({ engines }) => engines.map(execSubject),
};

function execSubject(engine: Engine): Subject {
  let id: string | undefined;
  return {
    name: engine.name,
    sample: async () => {
      id ??= await startIdle(engine);
      const begin = performance.now();
      await execTrue(engine, id);
      return { exec: performance.now() - begin };
    },
    close: async () => {
      if (id !== undefined) await remove(engine, id);
    },
  };
}

async function startIdle(engine: Engine): Promise<string> {
  const id = await create(engine, idle);
  await start(engine, id);
  return id;
}

async function execTrue({ api }: Engine, container: string): Promise<void> {
  const request = { Cmd: ['true'], AttachStdout: true, AttachStderr: true };
  const { Id } = await api.json<{ Id: string }>('POST', `/containers/${container}/exec`, request);
  const { ended } = await api.hijack(`/exec/${Id}/start`, { Detach: false, Tty: false }, () => {});
  await ended;
  const { ExitCode } = await api.json<{ ExitCode: number | null }>('GET', `/exec/${Id}/json`);
  if (ExitCode !== 0) throw new Error(`"true" ended with ${ExitCode}`);
}

export const killMeasure: Measure = {
  name: 'kill',
  rows: [
    {
      name: 'kill',
      title: 'kill until wait returns',
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'holm', limit: 8 }],
    },
  ],
  rounds: { full: 30, quick: 6 },
  warmUp: 2,
  settleMs: 250,
  open: async ({ engines }) => engines.map((engine) => ({ name: engine.name, sample: () => killOne(engine) })),
};

async function killOne(engine: Engine): Promise<{ kill: number }> {
  const id = await startIdle(engine);
  const begin = performance.now();
  await kill(engine, id);
  await wait(engine, id);
  const took = performance.now() - begin;
  await remove(engine, id);
  return { kill: took };
}
