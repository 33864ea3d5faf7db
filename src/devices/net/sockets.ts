// What the user-mode stack needs of the host: sockets that need no rights. src/machines/soft/sockets.ts has Node's.
import type { Stream, StreamEvents } from './stream.ts';

export interface Endpoint {
  /** An address in text, IPv4 or IPv6. */
  readonly host: string;
  readonly port: number;
}

export interface UdpSocket {
  send(bytes: Uint8Array, to: Endpoint): void;
  close(): void;
}

export interface UdpEvents {
  received(bytes: Uint8Array, from: Endpoint): void;
  /** The last datagram could not be sent, or nobody listens there. */
  failed(): void;
}

export interface Listener {
  /** Where it listens; the port is the chosen one when 0 was asked for. */
  readonly at: Endpoint;
  close(): void;
}

export interface Sockets {
  connectTcp(to: Endpoint, events: StreamEvents): Stream;
  /** Listens at once or throws why it cannot; each connection gets the events that `accept` gives for it. */
  listenTcp(at: Endpoint, accept: (stream: Stream, from: Endpoint) => StreamEvents): Promise<Listener>;
  /** A socket on a port of the system's choice. */
  openUdp(events: UdpEvents): UdpSocket;
  bindUdp(at: Endpoint, events: UdpEvents): Promise<UdpSocket & Listener>;
  /** The host's first name server; undefined when it has none. */
  resolver(): Endpoint | undefined;
}
