// A host for the tests of the user-mode stack: sockets in memory, and a clock that goes when it is told to.
import type { Clock } from './clock.ts';
import type { Endpoint, Listener, Sockets, UdpEvents, UdpSocket } from './sockets.ts';
import type { Stream, StreamEvents } from './stream.ts';

export class ClockFixture implements Clock {
  /** Called after each step. */
  afterStep: () => void = () => undefined;
  #now = 0;
  readonly #timers = new Set<{ at: number; readonly ms: number; readonly work: () => void }>();

  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  every(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, ms, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now = Math.min(end, this.#now + 50);
      for (const timer of this.#timers) {
        if (timer.at > this.#now) continue;
        timer.at += timer.ms;
        timer.work();
      }
      this.afterStep();
    }
  }
}

/** The host's end of a stream; `holds` keeps what was written from being taken. */
export class StreamFixture implements Stream {
  readonly to: Endpoint;
  readonly events: StreamEvents;
  readonly written: Uint8Array[] = [];
  state: 'open' | 'ended' | 'closed' | 'reset' = 'open';
  paused = false;
  holds = false;
  waitingBytes = 0;

  constructor(to: Endpoint, events: StreamEvents) {
    this.to = to;
    this.events = events;
  }

  text(): string {
    return this.written.map((piece) => new TextDecoder().decode(piece)).join('');
  }

  get writtenBytes(): number {
    return this.written.reduce((sum, piece) => sum + piece.length, 0);
  }

  release(): void {
    this.holds = false;
    this.waitingBytes = 0;
    this.events.drained();
  }

  write(bytes: Uint8Array): void {
    this.written.push(bytes.slice());
    if (this.holds) this.waitingBytes += bytes.length;
  }

  end(): void {
    this.state = 'ended';
  }

  close(): void {
    this.state = 'closed';
  }

  reset(): void {
    this.state = 'reset';
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

export class SocketsFixture implements Sockets {
  readonly streams: StreamFixture[] = [];
  readonly datagrams: { readonly to: Endpoint; readonly bytes: Uint8Array }[] = [];
  readonly udp: UdpEvents[] = [];
  openUdpSockets = 0;
  accept: ((stream: Stream, from: Endpoint) => StreamEvents) | undefined;

  connectTcp(to: Endpoint, events: StreamEvents): Stream {
    const stream = new StreamFixture(to, events);
    this.streams.push(stream);
    return stream;
  }

  async listenTcp(at: Endpoint, accept: (stream: Stream, from: Endpoint) => StreamEvents): Promise<Listener> {
    this.accept = accept;
    return { at, close: () => undefined };
  }

  /** A client of the host calls a port that is forwarded. */
  call(from: Endpoint): StreamFixture {
    let target: StreamEvents | undefined;
    const events = new Proxy({} as StreamEvents, { get: (_, name) => Reflect.get(target!, name).bind(target) });
    const stream = new StreamFixture(from, events);
    target = this.accept!(stream, from);
    return stream;
  }

  openUdp(events: UdpEvents): UdpSocket {
    this.udp.push(events);
    this.openUdpSockets++;
    return {
      send: (bytes, to) => this.datagrams.push({ to, bytes: bytes.slice() }),
      close: () => this.openUdpSockets--,
    };
  }

  async bindUdp(at: Endpoint, events: UdpEvents): Promise<UdpSocket & Listener> {
    return { at, ...this.openUdp(events) };
  }

  resolver(): Endpoint {
    return { host: '192.0.2.53', port: 53 };
  }
}
