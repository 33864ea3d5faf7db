// `holm network ls`.
import type { Invocation } from '../command.ts';
import { formatId } from '../format/id.ts';
import { formatFilters, formatPairs, formatRows } from '../format/table.ts';

interface Network {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Created: string;
  readonly EnableIPv6: boolean;
  readonly Internal: boolean;
  readonly Labels: Readonly<Record<string, string>> | null;
}

export async function list({ flags, client }: Invocation): Promise<number> {
  const query = { filters: formatFilters(flags.list('filter')) };
  const rows = await client.json<Network[]>('GET', '/networks', { query });
  rows.sort((a, b) => a.Name.localeCompare(b.Name, undefined, { numeric: true }));
  const full = flags.bool('no-trunc');
  const id = (row: Network) => formatId(row.Id, full);
  const format = flags.text('format');
  if (flags.bool('quiet') && format === '') {
    process.stdout.write(rows.map((row) => `${id(row)}\n`).join(''));
    return 0;
  }
  const fields = {
    CreatedAt: { heading: 'CREATED AT', value: (row: Network) => row.Created },
    Driver: { heading: 'DRIVER', value: (row: Network) => row.Driver },
    ID: { heading: 'NETWORK ID', value: id },
    IPv6: { heading: 'IPV6', value: (row: Network) => String(row.EnableIPv6) },
    Internal: { heading: 'INTERNAL', value: (row: Network) => String(row.Internal) },
    Labels: { heading: 'LABELS', value: (row: Network) => formatPairs(row.Labels) },
    Name: { heading: 'NAME', value: (row: Network) => row.Name },
    Scope: { heading: 'SCOPE', value: (row: Network) => row.Scope },
  };
  process.stdout.write(formatRows(rows, fields, ['ID', 'Name', 'Driver', 'Scope'], format));
  return 0;
}
