// Docker's Engine API over a unix socket. This file: the socket, a request's way to its route, and errors back.
import { chownSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { fullMessageOf, HolmError, hasCode, kindOf } from '../base/error.ts';
import { log } from '../base/log.ts';
import { apiVersion, newestMinor, parseVersionSegment } from './api-version.ts';
import type { Backend } from './backend.ts';
import { type Asked, Call } from './call.ts';
import { answerRaw, Takeover } from './hijack.ts';
import { Query } from './query.ts';
import { createRouter, type Route } from './router.ts';
import { routes } from './routes.ts';
import { answerFor } from './wording.ts';

export interface ServeOptions {
  readonly socketPath: string;
  /** Name or number of the group that may use the socket; the daemon's own when absent. */
  readonly socketGroup?: string;
}

export interface ApiServer {
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** Requests of Docker's clients carry registry credentials in headers, which may be long. */
const longestHeadersBytes = 256 * 1024;

const route = createRouter(routes);

/** Serves the API on a unix socket of mode 0660. Throws `conflict` when another daemon answers there. */
export async function serve(backend: Backend, options: ServeOptions): Promise<ApiServer> {
  await removeStaleSocket(options.socketPath);
  const server = createServer({
    maxHeaderSize: longestHeadersBytes,
    // Only these: a client that offers HTTP/2 with every request is answered in HTTP/1.1.
    shouldUpgradeCallback: (request) => isTakeover(request),
  });
  // Docker's clients keep connections open and do not expect the daemon to close them; bodies may take any time.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.headersTimeout = 60_000;
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const commonHeaders = {
    'Api-Version': apiVersion,
    'Docker-Experimental': 'false',
    Ostype: 'linux',
    Server: `holm/${backend.version} (linux)`,
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    for (const name in commonHeaders) response.setHeader(name, commonHeaders[name as keyof typeof commonHeaders]);
    void answer(backend, request, response);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    void takeOver(backend, request, socket, head);
  });
  server.on('clientError', (error: Error, socket: Socket) => {
    if (socket.writable && !hasCode(error, 'ECONNRESET') && socket.bytesWritten === 0)
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  await listen(server, options);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

interface Found {
  readonly route: Route;
  readonly asked: Asked;
}

function find(backend: Backend, request: IncomingMessage): Found {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  let segments = decodePath(mark < 0 ? url : url.slice(0, mark)).split('/');
  segments = segments.filter((segment) => segment !== '');
  const asked = parseVersionSegment(segments[0] ?? '');
  if (asked !== undefined) segments.shift();
  const match = route(request.method ?? 'GET', segments);
  if (match === undefined) throw new HolmError('notFound', 'page not found');
  const query = new Query(mark < 0 ? '' : url.slice(mark + 1));
  return { route: match.route, asked: { backend, minor: asked ?? newestMinor, params: match.params, query, request } };
}

function decodePath(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    throw new HolmError('invalid', `Cannot read path "${path.slice(0, 200)}": not percent-encoded UTF-8`);
  }
}

function isTakeover(request: IncomingMessage): boolean {
  const path = request.url?.split('?', 1)[0] ?? '';
  return (
    request.method === 'POST' && (path.endsWith('/attach') || (path.endsWith('/start') && path.includes('/exec/')))
  );
}

async function answer(backend: Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { route, asked } = find(backend, request);
    if ('handle' in route) await route.handle(new Call(asked, response));
    else await runTakeover(route.takeOver, new Takeover(asked, { response }));
  } catch (error) {
    const { code, message } = answerFor(error);
    report(request, error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const body = errorText(message);
    response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
  }
}

async function takeOver(backend: Backend, request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
  let found: Found;
  try {
    found = find(backend, request);
  } catch (error) {
    const { code, message } = answerFor(error);
    answerRaw(socket, code, errorText(message));
    return;
  }
  try {
    if (!('takeOver' in found.route)) throw new HolmError('internal', `Cannot take over "${found.route.path}"`);
    await runTakeover(found.route.takeOver, new Takeover(found.asked, { head }));
  } catch (error) {
    report(request, error);
    socket.destroy();
  }
}

/** Errors before the connection is raw are answered; later ones can only close it. */
async function runTakeover(run: (takeover: Takeover) => Promise<void>, takeover: Takeover): Promise<void> {
  try {
    await run(takeover);
  } catch (error) {
    if (takeover.isOpened) throw error;
    report(takeover.request, error);
    const { code, message } = answerFor(error);
    takeover.answer(code, errorText(message));
  }
}

function errorText(message: string): string {
  return `${JSON.stringify({ message })}\n`;
}

function report(request: IncomingMessage, error: unknown): void {
  const kind = kindOf(error);
  if (kind !== 'internal' && kind !== 'corrupt') return;
  log('error', `Cannot answer ${request.method} ${request.url}`, {
    error: fullMessageOf(error),
    ...(error instanceof HolmError ? {} : { stack: error instanceof Error ? error.stack : undefined }),
  });
}

/** Binding happens within listen(), so the mask is in force for it alone: nobody else can connect before the mode is set. */
function listen(server: Server, { socketPath, socketGroup }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new HolmError('unavailable', `Cannot listen on "${socketPath}"`, { cause })),
    );
    server.once('listening', () => {
      server.removeAllListeners('error');
      resolve();
    });
    const gid = socketGroup === undefined ? undefined : findGroup(socketGroup);
    const mask = process.umask(0o117);
    try {
      server.listen(socketPath);
    } finally {
      process.umask(mask);
    }
    if (gid === undefined) return;
    try {
      chownSync(socketPath, -1, gid);
    } catch (cause) {
      server.close();
      throw new HolmError('denied', `Cannot give "${socketPath}" to group "${socketGroup}"`, { cause });
    }
  });
}

function findGroup(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group) return Number(gid);
  }
  throw new HolmError('invalid', `Cannot give the socket to group "${group}": there is no such group`);
}

async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw new HolmError('conflict', `Cannot listen on "${path}": a file that is no socket is there`);
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (isAnswered) throw new HolmError('conflict', `Cannot listen on "${path}": another daemon answers there`);
  unlinkSync(path);
}
