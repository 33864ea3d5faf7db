// A client of the Engine API that costs as little as one can in Node, so that what is measured is the engine: HTTP/1.1 over
// connections that stay open, no header that is not needed, bodies handed on as they come.
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

interface RequestOptions {
  /** Takes the body instead of the answer. */
  readonly onBody?: (chunk: Buffer) => void;
  /** Sent as the request's body, with its length. */
  readonly upload?: { readonly bytes: number; readonly stream: AsyncIterable<Uint8Array> };
  readonly body?: unknown;
}

export class ApiClient {
  readonly #socketPath: string;
  readonly #idle: Connection[] = [];

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Sends a request; a status from 400 on is an error with the engine's own words. */
  async call(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const connection = this.#acquire();
    try {
      const answer = await connection.exchange(method, path, options);
      if (connection.isUsable) this.#idle.push(connection);
      if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 500)}`);
      return answer;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #acquire(): Connection {
    for (;;) {
      const connection = this.#idle.pop() ?? new Connection(this.#socketPath);
      if (connection.isUsable) return connection;
    }
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return JSON.parse((await this.call(method, path, { body })).body) as T;
  }

  /** Opens a stream of a container or an exec ("hijacks" the connection); resolves when it stands. */
  async hijack(path: string, body: unknown, onBytes: (chunk: Buffer) => void): Promise<{ ended: Promise<void> }> {
    const connection = new Connection(this.#socketPath);
    return await connection.hijack(path, body, onBytes);
  }

  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');

interface Pending {
  readonly onBody: (chunk: Buffer) => void;
  readonly onEnd: (status: number) => void;
  readonly onHead?: () => void;
  readonly reject: (error: Error) => void;
}

type Expecting =
  | { is: 'head' }
  | { is: 'body'; left: number }
  | { is: 'chunk' }
  | { is: 'chunk body'; left: number }
  | { is: 'end' };

class Connection {
  readonly #socket: Socket;
  #kept: Buffer = Buffer.alloc(0);
  #expecting: Expecting = { is: 'head' };
  #status = 0;
  #closes = false;
  #pending: Pending | undefined;

  constructor(socketPath: string) {
    this.#socket = connect({ path: socketPath });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => {
      if (this.#expecting.is === 'end' && this.#pending !== undefined) this.#finish();
      this.#fail(new Error('The engine closed the connection'));
    });
  }

  get isUsable(): boolean {
    return !this.#closes && !this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }

  exchange(method: string, path: string, options: RequestOptions): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const text: Buffer[] = [];
    const keep = (chunk: Buffer) => text.push(chunk);
    this.#pending = {
      onBody: (chunk) => (options.onBody !== undefined && this.#status < 400 ? options.onBody(chunk) : keep(chunk)),
      onEnd: (status) => resolve({ status, body: Buffer.concat(text).toString() }),
      reject,
    };
    this.#send(method, path, options);
    return promise;
  }

  hijack(path: string, body: unknown, onBytes: (chunk: Buffer) => void): Promise<{ ended: Promise<void> }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ ended: Promise<void> }>();
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => {});
    this.#pending = {
      onBody: onBytes,
      onHead: () => {
        if (this.#status < 300) resolve({ ended: ended.promise });
        else reject(new Error(`POST ${path}: ${this.#status}`));
      },
      onEnd: () => ended.resolve(),
      reject: (error) => {
        reject(error);
        ended.reject(error);
      },
    };
    this.#send('POST', path, { body }, 'Connection: Upgrade\r\nUpgrade: tcp\r\n');
    return promise;
  }

  #send(method: string, path: string, { body, upload }: RequestOptions, headers = ''): void {
    const text = body === undefined ? '' : JSON.stringify(body);
    const length = upload?.bytes ?? Buffer.byteLength(text);
    const type = upload === undefined ? 'application/json' : 'application/x-tar';
    const content = length > 0 ? `Content-Type: ${type}\r\nContent-Length: ${length}\r\n` : 'Content-Length: 0\r\n';
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nHost: holm\r\n${headers}${content}\r\n${text}`);
    if (upload !== undefined) this.#upload(upload.stream).catch((error: Error) => this.#fail(error));
  }

  async #upload(stream: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of stream) {
      if (this.#socket.destroyed) return;
      if (!this.#socket.write(chunk)) await new Promise((resolve) => this.#socket.once('drain', resolve));
    }
  }

  #take(chunk: Buffer): void {
    let rest: Buffer = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = Buffer.alloc(0);
    while (rest.length > 0 && this.#pending !== undefined) {
      const used = this.#step(rest);
      if (used === 0) {
        this.#kept = rest;
        return;
      }
      rest = rest.subarray(used);
    }
  }

  // Takes one piece of the answer; gives the bytes used, 0 if more are needed.
  #step(bytes: Buffer): number {
    const expecting = this.#expecting;
    if (expecting.is === 'head') return this.#head(bytes);
    if (expecting.is === 'end') {
      this.#pending?.onBody(bytes);
      return bytes.length;
    }
    if (expecting.is === 'chunk') return this.#chunkHead(bytes);
    const used = Math.min(expecting.left, bytes.length);
    const isChunk = expecting.is === 'chunk body';
    // A chunk is followed by an empty line, which is no part of it.
    const content = isChunk ? Math.min(used, Math.max(0, expecting.left - lineEnd.length)) : used;
    if (content > 0) this.#pending?.onBody(bytes.subarray(0, content));
    expecting.left -= used;
    if (expecting.left === 0) {
      if (isChunk) this.#expecting = { is: 'chunk' };
      else this.#finish();
    }
    return used;
  }

  #head(bytes: Buffer): number {
    const at = bytes.indexOf(headEnd);
    if (at < 0) return 0;
    const head = bytes.toString('latin1', 0, at + lineEnd.length);
    this.#status = Number(head.slice(9, 12));
    this.#closes = /^connection: *close/im.test(head);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (this.#pending?.onHead !== undefined) {
      this.#closes = true;
      this.#expecting = { is: 'end' };
      this.#pending.onHead();
    } else if (/^transfer-encoding: *chunked/im.test(head)) this.#expecting = { is: 'chunk' };
    else if (this.#status === 204 || this.#status === 304 || length === '0') this.#finish();
    else if (length !== undefined) this.#expecting = { is: 'body', left: Number(length) };
    else {
      this.#closes = true;
      this.#expecting = { is: 'end' };
    }
    return at + headEnd.length;
  }

  #chunkHead(bytes: Buffer): number {
    const at = bytes.indexOf(lineEnd);
    if (at < 0) return 0;
    const size = Number.parseInt(bytes.toString('latin1', 0, at), 16);
    if (size > 0) {
      this.#expecting = { is: 'chunk body', left: size + lineEnd.length };
      return at + lineEnd.length;
    }
    const end = at + 2 * lineEnd.length;
    if (bytes.length < end) return 0;
    this.#finish();
    return end;
  }

  #finish(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#expecting = { is: 'head' };
    pending?.onEnd(this.#status);
  }

  #fail(error: Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#closes = true;
    pending?.reject(error);
  }
}
