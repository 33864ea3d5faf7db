// Routes for the life of a container: create, start … remove. Each handler parses, asks the engine, answers.
import { HolmError } from '../base/error.ts';
import { parseSignal } from '../base/signals.ts';
import type { Limits } from '../cgroups/controller.ts';
import { changedIn } from './api-version.ts';
import type { Asked, Call } from './call.ts';
import { inspectJson } from './container-json.ts';
import { listContainers, pruneContainers } from './container-list.ts';
import { isRunning } from './container-state.ts';
import { asNameConflict, createContainer, parseName } from './create.ts';
import { parseRestartPolicy } from './create-policies.ts';
import { parseResources } from './create-resources.ts';
import { containerOf, hostFactsOf } from './lookup.ts';
import type { Route } from './router.ts';
import { notRunning } from './wording.ts';

async function inspect(call: Call): Promise<void> {
  const container = containerOf(call);
  const sizes = call.query.flag('size') ? await call.backend.containers.sizes(container.id) : undefined;
  const health = call.backend.containers.health(container.id);
  call.send(200, inspectJson(container, health, sizes, call.minor));
}

async function start(call: Call): Promise<void> {
  const container = containerOf(call);
  if (call.query.text('checkpoint') !== '') throw new HolmError('unsupported', 'checkpoints are not supported yet');
  if (container.state.is === 'running') return call.sendEmpty(304);
  if (container.state.is === 'paused')
    throw new HolmError('wrongState', 'cannot start a paused container, try unpause instead');
  const detachKeys = call.query.text('detachKeys');
  await call.backend.containers.start(container.id, detachKeys === '' ? {} : { detachKeys });
  call.sendEmpty(204);
}

/** The signal of that name or number as it was written, if there is one. */
function checkSignal(text: string): string {
  parseSignal(text);
  return text;
}

function stopOptions(call: Call): { signal?: string; timeoutSeconds?: number } {
  const signal = call.minor >= changedIn.stopSignal ? call.query.text('signal') : '';
  const timeoutSeconds = call.query.integer('t');
  return {
    ...(signal !== '' && { signal: checkSignal(signal) }),
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
  };
}

async function stop(call: Call): Promise<void> {
  const container = containerOf(call);
  const options = stopOptions(call);
  // Also of one that does not run: a planned restart is called off.
  await call.backend.containers.stop(container.id, options);
  call.sendEmpty(isRunning(container) ? 204 : 304);
}

async function restart(call: Call): Promise<void> {
  await call.backend.containers.restart(containerOf(call).id, stopOptions(call));
  call.sendEmpty(204);
}

async function kill(call: Call): Promise<void> {
  const reference = call.param(0);
  const refuse = (error: unknown): unknown =>
    error instanceof HolmError
      ? new HolmError(error.kind, `cannot kill container: ${reference}: ${error.message}`, { cause: error.cause })
      : error;
  try {
    const container = containerOf(call);
    const signal = checkSignal(call.query.text('signal') || 'SIGKILL');
    if (!isRunning(container)) throw notRunning(container.id);
    await call.backend.containers.kill(container.id, signal);
  } catch (error) {
    throw refuse(error);
  }
  call.sendEmpty(204);
}

async function pause(call: Call): Promise<void> {
  const { id, state } = containerOf(call);
  if (state.is === 'paused') throw new HolmError('wrongState', `container ${id} is already paused`);
  if (state.is !== 'running') throw notRunning(id);
  await call.backend.containers.pause(id);
  call.sendEmpty(204);
}

async function unpause(call: Call): Promise<void> {
  const { id, state } = containerOf(call);
  if (state.is !== 'paused') throw new HolmError('wrongState', `Container ${id} is not paused`);
  await call.backend.containers.resume(id);
  call.sendEmpty(204);
}

const waitConditions = ['not-running', 'next-exit', 'removed'] as const;

/** The headers go out before the wait, for `docker run` starts the container only when it has them. */
async function wait(call: Call): Promise<void> {
  const container = containerOf(call);
  const asked = call.query.text('condition') || 'not-running';
  const condition = waitConditions.find((known) => known === asked);
  if (condition === undefined) throw new HolmError('invalid', `invalid condition: "${asked}"`);
  const end = call.backend.containers.wait(container.id, condition, { signal: call.signal });
  end.catch(() => undefined);
  if (call.minor >= changedIn.waitAnswersHeadersAtOnce) call.beginStream('application/json');
  try {
    const { code, error } = await end;
    const result = { StatusCode: code, ...(error !== '' && { Error: { Message: error } }) };
    if (call.response.headersSent) call.response.end(`${JSON.stringify(result)}\n`);
    else call.send(200, result);
  } catch (error) {
    if (call.signal.aborted) return;
    if (!call.response.headersSent) throw error;
    const Message = error instanceof Error ? error.message : String(error);
    call.response.end(`${JSON.stringify({ StatusCode: -1, Error: { Message } })}\n`);
  }
}

