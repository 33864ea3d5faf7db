// `holm system df`.
import { formatBytes } from '../../base/units.ts';
import type { Invocation } from '../command.ts';
import { type Fields, formatRows } from '../format/table.ts';

interface DiskUsage {
  readonly LayersSize: number;
  readonly Images:
    | readonly { readonly Size: number; readonly SharedSize: number; readonly Containers: number }[]
    | null;
  readonly Containers: readonly { readonly SizeRw?: number; readonly State: string }[] | null;
  readonly Volumes:
    | readonly { readonly UsageData?: { readonly Size: number; readonly RefCount: number } | null }[]
    | null;
  readonly BuildCache?: readonly { readonly Size: number; readonly InUse: boolean; readonly Shared: boolean }[] | null;
}

interface Row {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimableBytes: number;
}

const fields: Fields<Row> = {
  Active: { heading: 'ACTIVE', value: (row) => String(row.active) },
  Reclaimable: {
    heading: 'RECLAIMABLE',
    value: ({ bytes, reclaimableBytes }) => {
      const share = bytes > 0 ? ` (${Math.floor((reclaimableBytes * 100) / bytes)}%)` : '';
      return `${formatBytes(reclaimableBytes)}${share}`;
    },
  },
  Size: { heading: 'SIZE', value: (row) => formatBytes(row.bytes) },
  TotalCount: { heading: 'TOTAL', value: (row) => String(row.total) },
  Type: { heading: 'TYPE', value: (row) => row.type },
};

export async function diskUsage({ flags, client }: Invocation): Promise<number> {
  const rows = rowsOf(await client.json<DiskUsage>('GET', '/system/df'));
  const columns = ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'];
  process.stdout.write(formatRows(rows, fields, columns, flags.text('format')));
  return 0;
}

function rowsOf(usage: DiskUsage): Row[] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = (usage.Volumes ?? []).map((volume) => volume.UsageData ?? { Size: 0, RefCount: 0 });
  const cache = usage.BuildCache ?? [];
  const usedImages = images.filter((image) => image.Containers > 0);
  const usedBytes = sum(usedImages.map((image) => image.Size - Math.max(0, image.SharedSize)));
  const isActive = (state: string) => ['running', 'paused', 'restarting'].includes(state);
  const running = containers.filter((one) => isActive(one.State));
  return [
    row('Images', images.length, usedImages.length, usage.LayersSize, Math.max(0, usage.LayersSize - usedBytes)),
    row(
      'Containers',
      containers.length,
      running.length,
      sum(containers.map((one) => one.SizeRw ?? 0)),
      sum(containers.filter((one) => !isActive(one.State)).map((one) => one.SizeRw ?? 0)),
    ),
    row(
      'Local Volumes',
      volumes.length,
      volumes.filter((one) => one.RefCount > 0).length,
      sum(volumes.map((one) => Math.max(0, one.Size))),
      sum(volumes.filter((one) => one.RefCount === 0).map((one) => Math.max(0, one.Size))),
    ),
    row(
      'Build Cache',
      cache.length,
      cache.filter((one) => one.InUse).length,
      sum(cache.filter((one) => !one.Shared).map((one) => one.Size)),
      sum(cache.filter((one) => !one.InUse && !one.Shared).map((one) => one.Size)),
    ),
  ];
}

function row(type: string, total: number, active: number, bytes: number, reclaimableBytes: number): Row {
  return { type, total, active, bytes, reclaimableBytes };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
