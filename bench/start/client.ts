// What a person waits for: `run --rm` by a command, from its start to its end. The docker client against holmd and dockerd,
// and each engine's own command.
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { findProgram } from '../../scripts/debian.ts';
import type { Engine } from '../engines/engine.ts';
import { image } from '../images.ts';
import type { Measure, Subject } from './measure.ts';

export const clientMeasure: Measure = {
  name: 'client',
  rows: [
    {
      name: 'client',
      title: '`run --rm` of `true` by a command',
      unit: 'ms',
      better: 'less',
      aims: [{ of: 'docker with holm', against: 'docker with dockerd', factor: 1 / 8 }],
    },
  ],
  rounds: { full: 30, quick: 6 },
  warmUp: 2,
  open: async ({ engines }) => {
    const docker = findProgram('docker');
    return engines.flatMap((engine) => subjectsOf(engine, docker));
  },
};

function subjectsOf(engine: Engine, docker: string | undefined): Subject[] {
  const own = engine.clientCommand;
  const speaksDocker = docker !== undefined && engine.kind.takesDockerClient;
  return [
    ...(speaksDocker ? [subject(`docker with ${engine.name}`, engine, [docker])] : []),
    ...(own === undefined ? [] : [subject(`${engine.name}'s own`, engine, own)]),
  ];
}

function subject(name: string, engine: Engine, client: readonly string[]): Subject {
  const argv = [...client, 'run', '--rm', image, 'true'];
  return {
    name,
    sample: async () => {
      const begin = performance.now();
      const code = await run(argv, engine.environment);
      if (code !== 0) throw new Error(`"${argv.join(' ')}" ended with ${code}`);
      return { client: performance.now() - begin };
    },
  };
}

function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number | null> {
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));
}