async function remove(call: Call): Promise<void> {
  const container = containerOf(call);
  const { id, name, state } = container;
  const force = call.query.flag('force');
  if (call.query.flag('link')) throw new HolmError('unsupported', 'links are not supported yet');
  if (state.is === 'removing')
    throw new HolmError('wrongState', `removal of container ${call.param(0)} is already in progress`);
  if (isRunning(container) && !force)
    throw new HolmError(
      'wrongState',
      state.is === 'paused'
        ? `cannot remove container "/${name}": container is paused and must be unpaused first`
        : `cannot remove container "/${name}": container is running: stop the container before removing or force remove`,
    );
  await call.backend.containers.remove(id, { force, volumes: call.query.flag('v') });
  call.sendEmpty(204);
}

async function rename(call: Call): Promise<void> {
  const container = containerOf(call);
  const name = parseName(call.query.text('name'));
  if (name === undefined) throw new HolmError('invalid', 'Neither old nor new names may be empty');
  if (name === container.name)
    throw new HolmError('invalid', 'Renaming a container with the same name as its current name');
  try {
    await call.backend.containers.rename(container.id, name);
  } catch (error) {
    const told = asNameConflict(call, name, error);
    if (told === error) throw error;
    throw new HolmError('conflict', `Error when allocating new name: ${(told as Error).message}`);
  }
  call.sendEmpty(204);
}

/** What a request leaves out stays as it is, so the engine is given all limits together. */
async function update(call: Call): Promise<void> {
  const container = containerOf(call);
  const body = await call.json();
  const asked = parseResources(body, hostFactsOf(call.backend).cpus);
  const before = container.config.resources;
  const pids = body.optionalInteger('PidsLimit');
  const resources: Limits = { ...before, ...asked, ...(pids !== undefined && pids <= 0 && { pids: -1 }) };
  if ((before.memorySwapBytes ?? 0) > 0 && asked.memorySwapBytes === undefined)
    if ((asked.memoryBytes ?? 0) > before.memorySwapBytes!)
      throw new HolmError(
        'invalid',
        'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
      );
  const policy = body.object('RestartPolicy');
  const restart = policy === undefined || policy.string('Name') === '' ? undefined : parseRestartPolicy(policy);
  if (restart !== undefined && restart.name !== 'no' && container.config.autoRemove)
    throw new HolmError('invalid', 'Restart policy cannot be updated because AutoRemove is enabled for the container');
  const warnings = await call.backend.containers.update(container.id, resources, restart);
  call.send(200, { Warnings: warnings });
}

async function top(call: Call): Promise<void> {
  const container = containerOf(call);
  if (!isRunning(container)) throw notRunning(container.id);
  const { titles, processes } = await call.backend.containers.top(container.id, call.query.text('ps_args') || '-ef');
  call.send(200, { Titles: titles, Processes: processes });
}

const changeNumbers = { modified: 0, added: 1, deleted: 2 } as const;

async function changes(call: Call): Promise<void> {
  const found = await call.backend.containers.changes(containerOf(call).id);
  call.send(
    200,
    found.length === 0 ? null : found.map(({ path, kind }) => ({ Path: path, Kind: changeNumbers[kind] })),
  );
}

/** The size that a resize request asks for. */
export function sizeOf(asked: Asked): { rows: number; columns: number } {
  const rows = asked.query.integer('h');
  const columns = asked.query.integer('w');
  if (rows === undefined || rows < 0)
    throw new HolmError('invalid', `invalid resize height "${asked.query.text('h')}"`);
  if (columns === undefined || columns < 0)
    throw new HolmError('invalid', `invalid resize width "${asked.query.text('w')}"`);
  return { rows, columns };
}

async function resize(call: Call): Promise<void> {
  const container = containerOf(call);
  const size = sizeOf(call);
  if (!isRunning(container)) throw notRunning(container.id);
  await call.backend.containers.resize(container.id, size);
  call.sendEmpty(200);
}

export const containerRoutes: readonly Route[] = [
  { method: 'GET', path: '/containers/json', handle: listContainers },
  { method: 'POST', path: '/containers/create', handle: createContainer },
  { method: 'POST', path: '/containers/prune', handle: pruneContainers },
  { method: 'GET', path: '/containers/{name}/json', handle: inspect },
  { method: 'POST', path: '/containers/{name}/start', handle: start },
  { method: 'POST', path: '/containers/{name}/stop', handle: stop },
  { method: 'POST', path: '/containers/{name}/restart', handle: restart },
  { method: 'POST', path: '/containers/{name}/kill', handle: kill },
  { method: 'POST', path: '/containers/{name}/pause', handle: pause },
  { method: 'POST', path: '/containers/{name}/unpause', handle: unpause },
  { method: 'POST', path: '/containers/{name}/wait', handle: wait },
  { method: 'POST', path: '/containers/{name}/rename', handle: rename },
  { method: 'POST', path: '/containers/{name}/update', handle: update },
  { method: 'POST', path: '/containers/{name}/resize', handle: resize },
  { method: 'GET', path: '/containers/{name}/top', handle: top },
  { method: 'GET', path: '/containers/{name}/changes', handle: changes },
  { method: 'DELETE', path: '/containers/{name}', handle: remove },
];
