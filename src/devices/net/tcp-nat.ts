// The guest's TCP through host sockets: the table of connections, calls in both directions, their timers and bounds.
import type { Clock } from './clock.ts';
import { sendUnreachable, unreachable } from './icmp.ts';
import type { IpOutput } from './ip-output.ts';
import { protocol } from './ipv4.ts';
import type { Destination } from './reach.ts';
import type { Endpoint, Listener, Sockets } from './sockets.ts';
import type { Stream, StreamEvents } from './stream.ts';
import { TcpConnection, type TcpTable } from './tcp-connection.ts';
import { flag, sendTcp, type TcpSegment } from './tcp-segment.ts';
import type { Address } from './udp.ts';

export const maxConnections = 1024;
/** What all connections together may hold each way, and the most and the least of one. */
const allBufferBytes = 64 * 2 ** 20;
const mostBufferBytes = 2 ** 20;
const leastBufferBytes = 64 * 2 ** 10;
const tickMs = 250;

export interface TcpNatOptions {
  readonly output: IpOutput;
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly gateway: number;
  readonly reach: (to: Destination) => Endpoint | undefined;
  /** 32 random bits, for initial sequence numbers. */
  readonly random: () => number;
}

/** A connection that a save cut: the guest is reset when the machine goes on. */
export interface CutConnection {
  readonly guest: Address;
  readonly remote: Address;
  readonly next: number;
  readonly acknowledged: number;
}

export class TcpNat implements TcpTable {
  readonly output: IpOutput;
  readonly clock: Clock;
  readonly #options: TcpNatOptions;
  readonly #connections = new Map<string, TcpConnection>();
  /** Connections with something to send, served in turn. */
  readonly #owing = new Set<TcpConnection>();
  #cut: CutConnection[] = [];
  #batch = 0;
  #stopTicks: (() => void) | undefined;

  constructor(options: TcpNatOptions) {
    this.#options = options;
    this.output = options.output;
    this.clock = options.clock;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get bufferBytes(): number {
    const share = Math.floor(allBufferBytes / Math.max(1, this.#connections.size));
    return Math.max(leastBufferBytes, Math.min(mostBufferBytes, share));
  }

  /** Takes a segment of the guest; its answers wait for `flush`. */
  segment(from: Address, to: Address, segment: TcpSegment, payload: Uint8Array): void {
    const key = keyOf(from, to);
    const known = this.#connections.get(key);
    this.#batch++;
    if (known !== undefined) known.segment(segment, payload);
    else if ((segment.flags & (flag.syn | flag.ack | flag.rst)) === flag.syn) this.#called(key, from, to, segment);
    else if ((segment.flags & flag.rst) === 0) this.#refuse(from, to, segment, payload.length);
    this.#batch--;
  }

  /** Sends all that is owed, in turn, until the guest has no more room. */
  flush(): void {
    for (let cut = this.#cut[0]; cut !== undefined; cut = this.#cut[0]) {
      if (!this.#reset(cut)) return;
      this.#cut.shift();
    }
    for (const connection of this.#owing) {
      if (!connection.transmit()) return;
      this.#owing.delete(connection);
      if (connection.waiting) this.#tickFromNow();
    }
  }

  owes(connection: TcpConnection): void {
    const others = this.#owing.size > 0;
    this.#owing.add(connection);
    // News from the host go at once, unless the guest was full; what answers the guest waits for the batch's end.
    if (this.#batch === 0 && !others) this.flush();
  }

  unreachable(connection: TcpConnection): void {
    const { guest, remote } = connection;
    const packet = {
      protocol: protocol.tcp,
      source: guest.address,
      destination: remote.address,
      sourcePort: guest.port,
      destinationPort: remote.port,
      word: connection.initialOfGuest,
    };
    sendUnreachable(this.output, this.#options.gateway, packet, unreachable.host);
  }

  remove(connection: TcpConnection): void {
    const key = keyOf(connection.guest, connection.remote);
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
  }

  /** Forwards the host's port `at` to the guest; a client is seen as the gateway. */
  forward(at: Endpoint, to: Address): Promise<Listener> {
    return this.#options.sockets.listenTcp(at, (stream, from) => this.#calling(stream, from, to));
  }

  /** Breaks every connection on the host's side. */
  clear(): void {
    for (const connection of this.#connections.values()) connection.drop();
    this.#connections.clear();
    this.#owing.clear();
    this.#cut = [];
    this.#stopTicks?.();
    this.#stopTicks = undefined;
  }

  save(): CutConnection[] {
    const open = [...this.#connections.values()];
    return [...this.#cut, ...open.map(({ guest, remote, numbers }) => ({ guest, remote, ...numbers }))];
  }

  load(cut: readonly CutConnection[]): void {
    this.clear();
    this.#cut = [...cut];
  }

  #called(key: string, from: Address, to: Address, syn: TcpSegment): void {
    const endpoint = this.#connections.size < maxConnections ? this.#reachable(to) : undefined;
    if (endpoint === undefined) {
      this.#refuse(from, to, syn, 0);
      return;
    }
    const connect = (events: StreamEvents): Stream => this.#options.sockets.connectTcp(endpoint, events);
    this.#connections.set(key, TcpConnection.called(this, from, to, this.#options.random(), syn, connect));
  }

  #calling(stream: Stream, from: Endpoint, to: Address): StreamEvents {
    const remote = { address: this.#options.gateway, port: from.port };
    for (let tries = 0; this.#connections.has(keyOf(to, remote)); tries++) {
      remote.port = 49_152 + ((remote.port + 1) % 16_384);
      if (tries > maxConnections) break;
    }
    const connection = TcpConnection.calling(this, to, remote, this.#options.random(), stream);
    if (this.#connections.size >= maxConnections) {
      this.#owing.delete(connection);
      connection.drop();
    } else {
      this.#connections.set(keyOf(to, remote), connection);
      this.#tickFromNow();
    }
    return connection;
  }

  #reachable(to: Address): Endpoint | undefined {
    return this.#options.reach({ protocol: 'tcp', ...to });
  }

  /** Answers a segment of no connection with a reset (RFC 9293, section 3.10.7.1). */
  #refuse(from: Address, to: Address, segment: TcpSegment, payloadBytes: number): void {
    const acknowledges = (segment.flags & flag.ack) !== 0;
    const ends = (segment.flags & (flag.syn | flag.fin)) !== 0 ? 1 : 0;
    sendTcp(this.output, {
      from: to,
      to: from,
      sequence: acknowledges ? segment.acknowledgment : 0,
      acknowledgment: acknowledges ? 0 : (segment.sequence + payloadBytes + ends) >>> 0,
      flags: acknowledges ? flag.rst : flag.rst | flag.ack,
      window: 0,
    });
  }

  #reset(cut: CutConnection): boolean {
    return sendTcp(this.output, {
      from: cut.remote,
      to: cut.guest,
      sequence: cut.next,
      acknowledgment: cut.acknowledged,
      flags: flag.rst | flag.ack,
      window: 0,
    });
  }

  #tickFromNow(): void {
    this.#stopTicks ??= this.clock.every(tickMs, () => {
      const now = this.clock.now();
      let waiting = false;
      for (const connection of this.#connections.values()) {
        // A connection that the guest's full queue holds back waits for the queue, not for the clock.
        if (!this.#owing.has(connection)) connection.tick(now);
        waiting ||= connection.waiting;
      }
      if (waiting) return;
      this.#stopTicks?.();
      this.#stopTicks = undefined;
    });
  }
}

function keyOf(guest: Address, remote: Address): string {
  return `${guest.address}:${guest.port} ${remote.address}:${remote.port}`;
}
