// A Node socket, TCP's or a unix one, as a Stream of the devices.
import type { Socket } from 'node:net';
import type { Stream, StreamEvents, StreamFailure } from '../../devices/net/stream.ts';

const stagingBytes = 65_536;
// Shared by all streams of this thread: it is only used within one `write`, unless the host's buffer is full.
let staging: Buffer = Buffer.allocUnsafeSlow(stagingBytes);

/** Joins a socket, that is or is not connected yet, to the events of whoever uses it. */
export function socketStream(socket: Socket, events: StreamEvents | ((stream: Stream) => StreamEvents)): Stream {
  const stream = new SocketStream(socket);
  stream.join(typeof events === 'function' ? events(stream) : events);
  return stream;
}

class SocketStream implements Stream {
  readonly #socket: Socket;
  #over = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  join(events: StreamEvents): void {
    const socket = this.#socket;
    let failure: StreamFailure | undefined;
    const tell = (work: () => void): void => {
      if (!this.#over) work();
    };
    socket.on('connect', () => tell(() => events.connected()));
    socket.on('data', (bytes: Buffer) => tell(() => events.received(bytes)));
    socket.on('end', () => tell(() => events.ended()));
    socket.on('drain', () => tell(() => events.drained()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = failureOf(error);
    });
    socket.on('close', () =>
      tell(() => {
        this.#over = true;
        events.closed(failure);
      }),
    );
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += stagingBytes) {
      const part = bytes.subarray(at, at + stagingBytes);
      staging.set(part);
      this.#socket.write(staging.subarray(0, part.length));
      // Still waiting: the buffer is the socket's now.
      if (this.#socket.writableLength > 0) staging = Buffer.allocUnsafeSlow(stagingBytes);
    }
  }

  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroySoon();
  }

  reset(): void {
    this.#over = true;
    // Only TCP knows a reset; a unix socket that closes with unread bytes is one too.
    if (this.#socket.remoteAddress === undefined) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

function failureOf(error: NodeJS.ErrnoException): StreamFailure {
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') return 'refused';
  if (error.code === 'EHOSTUNREACH' || error.code === 'ENETUNREACH' || error.code === 'ETIMEDOUT') return 'unreachable';
  return 'reset';
}
