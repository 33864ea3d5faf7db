// One vsock connection between the guest and a stream of the host (virtio 1.2, section 5.10.6.3 on credit): each side
// sends no more than the other has room for, and says as it passes bytes on.
import { SendQueue } from '../net/send-queue.ts';
import type { Stream, StreamEvents } from '../net/stream.ts';
import { operation, shutdownFlag, streamType, type VsockHeader } from './packet.ts';

/** What the guest may send before the host took it, and what is kept of the host's for a guest without room. */
export const bufferBytes: number = 256 * 1024;
/** So that several connections share the guest's buffers fairly. */
const maxPacketBytes = 64 * 1024;

export interface VsockTable {
  readonly guestCid: number;
  owes(connection: VsockConnection): void;
  remove(connection: VsockConnection): void;
  /** Puts a packet into the guest's queue; the bytes of `body` it took, undefined when there was no room. */
  put(header: VsockHeader, body: SendQueue | undefined, bodyBytes: number): number | undefined;
}

/** called: the guest asked, the host's stream is not there yet. calling: the guest is asked. */
type Phase = 'called' | 'calling' | 'open' | 'closed';

export class VsockConnection implements StreamEvents {
  readonly guestPort: number;
  readonly hostPort: number;
  readonly #table: VsockTable;
  readonly #queue = new SendQueue();
  readonly #operations: number[] = [];
  #answered: ((hostPort: number | undefined) => void) | undefined;
  #stream: Stream | undefined;
  #phase: Phase;
  #paused = false;
  #sent = 0;
  #guestRoom = 0;
  #guestForwarded = 0;
  #received = 0;
  #told = 0;
  #guestSends = true;
  #guestReceives = true;
  #hostEnded = false;
  #toldEnd = false;

  constructor(
    table: VsockTable,
    guestPort: number,
    hostPort: number,
    how:
      | { readonly request: VsockHeader }
      | { readonly stream: Stream; readonly answered: (hostPort: number | undefined) => void },
  ) {
    this.#table = table;
    this.guestPort = guestPort;
    this.hostPort = hostPort;
    if ('request' in how) {
      this.#phase = 'called';
      this.#credit(how.request);
    } else {
      this.#phase = 'calling';
      this.#stream = how.stream;
      this.#answered = how.answered;
      this.#paused = true;
      how.stream.pause();
      this.#owe(operation.request);
    }
  }

  /** The stream whose events this is, for a connection that the guest asked for. */
  join(stream: Stream): void {
    this.#stream = stream;
  }

