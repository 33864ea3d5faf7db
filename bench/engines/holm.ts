// holm itself: this tree's holmd.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineKind } from './engine.ts';

const root = join(import.meta.dirname, '../..');

/** `flags` are Node's own, such as --cpu-prof. */
export function holm(flags: readonly string[] = []): EngineKind {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return {
    name: 'holm',
    version,
    command: ({ directory, run, socket, guests }) => [
      ...[process.execPath, ...flags, '--title=holmd', '--disable-warning=ExperimentalWarning'],
      join(root, 'src/daemon.ts'),
      ...['--state', join(directory, 'state'), '--run', run, '--socket', socket],
      ...['--bridge', 'holm0', '--subnet', '10.97.0.0/16', '--cgroup-parent', guests],
    ],
    client: () => [join(root, 'bin/holm')],
  };
}
