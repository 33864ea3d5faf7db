// `holm container prune`, `image prune`, `volume prune` and `system prune`: told what goes, asked once, then how much came free.
import { createInterface } from 'node:readline/promises';
import { formatBytes } from '../../base/units.ts';
import type { Client } from '../client.ts';
import type { Invocation } from '../command.ts';
import { formatFilters } from '../format/table.ts';
import { formatRemovals } from './images.ts';

interface Pruned {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly ImagesDeleted?: readonly { Untagged?: string; Deleted?: string }[] | null;
  readonly VolumesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}

interface Subject {
  readonly path: string;
  readonly heading: string;
  readonly removed: (pruned: Pruned) => string;
}

const subjects = {
  containers: {
    path: '/containers/prune',
    heading: 'Deleted Containers',
    removed: (pruned) => (pruned.ContainersDeleted ?? []).join('\n'),
  },
  volumes: {
    path: '/volumes/prune',
    heading: 'Deleted Volumes',
    removed: (pruned) => (pruned.VolumesDeleted ?? []).join('\n'),
  },
  images: {
    path: '/images/prune',
    heading: 'Deleted Images',
    removed: (pruned) => formatRemovals(pruned.ImagesDeleted ?? null),
  },
} as const satisfies Record<string, Subject>;

export function pruneContainers(invocation: Invocation): Promise<number> {
  return prune(invocation, 'This will remove all stopped containers.', [[subjects.containers, []]]);
}

export function pruneImages(invocation: Invocation): Promise<number> {
  const all = invocation.flags.bool('all');
  const what = all
    ? 'This will remove all images without at least one container associated to them.'
    : 'This will remove all dangling images.';
  return prune(invocation, what, [[subjects.images, [`dangling=${!all}`]]]);
}

export function pruneVolumes(invocation: Invocation): Promise<number> {
  const all = invocation.flags.bool('all');
  const what = `This will remove ${all ? 'all' : 'anonymous'} local volumes not used by at least one container.`;
  return prune(invocation, what, [[subjects.volumes, all ? ['all=true'] : []]]);
}

export function pruneSystem(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const all = flags.bool('all');
  const parts: [Subject, string[]][] = [[subjects.containers, []]];
  if (flags.bool('volumes')) parts.push([subjects.volumes, []]);
  parts.push([subjects.images, [`dangling=${!all}`]]);
  const lines = [
    '- all stopped containers',
    ...(flags.bool('volumes') ? ['- all anonymous volumes not used by at least one container'] : []),
    all ? '- all images without at least one container associated to them' : '- all dangling images',
  ];
  return prune(invocation, `This will remove:\n  ${lines.join('\n  ')}\n`, parts);
}

async function prune(
  { flags, client }: Invocation,
  what: string,
  parts: readonly (readonly [Subject, readonly string[]])[],
): Promise<number> {
  if (!flags.bool('force') && !(await confirm(`WARNING! ${what}\nAre you sure you want to continue? [y/N] `))) return 1;
  let bytes = 0;
  for (const [subject, filters] of parts)
    bytes += await pruneOne(client, subject, [...flags.list('filter'), ...filters]);
  process.stdout.write(`Total reclaimed space: ${formatBytes(bytes)}\n`);
  return 0;
}

async function pruneOne(client: Client, subject: Subject, filters: readonly string[]): Promise<number> {
  const pruned = await client.json<Pruned>('POST', subject.path, { query: { filters: formatFilters(filters) } });
  const removed = subject.removed(pruned);
  if (removed !== '') process.stdout.write(`${subject.heading}:\n${removed}\n\n`);
  return pruned.SpaceReclaimed ?? 0;
}

async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    process.stdout.write(question);
    for await (const line of lines) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    lines.close();
  }
}
