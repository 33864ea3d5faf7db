// Taking a connection over: attach and exec speak raw bytes on it after one HTTP answer. Clients that send `Upgrade: tcp`
// come by the server's 'upgrade' event; older ones come as requests, and get `200 OK` and then the raw socket.
// Half-close is kept: the client's end of input ends the guest's standard input while output goes on.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { HolmError } from '../base/error.ts';
import type { Backend } from './backend.ts';
import { parseJsonBody, readBytes } from './body.ts';
import type { Asked } from './call.ts';
import { type Fields, noFields } from './fields.ts';
import type { Query } from './query.ts';

const longestBodyBytes = 64 * 1024;
const lingerMs = 10_000;

export class Takeover implements Asked {
  readonly backend: Backend;
  readonly minor: number;
  readonly params: readonly string[];
  readonly query: Query;
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Of a client that did not ask for an upgrade, until the connection is taken from the HTTP parser. */
  #response: ServerResponse | undefined;
  readonly #isUpgrade: boolean;
  #opened = false;

  /** For an upgrade, `head` is what came behind the request's headers; for a plain request, `response` is its own. */
  constructor(asked: Asked, from: { head: Buffer } | { response: ServerResponse }) {
    this.backend = asked.backend;
    this.minor = asked.minor;
    this.params = asked.params;
    this.query = asked.query;
    this.request = asked.request;
    this.socket = asked.request.socket;
    this.#isUpgrade = 'head' in from;
    if ('head' in from) {
      if (from.head.length > 0) this.socket.unshift(from.head);
      // Errors of the socket before it is joined end in 'close', which the join looks at.
      this.socket.on('error', () => undefined);
    } else {
      this.#response = from.response;
      // What follows the request must not be read as another request.
      if (!hasBody(this.request)) this.#release();
    }
  }

  get isOpened(): boolean {
    return this.#opened;
  }

  param(at: number): string {
    return this.params[at] ?? '';
  }

  /** The request's JSON. Where `stays` says so of it, the connection is for further requests, if it was one. */
  async json(stays: (fields: Fields) => boolean): Promise<Fields> {
    if (!hasBody(this.request)) return noFields;
    if (this.#isUpgrade) return parseJsonBody(await readRawBody(this.request, this.socket));
    const fields = parseJsonBody(await readBytes(this.request, longestBodyBytes));
    if (!stays(fields)) this.#release();
    return fields;
  }

  #release(): void {
    this.#response = undefined;
    releaseFromParser(this.socket);
  }

  /** Answers that the connection is raw from here on, and gives it. */
  open(contentType: string): Socket {
    const { socket } = this;
    this.#opened = true;
    const head = this.#isUpgrade
      ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
      : 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n';
    socket.write(head);
    return socket;
  }

  /** Answers as an ordinary request: with a JSON text, or none. */
  answer(code: number, body: string): void {
    if (this.#response === undefined) {
      answerRaw(this.socket, code, body);
      return;
    }
    const type = body === '' ? {} : { 'Content-Type': 'application/json' };
    this.#response.writeHead(code, { ...type, 'Content-Length': Buffer.byteLength(body) });
    this.#response.end(body);
  }
}

/** Writes a whole answer on a connection that Node's HTTP has given away, and closes it. */
export function answerRaw(socket: Socket, code: number, body: string): void {
  const type = body === '' ? '' : 'Content-Type: application/json\r\n';
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  closeGently(socket, `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\n${type}${length}Connection: close\r\n\r\n${body}`);
}

/**
 * Carries bytes both ways until the guest's output ends or the client goes away, and then closes both.
 * Without `stdin` the client's bytes are read and dropped.
 */
export function joinStreams(socket: Socket, stream: Duplex, options: { stdin: boolean }): Promise<void> {
  return new Promise((resolve) => {
    // Not a pipeline this way: when the guest closes its input first, its output must still arrive.
    if (options.stdin) {
      socket.pipe(stream);
      stream.once('close', () => socket.resume());
    } else {
      socket.resume();
    }
    socket.once('close', () => stream.destroy());
    pipeline(stream, socket, () => {
      stream.destroy();
      closeGently(socket);
      resolve();
    });
  });
}

/** Sends the last bytes, ends our side, and closes when the other side does, or after some seconds. */
export function closeGently(socket: Socket, last?: Buffer | string): void {
  if (socket.destroyed) return;
  if (last === undefined) socket.end();
  else socket.end(last);
  socket.unpipe();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
  if (socket.readableEnded) socket.destroySoon();
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Node's HTTP parser reads from the socket's handle; a 'data' listener of ours makes it let go. What comes is kept. */
function releaseFromParser(socket: Socket): void {
  socket.on('data', () => undefined);
  socket.pause();
  for (const event of ['data', 'end', 'error']) socket.removeAllListeners(event);
  socket.on('error', () => undefined);
}

/** Reads a request's body off a raw socket; what follows it stays in the socket. */
async function readRawBody(request: IncomingMessage, socket: Socket): Promise<Buffer> {
  const chunked = /chunked/i.test(request.headers['transfer-encoding'] ?? '');
  const length = Number(request.headers['content-length']);
  let bytes = Buffer.alloc(0);
  for (;;) {
    const found = chunked ? decodeChunks(bytes) : bytes.length >= length ? { body: bytes, used: length } : undefined;
    if (found !== undefined) {
      if (bytes.length > found.used) socket.unshift(bytes.subarray(found.used));
      return found.body.subarray(0, chunked ? undefined : length);
    }
    if (bytes.length > longestBodyBytes || length > longestBodyBytes)
      throw new HolmError('invalid', `Cannot read the request's body: longer than ${longestBodyBytes} bytes`);
    bytes = Buffer.concat([bytes, await readSome(socket)]);
  }
}

function readSome(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const chunk: Buffer | null = socket.read();
      if (chunk !== null) settle(() => resolve(chunk));
      else if (socket.readableEnded || socket.destroyed) fail();
    };
    const fail = (): void => settle(() => reject(new HolmError('cancelled', 'The client went away')));
    const settle = (then: () => void): void => {
      socket.off('readable', look).off('end', fail).off('close', fail);
      then();
    };
    socket.on('readable', look).on('end', fail).on('close', fail);
    look();
  });
}

/** A chunked body (RFC 9112, section 7.1) if it is complete. */
function decodeChunks(bytes: Buffer): { body: Buffer; used: number } | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new HolmError('invalid', "Cannot read the request's body: not chunked as it says");
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), used: start + 2 };
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}
