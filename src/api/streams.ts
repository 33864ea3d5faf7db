// Routes that carry a guest's streams: attach, logs, export.

import { pipeline } from 'node:stream/promises';
import { HolmError } from '../base/error.ts';
import { changedIn } from './api-version.ts';
import type { LogOptions } from './backend.ts';
import type { Asked, Call } from './call.ts';
import { closeGently, joinStreams, type Takeover } from './hijack.ts';
import { containerOf } from './lookup.ts';
import type { Route } from './router.ts';

const rawStream = 'application/vnd.docker.raw-stream';
const multiplexedStream = 'application/vnd.docker.multiplexed-stream';

export function streamType(asked: Asked, framed: boolean): string {
  return framed && asked.minor >= changedIn.multiplexedContentType ? multiplexedStream : rawStream;
}

/** "ctrl-p,ctrl-q" or "a,b"; empty for the default. Throws `invalid` with Docker's text. */
export function parseDetachKeys(text: string): string {
  for (const key of text === '' ? [] : text.split(','))
    if (!/^(ctrl-[a-z@[\\\]^_]|.)$/.test(key)) throw new HolmError('invalid', `Invalid detach keys (${text}) provided`);
  return text;
}

async function attach(takeover: Takeover): Promise<void> {
  const container = containerOf(takeover);
  const { query, backend } = takeover;
  const detachKeys = parseDetachKeys(query.text('detachKeys'));
  if (container.state.is === 'paused')
    throw new HolmError('wrongState', `container ${container.id} is paused, unpause the container before attach`);
  const framed = !container.config.terminal;
  const wanted = { stdout: query.flag('stdout'), stderr: query.flag('stderr') };
  const stdin = query.flag('stdin') && container.config.stdinOpen;
  const stream = query.flag('stream')
    ? await backend.containers.attach(container.id, { ...wanted, stdin, framed, detachKeys })
    : undefined;
  const earlier = query.flag('logs')
    ? await backend.containers.logs(
        container.id,
        { ...wanted, follow: false, timestamps: false, framed },
        new AbortController().signal,
      )
    : undefined;
  const socket = takeover.open(streamType(takeover, framed));
  if (earlier !== undefined) await pipeline(earlier, socket, { end: false });
  if (stream !== undefined) await joinStreams(socket, stream, { stdin });
  else closeGently(socket);
}

function parseLogOptions(call: Call, framed: boolean): LogOptions {
  const { query } = call;
  const since = query.time('since');
  const until = query.time('until');
  const tail = query.text('tail');
  const options = {
    stdout: query.flag('stdout'),
    stderr: query.flag('stderr'),
    follow: query.flag('follow'),
    timestamps: query.flag('timestamps'),
    ...(since !== undefined && since !== 0n && { since }),
    ...(until !== undefined && until !== 0n && { until }),
    ...(/^\d{1,15}$/.test(tail) && { tail: Number(tail) }),
    framed,
  };
  if (!options.stdout && !options.stderr)
    throw new HolmError('invalid', 'Bad parameters: you must choose at least one stream');
  return options;
}

async function logs(call: Call): Promise<void> {
  const container = containerOf(call);
  const framed = !container.config.terminal;
  const options = parseLogOptions(call, framed);
  if (container.config.log.driver === 'none')
    throw new HolmError('unsupported', 'configured logging driver does not support reading');
  const lines = await call.backend.containers.logs(container.id, options, call.signal);
  await call.sendStream(lines, streamType(call, framed));
}

async function exportRoot(call: Call): Promise<void> {
  await call.sendStream(await call.backend.containers.exportRoot(containerOf(call).id), 'application/octet-stream');
}

export const streamRoutes: readonly Route[] = [
  { method: 'POST', path: '/containers/{name}/attach', takeOver: attach },
  { method: 'GET', path: '/containers/{name}/logs', handle: logs },
  { method: 'GET', path: '/containers/{name}/export', handle: exportRoot },
];
