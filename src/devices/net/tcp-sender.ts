// The half of a TCP connection that sends to the guest: what is in flight, the guest's window, sending again.
// The way is memory, so there is no congestion to control; but a guest may drop what it got for want of memory or by a
// filter, and a switch between may too. Then all from the first missing byte is sent once more (RFC 9293, 3.8).
import { SendQueue } from './send-queue.ts';
import type { TcpSegment } from './tcp-segment.ts';

const firstTimeoutMs = 1000;
const longestTimeoutMs = 60_000;
const maxTimeouts = 15;
const maxPayloadBytes = 65_535 - 40;

/** What is to be sent next: bytes of the queue from a position on, and perhaps the end. */
export interface Plan {
  readonly from: number;
  readonly bytes: number;
  readonly fin: boolean;
}

export class TcpSender {
  readonly queue: SendQueue = new SendQueue();
  /** The first sequence number that is not acknowledged, the next to send, and the highest ever sent. */
  #unacknowledged: number;
  #next: number;
  #highest: number;
  #window = 0;
  #scale = 0;
  #segmentBytes = 536;
  #finished = false;
  #finAcknowledged = false;
  #duplicates = 0;
  /** Sending again has begun; no second time until all of this is acknowledged. */
  #recover: number | undefined;
  #probe = false;
  #timeoutAt: number | undefined;
  #timeouts = 0;

  /** `initial` is the SYN's sequence number. */
  constructor(initial: number) {
    this.#unacknowledged = this.#next = this.#highest = (initial + 1) >>> 0;
  }

  get next(): number {
    return this.#next;
  }

  /** Payload of one segment on the wire. */
  get segmentBytes(): number {
    return this.#segmentBytes;
  }

  get finAcknowledged(): boolean {
    return this.#finAcknowledged;
  }

  /** The guest's SYN: its segment size, window and scale. `mtu` is that of its network. */
  open(syn: TcpSegment, mtu: number): void {
    this.#segmentBytes = Math.max(64, Math.min(syn.maxSegmentBytes ?? 536, mtu - 40));
    this.#scale = syn.windowScale ?? 0;
    this.#window = syn.window;
  }

  /** No more bytes will be added. */
  finish(): void {
    this.#finished = true;
  }

  /** Takes an acknowledgment; false when it is of something never sent. */
  acknowledge(segment: TcpSegment, payloadBytes: number, now: number): boolean {
    const acknowledged = (segment.acknowledgment - this.#unacknowledged) | 0;
    const inFlight = (this.#highest - this.#unacknowledged) | 0;
    if (acknowledged > inFlight) return false;
    if (acknowledged < 0) return true;
    const window = segment.window * 2 ** this.#scale;
    if (acknowledged > 0) this.#advance(acknowledged, inFlight, now);
    else if (inFlight > 0 && payloadBytes === 0 && window === this.#window) this.#duplicate();
    if (window > 0 && inFlight === 0) this.#timeoutAt = undefined;
    if (this.#probe || inFlight === 0) this.#timeouts = 0;
    this.#window = window;
    return true;
  }

  /** What to send now; undefined when all is sent, or the window is full. */
  plan(now: number): Plan | undefined {
    const from = (this.#next - this.#unacknowledged) | 0;
    const unsent = this.queue.bytes - from;
    if (unsent === 0 && this.#finished && !this.#finAcknowledged) return { from, bytes: 0, fin: true };
    if (unsent <= 0) return undefined;
    const usable = Math.max(this.#window - from, this.#probe ? 1 : 0);
    let bytes = Math.min(unsent, usable, maxPayloadBytes);
    // Whole segments while more is to come; no crumbs while an acknowledgment is on its way (RFC 9293, 3.8.6.2).
    if (bytes < unsent) {
      if (bytes > this.#segmentBytes) bytes -= bytes % this.#segmentBytes;
      else if (bytes < this.#segmentBytes && from > 0) bytes = 0;
    }
    if (bytes <= 0) {
      this.#timeoutAt ??= now + firstTimeoutMs;
      return undefined;
    }
    return { from, bytes, fin: this.#finished && bytes === unsent };
  }

  sent(plan: Plan, now: number): void {
    this.#next = (this.#next + plan.bytes + (plan.fin ? 1 : 0)) >>> 0;
    if (((this.#next - this.#highest) | 0) > 0) this.#highest = this.#next;
    this.#probe = false;
    this.#timeoutAt ??= now + firstTimeoutMs;
  }

  /** Whether `tick` has something to wait for. */
  get waiting(): boolean {
    return this.#timeoutAt !== undefined;
  }

  /** Looks at the clock: "again" when something must be sent once more, "dead" when the guest has long not answered. */
  tick(now: number): 'wait' | 'again' | 'dead' {
    if (this.#timeoutAt === undefined || now < this.#timeoutAt) return 'wait';
    this.#timeouts++;
    if (this.#timeouts > maxTimeouts) return 'dead';
    this.#timeoutAt = now + Math.min(longestTimeoutMs, firstTimeoutMs * 2 ** this.#timeouts);
    this.#next = this.#unacknowledged;
    this.#probe = true;
    return 'again';
  }

  #advance(acknowledged: number, inFlight: number, now: number): void {
    const bytes = Math.min(acknowledged, this.queue.bytes);
    if (acknowledged > bytes) this.#finAcknowledged = true;
    this.queue.acknowledge(bytes);
    this.#unacknowledged = (this.#unacknowledged + acknowledged) >>> 0;
    if (((this.#next - this.#unacknowledged) | 0) < 0) this.#next = this.#unacknowledged;
    if (this.#recover !== undefined && ((this.#unacknowledged - this.#recover) | 0) >= 0) this.#recover = undefined;
    this.#duplicates = 0;
    this.#timeouts = 0;
    this.#timeoutAt = acknowledged === inFlight ? undefined : now + firstTimeoutMs;
  }

  #duplicate(): void {
    this.#duplicates++;
    if (this.#duplicates !== 3 || this.#recover !== undefined) return;
    this.#recover = this.#highest;
    this.#next = this.#unacknowledged;
  }
}
