// `holm images`, `history`, `tag` and `rmi`.
import { formatBytes } from '../../base/units.ts';
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { formatAge } from '../format/duration.ts';
import { formatId } from '../format/id.ts';
import { type Fields, formatFilters, formatRows } from '../format/table.ts';
import { forEach } from '../targets.ts';
import { ellipsis } from './ps.ts';
import { splitReference } from './transfer.ts';

interface Listed {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  /** Seconds since 1970. */
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Containers: number;
}

/** One row an image and tag. */
interface Row extends Listed {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

export async function images({ flags, positionals, client }: Invocation): Promise<number> {
  const filters = [...flags.list('filter'), ...(positionals[0] === undefined ? [] : [`reference=${positionals[0]}`])];
  const listed = await client.json<Listed[]>('GET', '/images/json', {
    query: {
      all: flags.bool('all') || undefined,
      digests: flags.bool('digests') || undefined,
      filters: formatFilters(filters),
    },
  });
  const format = flags.text('format');
  const rows = listed.sort((a, b) => b.Created - a.Created).flatMap(rowsOf);
  const fields = fieldsOf(flags.bool('no-trunc'));
  if (flags.bool('quiet') && format === '') {
    process.stdout.write(rows.map((row) => `${fields.ID!.value(row)}\n`).join(''));
    return 0;
  }
  const columns = ['Repository', 'Tag', ...(flags.bool('digests') ? ['Digest'] : []), 'ID', 'CreatedSince', 'Size'];
  process.stdout.write(formatRows(rows, fields, columns, format));
  return 0;
}

function rowsOf(image: Listed): Row[] {
  const digests = (image.RepoDigests ?? []).map((text) => text.split('@') as [string, string]);
  const names = (image.RepoTags ?? []).filter((name) => name !== '<none>:<none>');
  if (names.length === 0) {
    const [repository = '<none>', digest = '<none>'] = digests[0] ?? [];
    return [{ ...image, repository, tag: '<none>', digest }];
  }
  return names.map((text) => {
    const { name, tag = '<none>' } = splitReference(text);
    return { ...image, repository: name, tag, digest: digests.find(([of]) => of === name)?.[1] ?? '<none>' };
  });
}

function fieldsOf(full: boolean): Fields<Row> {
  const count = (value: number) => (value < 0 ? 'N/A' : String(value));
  return {
    Containers: { heading: 'CONTAINERS', value: (row) => count(row.Containers) },
    CreatedAt: { heading: 'CREATED AT', value: (row) => formatStamp(row.Created) },
    CreatedSince: { heading: 'CREATED', value: (row) => formatAge(row.Created) },
    Digest: { heading: 'DIGEST', value: (row) => row.digest },
    ID: { heading: 'IMAGE ID', value: (row) => formatId(row.Id, full) },
    Repository: { heading: 'REPOSITORY', value: (row) => row.repository },
    SharedSize: { heading: 'SHARED SIZE', value: (row) => (row.SharedSize < 0 ? 'N/A' : formatBytes(row.SharedSize)) },
    Size: { heading: 'SIZE', value: (row) => formatBytes(row.Size) },
    Tag: { heading: 'TAG', value: (row) => row.tag },
    UniqueSize: {
      heading: 'UNIQUE SIZE',
      value: (row) => (row.SharedSize < 0 ? 'N/A' : formatBytes(row.Size - row.SharedSize)),
    },
    VirtualSize: { heading: 'VIRTUAL SIZE', value: (row) => formatBytes(row.Size) },
  };
}

interface Layer {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
}

export async function history({ flags, positionals, client }: Invocation): Promise<number> {
  const layers = await client.json<Layer[]>('GET', `/images/${escapePath(positionals[0]!)}/history`);
  const full = flags.bool('no-trunc');
  const human = flags.bool('human');
  const fields: Fields<Layer> = {
    Comment: { heading: 'COMMENT', value: (row) => (full ? row.Comment : ellipsis(row.Comment, 45)) },
    CreatedAt: {
      heading: 'CREATED AT',
      value: (row) => new Date(row.Created * 1000).toISOString().replace('.000', ''),
    },
    CreatedBy: {
      heading: 'CREATED BY',
      value: (row) => (full ? row.CreatedBy : ellipsis(row.CreatedBy.replaceAll('\t', ' '), 45)),
    },
    CreatedSince: { heading: 'CREATED', value: (row) => formatAge(row.Created) },
    ID: { heading: 'IMAGE', value: (row) => formatId(row.Id, full) },
    Size: { heading: 'SIZE', value: (row) => (human ? formatBytes(row.Size) : String(row.Size)) },
  };
  const format = flags.text('format');
  if (flags.bool('quiet') && format === '')
    process.stdout.write(layers.map((row) => `${fields.ID!.value(row)}\n`).join(''));
  else
    process.stdout.write(
      formatRows(layers, fields, ['ID', human ? 'CreatedSince' : 'CreatedAt', 'CreatedBy', 'Size', 'Comment'], format),
    );
  return 0;
}

export async function tag({ positionals, client }: Invocation): Promise<number> {
  const [source, target] = positionals as [string, string];
  const { name, tag: of = 'latest' } = splitReference(target);
  await client.json('POST', `/images/${escapePath(source)}/tag`, { query: { repo: name, tag: of } });
  return 0;
}

interface Removal {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

export function remove({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { force: flags.bool('force') || undefined, noprune: flags.bool('no-prune') || undefined };
  return forEach(
    positionals,
    (name) => client.json<Removal[]>('DELETE', `/images/${escapePath(name)}`, { query }),
    (_name, removals) => formatRemovals(removals as Removal[]),
  );
}

/** "Untagged: debian:bookworm", "Deleted: sha256:…", one a line. */
export function formatRemovals(removals: readonly Removal[] | null): string {
  return (removals ?? [])
    .map((one) => (one.Deleted === undefined ? `Untagged: ${one.Untagged}` : `Deleted: ${one.Deleted}`))
    .join('\n');
}

/** "2026-01-31 12:00:00 +0000 UTC" of seconds since 1970. */
export function formatStamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/T(.*)\..*/, ' $1 +0000 UTC');
}
