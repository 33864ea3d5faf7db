// `holm ps`.
import { formatBytes } from '../../base/units.ts';
import type { Invocation } from '../command.ts';
import { formatAge } from '../format/duration.ts';
import { formatId } from '../format/id.ts';
import { type Fields, formatFilters, formatPairs, formatRows } from '../format/table.ts';

interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[] | null;
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  /** Seconds since 1970. */
  readonly Created: number;
  readonly State: string;
  readonly Status: string;
  readonly Ports: readonly Port[] | null;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Mounts: readonly { readonly Type: string; readonly Name?: string; readonly Source: string }[] | null;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, unknown>> | null } | null;
}

export async function ps({ flags, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const last = flags.bool('latest') ? 1 : flags.int('last', -1);
  const size = flags.bool('size') || /\.Size\b/.test(format);
  const rows = await client.json<Listed[]>('GET', '/containers/json', {
    query: {
      all: flags.bool('all') || last > 0 || undefined,
      limit: last > 0 ? last : undefined,
      size: size || undefined,
      filters: formatFilters(flags.list('filter')),
    },
  });
  const full = flags.bool('no-trunc');
  const fields = fieldsOf(full);
  if (flags.bool('quiet') && format === '') {
    process.stdout.write(rows.map((row) => `${fields.ID!.value(row)}\n`).join(''));
    return 0;
  }
  const columns = ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names', ...(size ? ['Size'] : [])];
  process.stdout.write(formatRows(rows, fields, columns, format));
  return 0;
}

function fieldsOf(full: boolean): Fields<Listed> {
  return {
    Command: { heading: 'COMMAND', value: (row) => JSON.stringify(full ? row.Command : ellipsis(row.Command, 20)) },
    CreatedAt: {
      heading: 'CREATED AT',
      value: (row) => new Date(row.Created * 1000).toISOString().replace(/T(.*)\..*/, ' $1 +0000 UTC'),
    },
    ID: { heading: 'CONTAINER ID', value: (row) => formatId(row.Id, full) },
    Image: { heading: 'IMAGE', value: (row) => shortImage(row, full) },
    Labels: { heading: 'LABELS', value: (row) => formatPairs(row.Labels) },
    LocalVolumes: {
      heading: 'LOCAL VOLUMES',
      value: (row) => String((row.Mounts ?? []).filter((mount) => mount.Type === 'volume').length),
    },
    Mounts: {
      heading: 'MOUNTS',
      value: (row) =>
        (row.Mounts ?? [])
          .map((mount) => mount.Name || mount.Source)
          .map((name) => (full ? name : ellipsis(name, 15)))
          .join(','),
    },
    Names: { heading: 'NAMES', value: (row) => (row.Names ?? []).map((name) => name.replace(/^\//, '')).join(',') },
    Networks: { heading: 'NETWORKS', value: (row) => Object.keys(row.NetworkSettings?.Networks ?? {}).join(',') },
    Ports: { heading: 'PORTS', value: (row) => formatPorts(row.Ports ?? []) },
    RunningFor: { heading: 'CREATED', value: (row) => formatAge(row.Created) },
    Size: { heading: 'SIZE', value: formatSizes },
    State: { heading: 'STATE', value: (row) => row.State },
    Status: { heading: 'STATUS', value: (row) => row.Status },
  };
}

function formatSizes(row: Listed): string {
  const virtual =
    row.SizeRootFs === undefined || row.SizeRootFs === 0 ? '' : ` (virtual ${formatBytes(row.SizeRootFs)})`;
  return `${formatBytes(row.SizeRw ?? 0)}${virtual}`;
}

function shortImage(row: Listed, full: boolean): string {
  if (row.Image === '') return '<no image>';
  return /^sha256:[0-9a-f]{64}$/.test(row.Image) ? formatId(row.Image, full) : row.Image;
}

export function ellipsis(text: string, length: number): string {
  const letters = [...text];
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join('')}…`;
}

/** "0.0.0.0:8000-8001->8000-8001/tcp, 53/udp": neighbours joined to ranges. */
export function formatPorts(ports: readonly Port[]): string {
  const sorted = [...ports].sort(
    (a, b) => a.PrivatePort - b.PrivatePort || (a.IP ?? '').localeCompare(b.IP ?? '') || a.Type.localeCompare(b.Type),
  );
  const groups: { ip: string; type: string; first: Port; last: Port }[] = [];
  for (const port of sorted) {
    const { IP: ip = '', Type: type, PrivatePort: guest, PublicPort: host = 0 } = port;
    const offset = (one: Port) => (one.PublicPort ?? 0) - one.PrivatePort;
    const group = groups.find(
      ({ ip: groupIp, type: groupType, last, first }) =>
        groupIp === ip &&
        groupType === type &&
        last.PrivatePort + 1 === guest &&
        (host === 0 ? first.PublicPort === undefined || first.PublicPort === 0 : offset(first) === offset(port)),
    );
    if (group === undefined) groups.push({ ip, type, first: port, last: port });
    else group.last = port;
  }
  const range = (from: number, to: number) => (from === to ? String(from) : `${from}-${to}`);
  return groups
    .map(({ ip, type, first, last }) => {
      const guest = `${range(first.PrivatePort, last.PrivatePort)}/${type}`;
      if (!first.PublicPort) return guest;
      const address = ip.includes(':') ? `[${ip}]` : ip;
      return `${address}:${range(first.PublicPort, last.PublicPort ?? 0)}->${guest}`;
    })
    .join(', ');
}
