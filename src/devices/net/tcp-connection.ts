// One TCP connection of the guest, ended here and carried on by a stream to the host (RFC 9293). Both ways are bounded:
// the guest's window is what the host's stream may still take, and the host's stream is paused while the guest lags.
import type { Clock } from './clock.ts';
import type { IpOutput } from './ip-output.ts';
import type { Stream, StreamEvents, StreamFailure } from './stream.ts';
import { TcpReceiver, windowScale } from './tcp-receiver.ts';
import { flag, sendTcp, type TcpSegment } from './tcp-segment.ts';
import { TcpSender } from './tcp-sender.ts';
import type { Address } from './udp.ts';

const synTimeoutMs = 1000;
const maxSyns = 6;

/** What a connection needs of the table that it is in. */
export interface TcpTable {
  readonly output: IpOutput;
  readonly clock: Clock;
  /** Bytes that each way of a connection may hold at this time. */
  readonly bufferBytes: number;
  /** The connection has something for the guest: `transmit` is to be called soon. */
  owes(connection: TcpConnection): void;
  /** The host cannot be reached; the guest is to be told by ICMP. */
  unreachable(connection: TcpConnection): void;
  remove(connection: TcpConnection): void;
}

/**
 * connecting: the guest called, the host's stream is not there yet. synReceived: it is, and the guest was told.
 * synSent: a host's client called, the guest is asked.
 */
type Phase = 'connecting' | 'synReceived' | 'synSent' | 'open' | 'closed';

export class TcpConnection implements StreamEvents {
  readonly guest: Address;
  readonly remote: Address;
  readonly #table: TcpTable;
  readonly #initial: number;
  readonly #sender: TcpSender;
  readonly #receiver = new TcpReceiver();
  #stream: Stream | undefined;
  #phase: Phase;
  #owesAck = false;
  #owesSyn = false;
  #owesReset = false;
  #paused = false;
  #syns = 0;
  #synAt = 0;

  private constructor(table: TcpTable, guest: Address, remote: Address, initial: number, phase: Phase) {
    this.#table = table;
    this.guest = guest;
    this.remote = remote;
    this.#initial = initial;
    this.#sender = new TcpSender(initial);
    this.#phase = phase;
  }

  /** A connection that the guest asks for with `syn`; `connect` begins the host's stream. */
  static called(
    table: TcpTable,
    guest: Address,
    remote: Address,
    initial: number,
    syn: TcpSegment,
    connect: (events: StreamEvents) => Stream,
  ): TcpConnection {
    const connection = new TcpConnection(table, guest, remote, initial, 'connecting');
    connection.#meet(syn);
    connection.#stream = connect(connection);
    return connection;
  }

  /** A connection of a host's client, whose stream is `stream`, that the guest is asked for. */
  static calling(table: TcpTable, guest: Address, remote: Address, initial: number, stream: Stream): TcpConnection {
    const connection = new TcpConnection(table, guest, remote, initial, 'synSent');
    connection.#stream = stream;
    connection.#sendSyn();
    return connection;
  }

