// Requests to holmd over its socket, for the scripts: JSON answers, JSON lines, and whether it answers at all.
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';

export interface CallOptions {
  /** Of silence; a minute unless told. */
  readonly timeoutMs?: number;
  /** Sent as JSON. */
  readonly body?: unknown;
}

async function send(
  socket: string,
  method: string,
  path: string,
  { timeoutMs = 60_000, body }: CallOptions,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const sent = request({ socketPath: socket, method, path, headers, timeout: timeoutMs, agent: false }, resolve);
  sent.on('timeout', () => sent.destroy(new Error(`No answer to ${method} ${path} in ${timeoutMs} ms`)));
  sent.on('error', reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return await promise;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}

/** Whether holmd answers on this socket. */
export async function ping(socket: string): Promise<boolean> {
  try {
    const answer = await send(socket, 'GET', '/_ping', { timeoutMs: 2000 });
    return (await textOf(answer)) === 'OK' && answer.statusCode === 200;
  } catch {
    return false;
  }
}

/** The JSON of an answer; undefined for 404 and for an empty answer. */
export async function call(socket: string, method: string, path: string, options: CallOptions = {}): Promise<unknown> {
  const answer = await send(socket, method, path, options);
  const text = await textOf(answer);
  const status = answer.statusCode ?? 0;
  if (status === 404) return undefined;
  if (status >= 400) throw new Error(`${method} ${path}: ${messageOf(text)}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Sends a request that is answered with JSON lines; an `error` line, or a code from 400 on, is an error. */
export async function callLines(
  socket: string,
  method: string,
  path: string,
  onLine: (line: Readonly<Record<string, unknown>>) => void,
  body?: unknown,
): Promise<void> {
  const answer = await send(socket, method, path, { timeoutMs: 30 * 60_000, body });
  if ((answer.statusCode ?? 0) >= 400) throw new Error(`${method} ${path}: ${messageOf(await textOf(answer))}`);
  for await (const text of createInterface({ input: answer })) {
    if (text.trim() === '') continue;
    const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (typeof line.error === 'string') throw new Error(line.error);
    onLine(line);
  }
}
