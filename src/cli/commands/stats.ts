// `holm stats`: a table of what containers use, redrawn as new numbers come, or once with --no-stream.
import { setTimeout as sleep } from 'node:timers/promises';
import { kindOf } from '../../base/error.ts';
import { formatBinaryBytes, formatBytes } from '../../base/units.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { formatId } from '../format/id.ts';
import { type Fields, formatRows } from '../format/table.ts';

interface Sample {
  readonly name?: string;
  readonly id?: string;
  readonly cpu_stats: Cpu;
  readonly precpu_stats: Cpu;
  readonly memory_stats: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats: { readonly current?: number };
  readonly blkio_stats: { readonly io_service_bytes_recursive: readonly { op: string; value: number }[] | null };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
}

interface Cpu {
  readonly cpu_usage: { readonly total_usage: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

interface Row {
  readonly reference: string;
  readonly sample: Sample | undefined;
}

const redrawMs = 500;

export async function stats({ flags, positionals, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const fields = fieldsOf(flags.bool('no-trunc'));
  const columns = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'];
  const list = () => (positionals.length > 0 ? Promise.resolve(positionals) : listIds(client, flags.bool('all')));
  const show = (rows: readonly Row[]) => formatRows(rows, fields, columns, format);
  if (flags.bool('no-stream')) {
    const references = await list();
    process.stdout.write(show(await Promise.all(references.map((reference) => readOnce(client, reference)))));
    return 0;
  }
  const latest = new Map<string, Sample | undefined>();
  for (;;) {
    const present = await list();
    for (const reference of present)
      if (!latest.has(reference)) follow(client, reference, latest, positionals.length > 0);
    if (latest.size === 0 && positionals.length > 0) return 1;
    const text = show([...latest].map(([reference, sample]) => ({ reference, sample })));
    const isPlain = format === 'json' || !process.stdout.isTTY;
    process.stdout.write(isPlain ? text : `\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[J`);
    await sleep(redrawMs);
  }
}

/** Keeps the newest sample until the container ends. */
function follow(client: Client, reference: string, latest: Map<string, Sample | undefined>, named: boolean): void {
  latest.set(reference, undefined);
  const read = async () => {
    const samples = client.jsonLines<Sample>('GET', `/containers/${escapePath(reference)}/stats`, {
      query: { stream: true },
    });
    for await (const sample of samples) latest.set(reference, sample);
  };
  read()
    .catch((error: unknown) => {
      if (named && kindOf(error) === 'notFound') process.stderr.write(`${(error as Error).message}\n`);
    })
    .finally(() => latest.delete(reference));
}

async function readOnce(client: Client, reference: string): Promise<Row> {
  const path = `/containers/${escapePath(reference)}/stats`;
  return { reference, sample: await client.json<Sample>('GET', path, { query: { stream: false } }) };
}

async function listIds(client: Client, all: boolean): Promise<string[]> {
  const listed = await client.json<{ Id: string }[]>('GET', '/containers/json', { query: { all: all || undefined } });
  return listed.map(({ Id }) => Id);
}

function fieldsOf(full: boolean): Fields<Row> {
  const or = (format: (sample: Sample) => string, absent: string) => (row: Row) =>
    row.sample === undefined ? absent : format(row.sample);
  const pair = (a: number, b: number) => `${formatBytes(a)} / ${formatBytes(b)}`;
  const id = ({ sample, reference }: Row) => sample?.id ?? reference;
  return {
    BlockIO: {
      heading: 'BLOCK I/O',
      value: or((one) => pair(blockBytes(one, 'read'), blockBytes(one, 'write')), '-- / --'),
    },
    CPUPerc: { heading: 'CPU %', value: or((one) => `${cpuPercent(one).toFixed(2)}%`, '--') },
    Container: { heading: 'CONTAINER', value: (row) => row.reference },
    ID: { heading: 'CONTAINER ID', value: (row) => formatId(id(row), full) },
    MemPerc: { heading: 'MEM %', value: or((one) => `${memoryPercent(one).toFixed(2)}%`, '--') },
    MemUsage: {
      heading: 'MEM USAGE / LIMIT',
      value: or(
        (one) => `${formatBinaryBytes(memoryBytes(one))} / ${formatBinaryBytes(one.memory_stats.limit ?? 0)}`,
        '-- / --',
      ),
    },
    Name: { heading: 'NAME', value: or((one) => (one.name ?? '').replace(/^\//, ''), '--') },
    NetIO: {
      heading: 'NET I/O',
      value: or((one) => pair(networkBytes(one, 'rx_bytes'), networkBytes(one, 'tx_bytes')), '-- / --'),
    },
    PIDs: { heading: 'PIDS', value: or((one) => String(one.pids_stats.current ?? 0), '--') },
  };
}

/** 100 is one CPU. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: Sample): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  return used > 0 && passed > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0;
}

/** Without the page cache that can be dropped, as docker's client counts. */
function memoryBytes({ memory_stats: { usage = 0, stats = {} } }: Sample): number {
  const inactive = stats.total_inactive_file ?? stats.inactive_file ?? 0;
  return inactive < usage ? usage - inactive : usage;
}

function memoryPercent(sample: Sample): number {
  const limit = sample.memory_stats.limit ?? 0;
  return limit > 0 ? (memoryBytes(sample) / limit) * 100 : 0;
}

function networkBytes(sample: Sample, field: 'rx_bytes' | 'tx_bytes'): number {
  return Object.values(sample.networks ?? {}).reduce((sum, one) => sum + one[field], 0);
}

function blockBytes(sample: Sample, operation: 'read' | 'write'): number {
  const all = sample.blkio_stats.io_service_bytes_recursive ?? [];
  return all.filter(({ op }) => op.toLowerCase() === operation).reduce((sum, { value }) => sum + value, 0);
}
