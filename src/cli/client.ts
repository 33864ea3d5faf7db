// HTTP/1.1 over a unix socket, as little as Docker's API needs: one connection a request, chunked bodies up and down,
// and hijacked streams with half-close. Not node:http: loading that costs more than a whole `holm ps`.
import { connect, type Socket } from 'node:net';
import { type ErrorKind, HolmError, hasCode, messageOf } from '../base/error.ts';

export type Body = AsyncIterable<Uint8Array>;

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it comes, in chunks. */
  readonly stream?: Body;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Without its transfer coding. Leaving it before its end closes the connection. */
  readonly body: Body;
}

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  401: 'denied',
  403: 'denied',
  404: 'notFound',
  405: 'unsupported',
  409: 'conflict',
  501: 'unsupported',
  503: 'unavailable',
  504: 'timeout',
};
/** No head of an answer is longer. */
const mostHeadBytes = 64 * 1024;

export class Client {
  readonly #host: string;
  readonly #path: string;

  /** `host` as DOCKER_HOST has it: "unix:///run/holm/holm.sock". */
  constructor(host: string) {
    const path = /^unix:\/\/(.+)$/.exec(host)?.[1];
    if (path === undefined)
      throw new HolmError('unsupported', `Cannot connect to "${host}": only unix:// addresses are supported`);
    this.#host = host;
    this.#path = path;
  }

  /** The answer, once its head is there; an answer of 400 or more is thrown with the message of its body. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { answer } = await this.#exchange(method, path, options, {});
    return answer;
  }

  /** The answer's JSON; undefined when there is no body. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const { body } = await this.request(method, path, options);
    const text = await readAll(body);
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw new HolmError('corrupt', `Cannot read the answer of ${method} ${path}: not JSON`, { cause: error });
    }
  }

  /** The answer's JSON values, one a line, as they come. */
  async *jsonLines<T>(method: string, path: string, options: RequestOptions = {}): AsyncIterable<T> {
    const { body } = await this.request(method, path, options);
    yield* splitJsonLines<T>(body);
  }

  /** A connection taken over for raw bytes both ways; `end()` half-closes it. */
  async hijack(path: string, options: RequestOptions = {}): Promise<{ socket: Socket; contentType: string }> {
    const { answer, socket } = await this.#exchange('POST', path, options, { Connection: 'Upgrade', Upgrade: 'tcp' });
    return { socket, contentType: answer.headers.get('content-type') ?? '' };
  }

  async #exchange(
    method: string,
    path: string,
    options: RequestOptions,
    extra: Readonly<Record<string, string>>,
  ): Promise<{ answer: Answer; socket: Socket }> {
    options.signal?.throwIfAborted();
    const socket = connect({ path: this.#path, allowHalfOpen: true });
    const abort = () => socket.destroy(new HolmError('cancelled', `Cannot finish ${method} ${path}: cancelled`));
    options.signal?.addEventListener('abort', abort, { once: true });
    socket.on('error', () => undefined);
    try {
      sendRequest(socket, method, path, options, extra);
      const { status, headers } = await readHead(socket);
      const isEmpty = method === 'HEAD' || status === 204 || status === 304 || headers.get('content-length') === '0';
      if (isEmpty) socket.destroy();
      const body = isEmpty ? emptyBody() : readBody(socket, headers);
      if (status >= 400) throw await errorOf(status, body, `${method} ${path}`);
      return { answer: { status, headers, body }, socket };
    } catch (error) {
      socket.destroy();
      if (['ENOENT', 'ECONNREFUSED'].some((code) => hasCode(error, code)))
        throw new HolmError('unavailable', `Cannot connect to holmd at ${this.#host}. Is it running?`, {
          cause: error,
        });
      if (hasCode(error, 'EACCES'))
        throw new HolmError('denied', `Cannot connect to holmd at ${this.#host}: permission denied`, { cause: error });
      throw error;
    }
  }
}

function sendRequest(
  socket: Socket,
  method: string,
  path: string,
  options: RequestOptions,
  extra: Readonly<Record<string, string>>,
): void {
  const body = options.json === undefined ? undefined : JSON.stringify(options.json);
  const headers: Record<string, string> = {
    Host: 'holm',
    'User-Agent': 'holm',
    Connection: 'close',
    ...extra,
    ...options.headers,
  };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (options.stream !== undefined) headers['Transfer-Encoding'] = 'chunked';
  else if (method !== 'GET' && method !== 'HEAD') headers['Content-Length'] = String(Buffer.byteLength(body ?? ''));
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path}${formatQuery(options.query)} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`);
  if (options.stream !== undefined)
    sendChunks(socket, options.stream).catch((error: unknown) =>
      socket.destroy(error instanceof Error ? error : undefined),
    );
}

/** Sends until the end, or until the server no longer listens: then its answer tells why. */
async function sendChunks(socket: Socket, stream: Body): Promise<void> {
  for await (const chunk of stream) {
    if (chunk.length === 0) continue;
    if (socket.destroyed || !socket.writable) return;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`);
    socket.write(chunk);
    const ready = socket.write('\r\n');
    socket.uncork();
    if (!ready) await untilDrained(socket);
  }
  if (socket.writable) socket.write('0\r\n\r\n');
}

