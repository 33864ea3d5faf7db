// `holm machine …`: machines, whose console, log and statistics are those of their process's container.
import { HolmError } from '../../base/error.ts';
import { formatBinaryBytes, parseBytes } from '../../base/units.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { formatAge, formatDuration } from '../format/duration.ts';
import { formatId } from '../format/id.ts';
import { ProgressLines, type ProgressStep } from '../format/progress.ts';
import { type Fields, formatPairs, formatRows } from '../format/table.ts';
import { attachContainer, followContainer, type WaitAnswer } from '../guest.ts';
import { toMap } from '../run/files.ts';
import { forEach } from '../targets.ts';
import { parsePort, parseShare } from './machine-arguments.ts';
import { checkTerminal } from './run.ts';

interface Machine {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly container: string | null;
  readonly address: string;
  readonly config: {
    readonly image: string;
    readonly cpus: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly state: {
    readonly is: string;
    readonly startedAt?: string;
    readonly finishedAt?: string;
    readonly why?: string;
    readonly error?: string;
  };
}

const pathOf = (name: string): string => `/holm/machines/${escapePath(name)}`;

type Line = ProgressStep | { readonly machine: string } | { readonly error: string };

export async function create(invocation: Invocation): Promise<number> {
  process.stdout.write(`${await make(invocation)}\n`);
  return 0;
}

/** Makes a machine and starts it; in the foreground with its console. */
export async function run(invocation: Invocation): Promise<number> {
  if (!invocation.flags.bool('detach')) checkTerminal(true, true);
  const id = await make(invocation);
  if (invocation.flags.bool('detach')) {
    await invocation.client.json('POST', `${pathOf(id)}/start`);
    process.stdout.write(`${id}\n`);
    return 0;
  }
  const { container } = await inspectOne(invocation.client, id);
  return await follow(invocation, container!, () => invocation.client.json('POST', `${pathOf(id)}/start`));
}

async function make({ flags, positionals, client }: Invocation): Promise<string> {
  const bytesOf = (name: string): number | undefined => (flags.has(name) ? parseBytes(flags.text(name)) : undefined);
  const json = {
    image: positionals[0]!,
    cpus: flags.has('cpus') ? flags.int('cpus') : undefined,
    memoryBytes: bytesOf('memory'),
    diskBytes: bytesOf('disk'),
    commandLine: flags.text('append'),
    network: flags.text('network'),
    engine: flags.text('engine'),
    ports: flags.list('publish').map(parsePort),
    shares: flags.list('volume').map(parseShare),
    restart: restartOf(flags.text('restart')),
    labels: toMap(flags.list('label')),
  };
  const query = { name: flags.text('name') || undefined };
  const progress = new ProgressLines(process.stderr);
  let id: string | undefined;
  try {
    for await (const line of client.jsonLines<Line>('POST', '/holm/machines/create', { query, json })) {
      if ('error' in line) throw new HolmError('internal', `Error response from daemon: ${line.error}`);
      if ('machine' in line) id = line.machine;
      else progress.show(line);
    }
  } finally {
    progress.finish();
  }
  if (id === undefined) throw new HolmError('unavailable', 'Cannot make the machine: holmd closed the connection');
  return id;
}

function restartOf(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = '', most] = text.split(':');
  return { Name: name, MaximumRetryCount: Number(most ?? 0) };
}

export function start({ positionals, client }: Invocation): Promise<number> {
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/start`));
}

export function stop({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { t: flags.has('timeout') ? flags.int('timeout') : undefined };
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/stop`, { query }));
}

