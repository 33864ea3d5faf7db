// A guest in the foreground: attach to it, follow its streams, its size and its signals to its end, and give its exit code.
import type { Socket } from 'node:net';
import { HolmError, kindOf } from '../base/error.ts';
import { type Client, escapePath } from './client.ts';
import { proxySignals } from './signals.ts';
import { type JoinOptions, joinStreams } from './streams.ts';
import { followSize } from './terminal.ts';

export interface WaitAnswer {
  readonly StatusCode: number;
  readonly Error?: { readonly Message: string } | null;
}

export interface Attached extends JoinOptions {
  readonly socket: Socket;
}

/** Attaches to the streams asked for; undefined when there are none. */
export async function attachContainer(
  client: Client,
  reference: string,
  options: JoinOptions & { stdout: boolean; stderr: boolean; logs?: boolean },
): Promise<Attached | undefined> {
  const { stdin, stdout, stderr, detachKeys, terminal } = options;
  if (!stdin && !stdout && !stderr) return undefined;
  const { socket } = await client.hijack(`/containers/${escapePath(reference)}/attach`, {
    query: {
      stream: true,
      stdin: stdin || undefined,
      stdout: stdout || undefined,
      stderr: stderr || undefined,
      detachKeys: detachKeys === '' ? undefined : detachKeys,
    },
  });
  return { socket, stdin, terminal, detachKeys };
}

/** Follows a started guest to its end; its exit code, or "detached" when the user left it. */
export async function followContainer(
  client: Client,
  reference: string,
  options: { attached: Attached | undefined; exit: Promise<WaitAnswer>; sigProxy: boolean },
): Promise<number | 'detached'> {
  const { attached, exit } = options;
  const path = `/containers/${escapePath(reference)}`;
  const undo: (() => void)[] = [];
  if (options.sigProxy)
    undo.push(proxySignals((signal) => client.json('POST', `${path}/kill`, { query: { signal: signal.slice(3) } })));
  if (attached?.terminal)
    undo.push(
      followSize(({ rows, columns }) => client.json('POST', `${path}/resize`, { query: { h: rows, w: columns } })),
    );
  try {
    if (attached !== undefined && (await joinStreams(attached.socket, attached)) === 'detached') return 'detached';
    const { StatusCode, Error: failure } = await exit;
    if (failure?.Message) throw new HolmError('internal', `Error response from daemon: ${failure.Message}`);
    return StatusCode;
  } catch (error) {
    if (kindOf(error) === 'unavailable')
      throw new HolmError('unavailable', 'Lost the connection to holmd', { cause: error });
    throw error;
  } finally {
    for (const one of undo) one();
  }
}