/** Resolves when the socket takes more, or never will. */
export function untilDrained(socket: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done).off('error', done);
      resolve();
    };
    socket.on('drain', done).on('close', done).on('error', done);
  });
}

async function readHead(socket: Socket): Promise<{ status: number; headers: Map<string, string> }> {
  let head: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = (socket.read() as Buffer | null) ?? undefined;
    if (chunk === undefined) {
      await untilReadable(socket);
      continue;
    }
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length <= mostHeadBytes) continue;
    const lines = head.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(lines[0]!)?.[1]);
    if (end < 0 || Number.isNaN(status))
      throw new HolmError('corrupt', 'Cannot read the answer: it is not HTTP. Is this the socket of holmd?');
    if (end + 4 < head.length) socket.unshift(head.subarray(end + 4));
    if (status === 100) {
      head = Buffer.alloc(0);
      continue;
    }
    const headers = lines.slice(1).map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    return { status, headers: new Map(headers) };
  }
}

function untilReadable(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      socket.off('readable', finish).off('end', ended).off('close', ended).off('error', finish);
      if (error === undefined) resolve();
      else reject(error);
    };
    const ended = () =>
      finish(socket.errored ?? new HolmError('unavailable', 'Cannot read the answer: holmd closed the connection'));
    if (socket.destroyed || socket.readableEnded) ended();
    else socket.on('readable', finish).on('end', ended).on('close', ended).on('error', finish);
  });
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}

/** The content of an answer (RFC 9112, section 6.3). */
async function* readBody(socket: Socket, headers: ReadonlyMap<string, string>): AsyncGenerator<Uint8Array> {
  const chunks = headers.get('transfer-encoding')?.toLowerCase().endsWith('chunked') ? new ChunkedDecoder() : undefined;
  const length = headers.get('content-length');
  let left = Number(length ?? Number.POSITIVE_INFINITY);
  try {
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      if (chunks === undefined) {
        yield bytes.length > left ? bytes.subarray(0, left) : bytes;
        left -= bytes.length;
      } else yield* chunks.decode(bytes);
      if (left <= 0 || chunks?.ended) return;
    }
    if (chunks !== undefined || length !== undefined)
      throw new HolmError('unavailable', 'Cannot read the whole answer: holmd closed the connection');
  } finally {
    socket.destroy();
  }
}

/** Takes the chunked transfer coding away (RFC 9112, section 7.1); trailers are dropped. */
export class ChunkedDecoder {
  #line = '';
  /** Bytes of the present chunk still to come, with its CR LF; 0 while a size line is read. */
  #left = 0;
  #trailer = false;
  ended = false;

  *decode(bytes: Buffer): Generator<Buffer> {
    let at = 0;
    while (at < bytes.length && !this.ended) {
      if (this.#left > 0) {
        const content = Math.min(this.#left - 2, bytes.length - at);
        if (content > 0) yield bytes.subarray(at, at + content);
        const taken = content > 0 ? content : Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const end = bytes.indexOf(10, at);
      this.#line += bytes.toString('latin1', at, end < 0 ? undefined : end);
      if (end < 0) return;
      at = end + 1;
      this.#takeLine(this.#line.trim());
      this.#line = '';
    }
  }

  #takeLine(line: string): void {
    if (this.#trailer) {
      this.ended = line === '';
      return;
    }
    const size = /^[0-9a-f]{1,12}/i.exec(line)?.[0];
    if (size === undefined)
      throw new HolmError('corrupt', `Cannot read the answer: "${line.slice(0, 40)}" is no chunk size`);
    this.#left = Number.parseInt(size, 16);
    if (this.#left === 0) this.#trailer = true;
    else this.#left += 2;
  }
}

/** The JSON values of a body, one a line, as they come. */
export async function* splitJsonLines<T>(body: Body): AsyncIterable<T> {
  for await (const line of splitLines(body)) yield JSON.parse(line) as T;
}

/** The lines of a body that are not empty, as they come. */
export async function* splitLines(body: Body): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = lines.pop()!;
    yield* lines.filter((line) => line.trim() !== '');
  }
  if (rest.trim() !== '') yield rest;
}

/** A name as a part of a path: slashes, colons and @ stay, as docker's client sends them. */
export function escapePath(name: string): string {
  return encodeURIComponent(name).replace(/%2F/g, '/').replace(/%3A/g, ':').replace(/%40/g, '@');
}

/** All of a body as text. */
export async function readAll(body: Body): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function errorOf(status: number, body: Body, what: string): Promise<HolmError> {
  const kind = kinds[status] ?? 'internal';
  const text = await readAll(body).catch((error: unknown) => messageOf(error));
  let message = text.trim();
  try {
    const parsed = JSON.parse(text) as { message?: unknown };
    if (typeof parsed.message === 'string') message = parsed.message;
  } catch {
    // Not JSON: the text itself is the message.
  }
  return new HolmError(kind, `Error response from daemon: ${message === '' ? `${what} answered ${status}` : message}`);
}

function formatQuery(query: RequestOptions['query']): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query ?? {})) {
    const values = Array.isArray(value)
      ? (value as readonly string[])
      : [value as string | number | boolean | undefined];
    for (const one of values)
      if (one !== undefined)
        pairs.push(`${name}=${encodeURIComponent(one === true ? '1' : one === false ? '0' : String(one))}`);
  }
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
