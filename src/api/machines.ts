// Machines under /holm/machines. A machine's streams, log, statistics and size are those of its process's container, whose id
// every answer has.
import { formatTime } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import type { MachineView } from '../engine/machines-door.ts';
import type { MachineConfig, MachinePort, MachineShare } from '../machines/machine.ts';
import type { Call } from './call.ts';
import { parseRestartPolicy } from './create-policies.ts';
import type { Fields } from './fields.ts';
import { Lines } from './lines.ts';
import type { Route } from './router.ts';

const defaultMemoryBytes = 512 * 2 ** 20;
const defaultDiskBytes = 8 * 2 ** 30;

function parseConfig(body: Fields): MachineConfig {
  const network = body.string('network') || 'user';
  if (network !== 'user' && network !== 'none') {
    throw new HolmError('invalid', `Cannot make the machine: its network must be "user" or "none", not "${network}"`);
  }
  const engine = body.string('engine') || 'translator';
  if (engine !== 'translator' && engine !== 'interpreter') {
    throw new HolmError(
      'invalid',
      `Cannot make the machine: its engine must be "translator" or "interpreter", not "${engine}"`,
    );
  }
  return {
    image: body.string('image'),
    cpus: body.optionalInteger('cpus') ?? 1,
    memoryBytes: body.optionalInteger('memoryBytes') ?? defaultMemoryBytes,
    diskBytes: body.optionalInteger('diskBytes') ?? defaultDiskBytes,
    commandLine: body.string('commandLine'),
    network,
    ports: body.objects('ports').map(parsePort),
    shares: body.objects('shares').map(parseShare),
    engine,
    restart: parseRestartPolicy(body.object('restart')),
    labels: body.map('labels'),
  };
}

function parsePort(body: Fields): MachinePort {
  const protocol = body.string('protocol') || 'tcp';
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw new HolmError('invalid', `Cannot make the machine: a port is "tcp" or "udp", not "${protocol}"`);
  }
  return {
    protocol,
    hostAddress: body.string('hostAddress') || '0.0.0.0',
    hostPort: body.integer('hostPort'),
    guestPort: body.integer('guestPort'),
  };
}

function parseShare(body: Fields): MachineShare {
  return { source: body.string('source'), tag: body.string('tag'), readOnly: body.boolean('readOnly') };
}

/** Times as RFC 3339; the container is the machine's process. */
function machineJson(machine: MachineView): Record<string, unknown> {
  const { state } = machine;
  return {
    id: machine.id,
    name: machine.name,
    createdAt: formatTime(machine.createdAt),
    imageId: machine.imageId,
    container: machine.containerId ?? null,
    address: machine.address,
    config: machine.config,
    state: {
      ...state,
      ...('startedAt' in state && { startedAt: formatTime(state.startedAt) }),
      ...('finishedAt' in state && { finishedAt: formatTime(state.finishedAt) }),
    },
  };
}

/** Lines {"id", "status"}, then {"machine": id}. */
async function create(call: Call): Promise<void> {
  const config = parseConfig(await call.json());
  const name = call.query.text('name');
  const lines = new Lines(call);
  await lines.during(async () => {
    const tell = (status: string): void => lines.write({ id: name || 'machine', status });
    const machine = await call.backend.machines.create(config, name, tell, call.signal);
    lines.write({ machine: machine.id });
  });
}

function list(call: Call): void {
  call.send(200, call.backend.machines.list().map(machineJson));
}

function inspect(call: Call): void {
  call.send(200, machineJson(call.backend.machines.get(call.param(0))));
}

async function start(call: Call): Promise<void> {
  await call.backend.machines.start(call.param(0));
  call.sendEmpty(204);
}

async function stop(call: Call): Promise<void> {
  const timeoutSeconds = call.query.integer('t');
  await call.backend.machines.stop(call.param(0), timeoutSeconds === undefined ? {} : { timeoutSeconds });
  call.sendEmpty(204);
}

async function kill(call: Call): Promise<void> {
  await call.backend.machines.kill(call.param(0));
  call.sendEmpty(204);
}

/** {"container": id}: where to attach; wrongState unless it runs. */
function findConsole(call: Call): void {
  call.send(200, { container: call.backend.machines.console(call.param(0)) });
}

async function remove(call: Call): Promise<void> {
  await call.backend.machines.remove(call.param(0), { force: call.query.flag('force') });
  call.sendEmpty(204);
}

export const machineRoutes: readonly Route[] = [
  { method: 'POST', path: '/holm/machines/create', handle: create },
  { method: 'GET', path: '/holm/machines', handle: list },
  { method: 'GET', path: '/holm/machines/{name}', handle: inspect },
  { method: 'GET', path: '/holm/machines/{name}/console', handle: findConsole },
  { method: 'POST', path: '/holm/machines/{name}/start', handle: start },
  { method: 'POST', path: '/holm/machines/{name}/stop', handle: stop },
  { method: 'POST', path: '/holm/machines/{name}/kill', handle: kill },
  { method: 'DELETE', path: '/holm/machines/{name}', handle: remove },
];