export function kill({ positionals, client }: Invocation): Promise<number> {
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/kill`));
}

export function remove({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { force: flags.bool('force') || undefined };
  return forEach(positionals, (name) => client.json('DELETE', pathOf(name), { query }));
}

export async function list({ flags, client }: Invocation): Promise<number> {
  const machines = await client.json<Machine[]>('GET', '/holm/machines');
  const rows = flags.bool('all')
    ? machines
    : machines.filter(({ state }) => state.is === 'running' || state.is === 'paused');
  const fields = fieldsOf(flags.bool('no-trunc'));
  const format = flags.text('format');
  if (flags.bool('quiet') && format === '') {
    process.stdout.write(rows.map((row) => `${fields.ID!.value(row)}\n`).join(''));
  } else {
    const columns = ['ID', 'Name', 'Image', 'CPUs', 'Memory', 'Address', 'Status', 'Created'];
    process.stdout.write(formatRows(rows, fields, columns, format));
  }
  return 0;
}

export async function inspect({ positionals, client }: Invocation): Promise<number> {
  const found = await Promise.all(positionals.map((name) => inspectOne(client, name)));
  process.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
  return 0;
}

export async function console({ positionals, ...invocation }: Invocation): Promise<number> {
  const { container } = await invocation.client.json<{ container: string }>(
    'GET',
    `${pathOf(positionals[0]!)}/console`,
  );
  return await follow({ ...invocation, positionals }, container, undefined);
}

/** The console in the foreground, until the machine ends or the user leaves it. */
async function follow(
  { flags, client }: Invocation,
  container: string,
  begin: (() => Promise<unknown>) | undefined,
): Promise<number> {
  checkTerminal(true, true);
  process.stderr.write(`Console of the machine; ${flags.text('detach-keys') || 'ctrl-p ctrl-q'} leaves it\n`);
  const condition = begin === undefined ? 'not-running' : 'next-exit';
  const attached = await attachContainer(client, container, {
    stdin: true,
    stdout: true,
    stderr: true,
    terminal: true,
    detachKeys: flags.text('detach-keys'),
  });
  const exit = client.json<WaitAnswer>('POST', `/containers/${container}/wait`, { query: { condition } });
  exit.catch(() => undefined);
  await begin?.();
  const code = await followContainer(client, container, { attached, exit, sigProxy: false });
  return code === 'detached' ? 0 : code;
}

export async function logs(invocation: Invocation): Promise<number> {
  const handler = (await import('./logs.ts')).logs;
  return handler({ ...invocation, positionals: await processesOf(invocation) });
}

export async function stats(invocation: Invocation): Promise<number> {
  const handler = (await import('./stats.ts')).stats;
  return handler({ ...invocation, positionals: await processesOf(invocation) });
}

async function processesOf({ positionals, client }: Invocation): Promise<string[]> {
  const machines = await Promise.all(positionals.map((name) => inspectOne(client, name)));
  return machines.map(({ name, container }) => {
    if (container === null) throw new HolmError('wrongState', `Cannot look into machine "${name}": it is being made`);
    return container;
  });
}

function inspectOne(client: Client, name: string): Promise<Machine> {
  return client.json<Machine>('GET', pathOf(name));
}

function fieldsOf(full: boolean): Fields<Machine> {
  return {
    ID: { heading: 'MACHINE ID', value: (row) => formatId(row.id, full) },
    Name: { heading: 'NAME', value: (row) => row.name },
    Image: { heading: 'IMAGE', value: (row) => row.config.image },
    CPUs: { heading: 'CPUS', value: (row) => String(row.config.cpus) },
    Memory: { heading: 'MEMORY', value: (row) => formatBinaryBytes(row.config.memoryBytes) },
    Disk: { heading: 'DISK', value: (row) => formatBinaryBytes(row.config.diskBytes) },
    Address: { heading: 'ADDRESS', value: (row) => row.address },
    Status: { heading: 'STATUS', value: statusOf },
    Created: { heading: 'CREATED', value: (row) => formatAge(row.createdAt) },
    Labels: { heading: 'LABELS', value: (row) => formatPairs(row.config.labels) },
  };
}

function statusOf({ state }: Machine): string {
  if (state.is === 'running') return `Up ${formatDuration(Date.now() - Date.parse(state.startedAt!))}`;
  if (state.is === 'ended')
    return `Ended by ${state.why} ${formatAge(state.finishedAt!)}${state.error ? `: ${state.error}` : ''}`;
  return state.is.replace(/^./, (letter) => letter.toUpperCase());
}
