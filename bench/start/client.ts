// What a person waits for: `run --rm` by a command, from its start to its end. The docker client against holmd and dockerd,
// and each engine's own command.
import { findProgram } from '../../scripts/debian.ts';
import type { Engine } from '../engines/engine.ts';
import { compileTimed, TimedCommand } from '../engines/timed-command.ts';
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
  settleMs: 250,
  open: async ({ engines, place }) => {
    const timed = await compileTimed(place);
    const docker = findProgram('docker');
    return engines.flatMap((engine) => subjectsOf(engine, timed, docker));
  },
};

function subjectsOf(engine: Engine, timed: string, docker: string | undefined): Subject[] {
  const speaksDocker = docker !== undefined && engine.kind.takesDockerClient;
  return [
    ...(speaksDocker ? [subject(`docker with ${engine.name}`, engine, [timed, docker])] : []),
    ...(engine.kind.client === undefined
      ? []
      : [subject(`${engine.name}'s own`, engine, engine.kind.client(engine.home, engine.pid, timed), true)]),
  ];
}

function subject(name: string, engine: Engine, client: readonly string[], isOwn = false): Subject {
  const options = isOwn ? (engine.kind.runOptions?.(engine.home) ?? []) : [];
  const argv = [...client, 'run', '--rm', ...options, image, 'true'];
  const command = new TimedCommand(argv, engine.environment);
  return { name, sample: async () => ({ client: await command.run() }), close: () => command.close() };
}