  /** Sequence numbers by which the guest would believe a reset. */
  get numbers(): { readonly next: number; readonly acknowledged: number } {
    return { next: this.#sender.next, acknowledged: this.#receiver.next };
  }

  get initialOfGuest(): number {
    return (this.#receiver.next - 1) >>> 0;
  }

  // From the guest.

  /** Takes a segment of the guest. */
  segment(segment: TcpSegment, payload: Uint8Array): void {
    if (this.#phase === 'closed') return;
    if ((segment.flags & flag.rst) !== 0) {
      this.#guestReset(segment);
      return;
    }
    if (this.#phase === 'connecting') return;
    if (this.#phase === 'synSent') {
      this.#answered(segment);
      return;
    }
    if ((segment.flags & flag.syn) !== 0) {
      if (this.#phase === 'synReceived') this.#sendSyn();
      else this.#acknowledge();
      return;
    }
    if ((segment.flags & flag.ack) === 0) return;
    if (this.#phase === 'synReceived') {
      if (segment.acknowledgment !== (this.#initial + 1) >>> 0) {
        this.#abort();
        return;
      }
      this.#phase = 'open';
    }
    if (!this.#sender.acknowledge(segment, payload.length, this.#table.clock.now())) {
      this.#acknowledge();
      return;
    }
    this.#resumeHost();
    this.#take(segment, payload);
    this.#table.owes(this);
  }

  /** Sends what is owed; false when the guest had no room for all of it. */
  transmit(): boolean {
    if (this.#owesReset) {
      if (!this.#send(flag.rst | flag.ack)) return false;
      this.#owesReset = false;
      this.#table.remove(this);
      return true;
    }
    if (this.#owesSyn) {
      if (!this.#transmitSyn()) return false;
      this.#owesSyn = false;
    }
    if (this.#phase !== 'open') return true;
    const now = this.#table.clock.now();
    for (let plan = this.#sender.plan(now); plan !== undefined; plan = this.#sender.plan(now)) {
      const push = plan.from + plan.bytes === this.#sender.queue.bytes ? flag.psh : 0;
      const flags = flag.ack | (plan.bytes > 0 ? push : 0) | (plan.fin ? flag.fin : 0);
      if (!this.#send(flags, this.#sender.queue.slice(plan.from, plan.bytes), plan.bytes)) return false;
      this.#sender.sent(plan, now);
    }
    if (this.#owesAck && !this.#send(flag.ack)) return false;
    if (this.#receiver.ended && this.#sender.finAcknowledged) this.#close();
    return true;
  }

  /** Whether `tick` has something to wait for. */
  get waiting(): boolean {
    return this.#sender.waiting || this.#phase === 'synSent' || this.#phase === 'synReceived';
  }

  /** Looks at the clock. */
  tick(now: number): void {
    if (this.#phase === 'synSent' || this.#phase === 'synReceived') {
      if (now < this.#synAt) return;
      if (this.#syns > maxSyns) this.#abort();
      else this.#sendSyn();
    } else if (this.#phase === 'open') {
      const what = this.#sender.tick(now);
      if (what === 'dead') this.#abort();
      else if (what === 'again') this.#table.owes(this);
    }
  }

  /** Breaks the host's side; the guest is not told. */
  drop(): void {
    this.#stream?.reset();
    this.#phase = 'closed';
    this.#sender.queue.clear();
  }

  // From the host.

  connected(): void {
    if (this.#phase !== 'connecting') return;
    this.#phase = 'synReceived';
    this.#sendSyn();
  }

  received(bytes: Uint8Array): void {
    if (this.#phase === 'closed') return;
    this.#sender.queue.add(bytes);
    if (!this.#paused && this.#sender.queue.bytes >= this.#table.bufferBytes) {
      this.#paused = true;
      this.#stream?.pause();
    }
    this.#table.owes(this);
  }

  ended(): void {
    if (this.#phase === 'closed') return;
    this.#sender.finish();
    this.#table.owes(this);
  }

  drained(): void {
    if (this.#phase !== 'open' || this.#receiver.ended) return;
    if (this.#room() - this.#receiver.told >= Math.min(this.#table.bufferBytes / 2, 2 * this.#table.output.mtu))
      this.#acknowledge();
  }

  closed(why?: StreamFailure): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'connecting' && why === 'unreachable') {
      this.#table.unreachable(this);
      this.#close();
    } else if (why !== undefined || this.#phase !== 'open') {
      this.#stream = undefined;
      this.#abort();
    } else this.#sender.finish();
  }

  /** The guest's SYN tells where it begins and what it can take. */
  #meet(syn: TcpSegment): void {
    this.#receiver.open(syn);
    this.#sender.open(syn, this.#table.output.mtu);
  }

  /** The guest's answer to our SYN. */
  #answered(segment: TcpSegment): void {
    if ((segment.flags & flag.syn) === 0 || (segment.flags & flag.ack) === 0) return;
    if (segment.acknowledgment !== (this.#initial + 1) >>> 0) return;
    this.#meet(segment);
    this.#phase = 'open';
    this.#owesSyn = false;
    this.#acknowledge();
  }

  /** Passes on what is new and in order. */
  #take(segment: TcpSegment, payload: Uint8Array): void {
    if (payload.length === 0 && (segment.flags & flag.fin) === 0) return;
    this.#owesAck = true;
    const { bytes, ended } = this.#receiver.take(segment, payload);
    if (bytes.length > 0) this.#stream?.write(bytes);
    if (ended) this.#stream?.end();
  }

  /** Believed when it names the next sequence number, or the SYN it answers (RFC 5961, section 3). */
  #guestReset(segment: TcpSegment): void {
    if (this.#phase === 'synSent') {
      if (segment.acknowledgment !== (this.#initial + 1) >>> 0) return;
    } else {
      const judged = this.#receiver.judgeReset(segment.sequence);
      if (judged === 'within') this.#acknowledge();
      if (judged !== 'exact') return;
    }
    this.drop();
    this.#table.remove(this);
  }

  #resumeHost(): void {
    if (!this.#paused || this.#sender.queue.bytes > this.#table.bufferBytes / 2) return;
    this.#paused = false;
    this.#stream?.resume();
  }

  #acknowledge(): void {
    this.#owesAck = true;
    this.#table.owes(this);
  }

  #sendSyn(): void {
    this.#synAt = this.#table.clock.now() + synTimeoutMs * 2 ** this.#syns;
    this.#syns++;
    this.#owesSyn = true;
    this.#table.owes(this);
  }

  #transmitSyn(): boolean {
    const calling = this.#phase === 'synSent';
    return this.#receiver.announce(this.#room(), 0, (window) =>
      sendTcp(this.#table.output, {
        from: this.remote,
        to: this.guest,
        sequence: this.#initial,
        acknowledgment: calling ? 0 : this.#receiver.next,
        flags: calling ? flag.syn : flag.syn | flag.ack,
        window,
        maxSegmentBytes: this.#table.output.mtu - 40,
        windowScale: calling || this.#receiver.scaled ? windowScale : undefined,
      }),
    );
  }

  #send(flags: number, body: readonly Uint8Array[] = [], bodyBytes = 0): boolean {
    const sent = this.#receiver.announce(this.#room(), this.#receiver.scaled ? windowScale : 0, (window) =>
      sendTcp(this.#table.output, {
        from: this.remote,
        to: this.guest,
        sequence: this.#sender.next,
        acknowledgment: this.#receiver.next,
        flags,
        window,
        body,
        bodyBytes,
        segmentBytes: this.#sender.segmentBytes,
      }),
    );
    if (sent) this.#owesAck = false;
    return sent;
  }

  #room(): number {
    return Math.max(0, this.#table.bufferBytes - (this.#stream?.waitingBytes ?? 0));
  }

  /** Breaks both sides. */
  #abort(): void {
    this.#stream?.reset();
    this.#phase = 'closed';
    this.#sender.queue.clear();
    this.#owesReset = true;
    this.#table.owes(this);
  }

  #close(): void {
    this.#phase = 'closed';
    this.#table.remove(this);
  }
}