  /** Takes a packet of the guest. */
  packet(header: VsockHeader, payload: readonly Uint8Array[]): void {
    if (this.#phase === 'closed') return;
    this.#credit(header);
    if (header.operation === operation.reset) this.#end();
    else if (this.#phase === 'calling') {
      if (header.operation === operation.response) this.#taken();
      else this.#abort();
    } else if (header.operation === operation.data && this.#phase === 'open') this.#take(header.bytes, payload);
    else if (header.operation === operation.shutdown && this.#phase === 'open') this.#guestShutdown(header.flags);
    else if (header.operation === operation.creditRequest) this.#owe(operation.creditUpdate);
    else if (header.operation !== operation.creditUpdate) this.#abort();
    this.#table.owes(this);
  }

  /** Sends what is owed; false when the guest had no room for all of it. */
  transmit(): boolean {
    for (let next = this.#operations[0]; next !== undefined; next = this.#operations[0]) {
      if (this.#put(next, 0, 0) === undefined) return false;
      this.#operations.shift();
      if (next === operation.reset) this.#table.remove(this);
    }
    if (this.#phase !== 'open') return true;
    for (let bytes = this.#sendable(); bytes > 0; bytes = this.#sendable()) {
      const taken = this.#put(operation.data, 0, bytes);
      if (taken === undefined) return false;
      this.#queue.acknowledge(taken);
      this.#sent = (this.#sent + taken) >>> 0;
    }
    if (this.#paused && this.#queue.bytes < bufferBytes / 2) {
      this.#paused = false;
      this.#stream?.resume();
    }
    if (!this.#hostEnded || this.#queue.bytes > 0 || this.#toldEnd) return true;
    // Nothing more to send; and nothing more is received once the guest said so too.
    const flags = this.#guestSends ? shutdownFlag.send : shutdownFlag.send | shutdownFlag.receive;
    if (this.#put(operation.shutdown, flags, 0) === undefined) return false;
    this.#toldEnd = true;
    return true;
  }

  /** Breaks the host's side; the guest is not told. */
  drop(): void {
    this.#phase = 'closed';
    this.#queue.clear();
    this.#refuse();
    this.#stream?.reset();
    this.#stream = undefined;
  }

  connected(): void {
    if (this.#phase !== 'called') return;
    this.#phase = 'open';
    this.#owe(operation.response);
  }

  received(bytes: Uint8Array): void {
    if (this.#phase === 'closed' || !this.#guestReceives) return;
    this.#queue.add(bytes);
    if (!this.#paused && this.#queue.bytes >= bufferBytes) {
      this.#paused = true;
      this.#stream?.pause();
    }
    this.#table.owes(this);
  }

  ended(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'calling') {
      this.#abort();
      return;
    }
    this.#hostEnded = true;
    this.#table.owes(this);
  }

  drained(): void {
    this.#tellCredit(bufferBytes / 4);
  }

  closed(why?: string): void {
    if (this.#phase === 'closed') return;
    this.#stream = undefined;
    if (why !== undefined || this.#phase !== 'open') this.#abort();
    else this.ended();
  }

  #taken(): void {
    this.#phase = 'open';
    this.#answered?.(this.hostPort);
    this.#answered = undefined;
  }

  #refuse(): void {
    const answered = this.#answered;
    this.#answered = undefined;
    if (answered === undefined) return;
    this.#stream = undefined;
    answered(undefined);
  }

  #take(bytes: number, payload: readonly Uint8Array[]): void {
    if (!this.#guestSends || bytes > bufferBytes - (this.#stream?.waitingBytes ?? 0)) {
      this.#abort();
      return;
    }
    this.#received = (this.#received + bytes) >>> 0;
    for (const piece of payload) this.#stream?.write(piece);
    this.#tellCredit(bufferBytes / 2);
  }

  /** Tells the guest of new room, once it is worth a packet. */
  #tellCredit(least: number): void {
    if (this.#phase === 'open' && (this.#forwarded() - this.#told) >>> 0 >= least) this.#owe(operation.creditUpdate);
  }

  #guestShutdown(flags: number): void {
    if ((flags & shutdownFlag.send) !== 0) this.#guestSends = false;
    if ((flags & shutdownFlag.receive) !== 0) {
      this.#guestReceives = false;
      this.#queue.clear();
    }
    // Both ways are over: a reset says that the connection is gone (section 5.10.6.6).
    if (this.#guestSends || this.#guestReceives) {
      if (!this.#guestSends) this.#stream?.end();
      return;
    }
    this.#phase = 'closed';
    this.#stream?.close();
    this.#owe(operation.reset);
  }

  /** The guest is gone: what it sent still goes to the host. */
  #end(): void {
    if (this.#answered !== undefined) this.#refuse();
    else if (this.#toldEnd) this.#stream?.close();
    else this.#stream?.reset();
    this.#phase = 'closed';
    this.#queue.clear();
    this.#table.remove(this);
  }

  #abort(): void {
    this.drop();
    this.#operations.length = 0;
    this.#owe(operation.reset);
  }

  #credit(header: VsockHeader): void {
    this.#guestRoom = header.bufferBytes;
    this.#guestForwarded = header.forwarded;
  }

  #sendable(): number {
    const inFlight = (this.#sent - this.#guestForwarded) >>> 0;
    return Math.max(0, Math.min(this.#queue.bytes, this.#guestRoom - inFlight, maxPacketBytes));
  }

  #forwarded(): number {
    return (this.#received - (this.#stream?.waitingBytes ?? 0)) >>> 0;
  }

  #owe(what: number): void {
    if (!this.#operations.includes(what)) this.#operations.push(what);
    this.#table.owes(this);
  }

  #put(what: number, flags: number, bytes: number): number | undefined {
    const forwarded = this.#forwarded();
    const header = {
      sourceCid: 2,
      destinationCid: this.#table.guestCid,
      sourcePort: this.hostPort,
      destinationPort: this.guestPort,
      bytes,
      type: streamType,
      operation: what,
      flags,
      bufferBytes,
      forwarded,
    };
    const taken = this.#table.put(header, bytes > 0 ? this.#queue : undefined, bytes);
    if (taken !== undefined) this.#told = forwarded;
    return taken;
  }
}
