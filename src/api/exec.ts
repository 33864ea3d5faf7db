// Routes for exec: another program in a running container.
import { HolmError } from '../base/error.ts';
import type { Size } from '../containers/container.ts';
import { changedIn } from './api-version.ts';
import type { AttachedStream } from './backend.ts';
import type { Call } from './call.ts';
import { isRunning } from './container-state.ts';
import { sizeOf } from './containers.ts';
import { closeGently, joinStreams, type Takeover } from './hijack.ts';
import { containerOf, execOf } from './lookup.ts';
import type { Route } from './router.ts';
import { parseDetachKeys, streamType } from './streams.ts';
import { answerFor, notRunning } from './wording.ts';

async function createExec(call: Call): Promise<void> {
  const container = containerOf(call);
  const body = await call.json();
  const argv = body.optionalCommand('Cmd') ?? [];
  if (argv.length === 0) throw new HolmError('invalid', 'No exec command specified');
  if (container.state.is === 'paused')
    throw new HolmError('wrongState', `container ${container.id} is paused, unpause the container before exec`);
  if (container.state.is !== 'running') throw notRunning(container.id);
  const id = await call.backend.containers.createExec(container.id, {
    argv,
    environment: body.strings('Env'),
    user: body.string('User'),
    workingDirectory: body.string('WorkingDir'),
    terminal: body.boolean('Tty'),
    privileged: body.boolean('Privileged'),
    attachStdin: body.boolean('AttachStdin'),
    attachStdout: body.boolean('AttachStdout'),
    attachStderr: body.boolean('AttachStderr'),
    detachKeys: parseDetachKeys(body.string('DetachKeys')),
  });
  call.send(201, { Id: id });
}

/** A program that cannot be started is told on the stream, for the client has no other place to read it. */
async function startExec(takeover: Takeover): Promise<void> {
  const body = await takeover.json((fields) => fields.boolean('Detach'));
  const exec = execOf(takeover);
  const { containers } = takeover.backend;
  if (exec.state.is === 'running')
    throw new HolmError('wrongState', `Error: Exec command ${exec.id} is already running`);
  if (exec.state.is === 'exited') throw new HolmError('wrongState', `Error: Exec command ${exec.id} has already run`);
  if (!isRunning(containers.get(exec.containerId))) throw notRunning(exec.containerId);
  const detach = body.boolean('Detach');
  const framed = !body.boolean('Tty');
  const { terminal, attachStdin } = exec.config;
  const size = terminal && takeover.minor >= changedIn.consoleSize ? consoleSize(body.raw('ConsoleSize')) : undefined;
  const options = { detach, terminal, framed, ...(size !== undefined && { size }) };
  if (detach) {
    await containers.startExec(exec.id, options);
    takeover.answer(200, '');
    return;
  }
  let stream: AttachedStream | undefined;
  try {
    stream = await containers.startExec(exec.id, options);
  } catch (error) {
    const { code, message } = answerFor(error);
    if (code !== 400) throw error;
    closeGently(takeover.open(streamType(takeover, framed)), framed ? frame(`${message}\r\n`) : `${message}\r\n`);
    return;
  }
  const socket = takeover.open(streamType(takeover, framed));
  if (stream === undefined) closeGently(socket);
  else await joinStreams(socket, stream, { stdin: attachStdin });
}

function consoleSize(value: unknown): Size | undefined {
  if (!Array.isArray(value)) return undefined;
  const [rows, columns] = value;
  return Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 ? { rows, columns } : undefined;
}

/** One frame of standard output. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

function inspectExec(call: Call): void {
  const { id, containerId, config, state } = execOf(call);
  const [entrypoint = '', ...rest] = config.argv;
  call.send(200, {
    ID: id,
    Running: state.is === 'running',
    ExitCode: state.is === 'exited' ? state.code : null,
    ProcessConfig: {
      tty: config.terminal,
      entrypoint,
      arguments: rest,
      privileged: config.privileged,
      ...(config.user !== '' && { user: config.user }),
    },
    OpenStdin: config.attachStdin,
    OpenStderr: config.attachStderr,
    OpenStdout: config.attachStdout,
    CanRemove: state.is === 'exited',
    ContainerID: containerId,
    DetachKeys: config.detachKeys === '' ? '' : config.detachKeys,
    Pid: state.is === 'created' ? 0 : state.pid,
  });
}

async function resizeExec(call: Call): Promise<void> {
  const exec = execOf(call);
  const size = sizeOf(call);
  if (exec.state.is !== 'running') throw new HolmError('wrongState', `exec ${exec.id} is not running`);
  await call.backend.containers.resizeExec(exec.id, size);
  call.sendEmpty(200);
}

export const execRoutes: readonly Route[] = [
  { method: 'POST', path: '/containers/{name}/exec', handle: createExec },
  { method: 'POST', path: '/exec/{id}/start', takeOver: startExec },
  { method: 'GET', path: '/exec/{id}/json', handle: inspectExec },
  { method: 'POST', path: '/exec/{id}/resize', handle: resizeExec },
];
