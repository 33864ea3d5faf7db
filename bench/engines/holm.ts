// holm itself: this tree's holmd.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineKind } from './engine.ts';

const root = join(import.meta.dirname, '../..');

export interface HolmOptions {
  /** Gets a CPU profile of each holmd. */
  readonly profileDirectory?: string | undefined;
  /** Without slots made ready before anyone asks. */
  readonly isCold?: boolean;
}

export function holm({ profileDirectory, isCold = false }: HolmOptions = {}): EngineKind {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return {
    name: isCold ? 'holm-cold' : 'holm',
    version,
    takesDockerClient: true,
    command: ({ directory, run, socket, guests }) => [
      ...[join(root, 'bin/holmd'), '--state', join(directory, 'state'), '--run', run],
      ...['--socket', socket],
      ...['--bridge', 'holm0', '--subnet', '10.97.0.0/16', '--cgroup-parent', guests],
      ...(isCold ? ['--warm-slots', '0'] : []),
    ],
    ...(profileDirectory === undefined
      ? {}
      : { environment: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDirectory}` } }),
    client: (_home, _pid, timed) => [timed, join(root, 'bin/holm')],
  };
}
