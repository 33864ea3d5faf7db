// holm itself: a package of its own is made of this tree, as it is shipped, so that what is measured stays the same while the
// tree changes.
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { buildPrograms } from '../../scripts/build-programs.ts';
import type { EngineKind } from './engine.ts';

const root = join(import.meta.dirname, '../..');

/** Builds the package below `directory`; gives its path. */
export async function packHolm(directory: string): Promise<string> {
  const packed = join(directory, 'package');
  mkdirSync(join(packed, 'build'), { recursive: true });
  for (const program of [await buildKeeper(), ...(await buildPrograms())]) {
    cpSync(program, join(packed, 'build', program.slice(program.lastIndexOf('/') + 1)));
  }
  cpSync(join(root, 'bin'), join(packed, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(packed, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(packed, 'node_modules'));
  return packed;
}

export interface HolmOptions {
  /** Gets a CPU profile of each holmd. */
  readonly profileDirectory?: string | undefined;
  /** Without slots made ready before anyone asks. */
  readonly isCold?: boolean;
}

export function holm(packed: string, { profileDirectory, isCold = false }: HolmOptions = {}): EngineKind {
  const { version } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8')) as { version: string };
  return {
    name: isCold ? 'holm-cold' : 'holm',
    version,
    takesDockerClient: true,
    command: ({ directory, run, socket, guests }) => [
      ...[join(packed, 'bin/holmd'), '--state', join(directory, 'state'), '--run', run, '--socket', socket],
      ...['--bridge', 'holm0', '--subnet', '10.97.0.0/16', '--cgroup-parent', guests],
      ...(isCold ? ['--warm-slots', '0'] : []),
    ],
    ...(profileDirectory === undefined
      ? {}
      : { environment: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDirectory}` } }),
    client: (_home, _pid, timed) => [timed, join(packed, 'bin/holm')],
  };
}
