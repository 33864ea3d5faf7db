// `holm volume create`, `ls` and `rm`.
import { formatBytes } from '../../base/units.ts';
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { type Fields, formatFilters, formatPairs, formatRows } from '../format/table.ts';
import { toMap } from '../run/files.ts';
import { forEach } from '../targets.ts';

interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Scope: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number } | null;
}

export async function create({ flags, positionals, client }: Invocation): Promise<number> {
  const json = {
    Name: positionals[0] ?? '',
    Driver: flags.text('driver'),
    DriverOpts: toMap(flags.list('opt')),
    Labels: toMap(flags.list('label')),
  };
  const { Name } = await client.json<Volume>('POST', '/volumes/create', { json });
  process.stdout.write(`${Name}\n`);
  return 0;
}

export async function list({ flags, client }: Invocation): Promise<number> {
  const query = { filters: formatFilters(flags.list('filter')) };
  const { Volumes } = await client.json<{ Volumes: Volume[] | null }>('GET', '/volumes', { query });
  const rows = (Volumes ?? []).sort((a, b) => a.Name.localeCompare(b.Name, undefined, { numeric: true }));
  const format = flags.text('format');
  if (flags.bool('quiet') && format === '') process.stdout.write(rows.map((row) => `${row.Name}\n`).join(''));
  else process.stdout.write(formatRows(rows, fields, ['Driver', 'Name'], format));
  return 0;
}

export function remove({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { force: flags.bool('force') || undefined };
  return forEach(positionals, (name) => client.json('DELETE', `/volumes/${escapePath(name)}`, { query }));
}

const fields: Fields<Volume> = {
  Driver: { heading: 'DRIVER', value: (row) => row.Driver },
  Labels: { heading: 'LABELS', value: (row) => formatPairs(row.Labels) },
  Links: { heading: 'LINKS', value: (row) => (row.UsageData ? String(row.UsageData.RefCount) : 'N/A') },
  Mountpoint: { heading: 'MOUNTPOINT', value: (row) => row.Mountpoint },
  Name: { heading: 'VOLUME NAME', value: (row) => row.Name },
  Scope: { heading: 'SCOPE', value: (row) => row.Scope },
  Size: { heading: 'SIZE', value: (row) => (row.UsageData ? formatBytes(row.UsageData.Size) : 'N/A') },
};
