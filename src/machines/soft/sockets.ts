// The host's sockets for the user-mode stack, by Node. Bytes to write lie in one staging buffer; Node tries the system
// call at once, so that the buffer is nearly always free again and nothing is allocated.
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer, isIP, Socket } from 'node:net';
import { HolmError, messageOf } from '../../base/error.ts';
import type { Endpoint, Listener, Sockets, UdpEvents, UdpSocket } from '../../devices/net/sockets.ts';
import type { Stream, StreamEvents } from '../../devices/net/stream.ts';
import { socketStream } from './socket-stream.ts';

const datagramBufferBytes = 1 << 20;
/** How long what the host's name service is set to may be out of date. */
const resolverMs = 5000;

/** Sockets of this process. `nameServer` stands for the first one of /etc/resolv.conf. */
export function hostSockets(nameServer?: string): Sockets {
  let resolver: Endpoint | undefined = nameServer === undefined ? undefined : { host: nameServer, port: 53 };
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    connectTcp,
    listenTcp,
    openUdp: (events) => new HostUdp(events),
    bindUdp,
    resolver: () => {
      if (nameServer === undefined && performance.now() - readAt > resolverMs) {
        readAt = performance.now();
        resolver = readResolver();
      }
      return resolver;
    },
  };
}

function connectTcp(to: Endpoint, events: StreamEvents): Stream {
  const socket = new Socket({ allowHalfOpen: true });
  const stream = socketStream(socket, events);
  socket.setNoDelay(true);
  socket.connect({ host: to.host, port: to.port });
  return stream;
}

function listenTcp(at: Endpoint, accept: (stream: Stream, from: Endpoint) => StreamEvents): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    const from = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    socketStream(socket, (stream) => accept(stream, from));
    socket.resume();
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotListen('tcp', at, cause)));
    server.listen({ host: at.host, port: at.port }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : at.port;
      server.on('error', () => undefined);
      resolve({ at: { host: at.host, port }, close: () => void server.close() });
    });
  });
}

async function bindUdp(at: Endpoint, events: UdpEvents): Promise<UdpSocket & Listener> {
  const socket = datagramSocket(at.host, events);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (cause) => reject(cannotListen('udp', at, cause)));
    socket.bind({ address: at.host, port: at.port }, resolve);
  });
  return {
    at: { host: at.host, port: socket.address().port },
    // The datagram is copied: Node sends it later when the host's buffer is full.
    send: (bytes, to) => socket.send(bytes.slice(), to.port, to.host, () => undefined),
    close: () => socket.close(),
  };
}

/** A socket a family, made when the first datagram of that family goes out. */
class HostUdp implements UdpSocket {
  readonly #events: UdpEvents;
  readonly #sockets = new Map<number, DatagramSocket>();

  constructor(events: UdpEvents) {
    this.#events = events;
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const family = isIP(to.host);
    if (family === 0) return;
    let socket = this.#sockets.get(family);
    if (socket === undefined) {
      socket = datagramSocket(to.host, this.#events);
      this.#sockets.set(family, socket);
    }
    if (socket.getSendQueueSize() > datagramBufferBytes) return;
    socket.send(bytes.slice(), to.port, to.host, (error) => {
      if (error !== null) this.#events.failed();
    });
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

function datagramSocket(host: string, events: UdpEvents): DatagramSocket {
  const socket = createSocket({ type: isIP(host) === 6 ? 'udp6' : 'udp4' });
  socket.on('message', (bytes, from) => events.received(bytes, { host: from.address, port: from.port }));
  socket.on('error', () => events.failed());
  return socket;
}

function cannotListen(kind: string, at: Endpoint, cause: unknown): HolmError {
  return new HolmError('conflict', `Cannot listen on ${kind} "${at.host}:${at.port}": ${messageOf(cause)}`, { cause });
}

function readResolver(): Endpoint | undefined {
  let text: string;
  try {
    text = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return undefined;
  }
  const host = /^\s*nameserver\s+(\S+)/m.exec(text)?.[1];
  return host === undefined || isIP(host) === 0 ? undefined : { host, port: 53 };
}
