// The host's ends of vsock streams as unix sockets, by Firecracker's convention: a client connects to PATH and writes
// "CONNECT 1234\n", the answer is "OK 1073741824\n"; what the guest calls on port 1234 is connected to PATH_1234.
import { rm } from 'node:fs/promises';
import { createServer, type Server, Socket } from 'node:net';
import { HolmError, messageOf } from '../../base/error.ts';
import type { Stream, StreamEvents } from '../../devices/net/stream.ts';
import type { VsockGuest, VsockHost } from '../../devices/vsock/host.ts';
import { socketStream } from './socket-stream.ts';

const maxCommandBytes = 32;
/** How long a client may take to say what it wants. */
const commandMs = 10_000;

export class VsockSockets implements VsockHost {
  readonly #path: string;
  #server: Server | undefined;

  /** `path` is the socket that clients connect to; its directory is the machine's own. */
  constructor(path: string) {
    this.#path = path;
  }

  connect(port: number, events: StreamEvents): Stream {
    const socket = new Socket({ allowHalfOpen: true });
    const stream = socketStream(socket, events);
    socket.connect({ path: `${this.#path}_${port}` });
    return stream;
  }

  /** Begins to take clients for `guest`; a socket that a dead process left is replaced. */
  async listen(guest: VsockGuest): Promise<void> {
    await rm(this.#path, { force: true });
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, guest));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        const why = messageOf(cause);
        reject(new HolmError('conflict', `Cannot listen on "${this.#path}": ${why}`, { cause }));
      });
      server.listen(this.#path, resolve);
    });
    server.on('error', () => undefined);
  }

  async close(): Promise<void> {
    this.#server?.close();
    await rm(this.#path, { force: true });
  }
}

function serve(socket: Socket, guest: VsockGuest): void {
  socketStream(socket, (stream) => new Caller(stream, guest));
}

/** A client: its first line is for us, the rest for the guest. */
class Caller implements StreamEvents {
  readonly #stream: Stream;
  readonly #guest: VsockGuest;
  readonly #timer: NodeJS.Timeout;
  #command = Buffer.alloc(0);
  #events: StreamEvents | undefined;

  constructor(stream: Stream, guest: VsockGuest) {
    this.#stream = stream;
    this.#guest = guest;
    this.#timer = setTimeout(() => stream.reset(), commandMs);
  }

  connected(): void {}

  received(bytes: Uint8Array): void {
    if (this.#events !== undefined) {
      this.#events.received(bytes);
      return;
    }
    this.#command = Buffer.concat([this.#command, bytes]);
    const end = this.#command.indexOf('\n');
    if (end < 0 && this.#command.length <= maxCommandBytes) return;
    clearTimeout(this.#timer);
    const port = parseCommand(this.#command.toString('latin1', 0, Math.min(Math.max(end, 0), maxCommandBytes)));
    if (port === undefined) {
      this.#stream.reset();
      return;
    }
    this.#events = this.#guest.call(port, this.#stream, (hostPort) => {
      if (hostPort === undefined) this.#stream.close();
      else this.#stream.write(Buffer.from(`OK ${hostPort}\n`));
    });
    if (end + 1 < this.#command.length) this.#events.received(this.#command.subarray(end + 1));
  }

  ended(): void {
    if (this.#events === undefined) this.#stream.close();
    else this.#events.ended();
  }

  drained(): void {
    this.#events?.drained();
  }

  closed(why?: Parameters<StreamEvents['closed']>[0]): void {
    clearTimeout(this.#timer);
    this.#events?.closed(why);
  }
}

/** The port of "CONNECT 1234"; undefined when the line is none. */
function parseCommand(line: string): number | undefined {
  const match = /^CONNECT (\d{1,10})\r?$/.exec(line);
  const port = Number(match?.[1]);
  return match !== null && port < 0xffff_ffff ? port : undefined;
}
