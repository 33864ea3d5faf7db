// The half of a TCP connection that takes from the guest: what is next, and the window it was told, which never shrinks
// from its far end. Only what is in order is taken; the rest the guest sends once more (RFC 9293, section 3.8).
import { flag, type TcpSegment } from './tcp-segment.ts';

/** Shift of the windows that the guest is told: up to 8 MiB. */
export const windowScale = 7;

export interface Taken {
  /** New bytes, in order. */
  readonly bytes: Uint8Array;
  /** The guest sends no more after these. */
  readonly ended: boolean;
}

export class TcpReceiver {
  #next = 0;
  /** The end of the window that the guest was told. */
  #announced = 0;
  #scaled = false;
  #ended = false;

  /** The next sequence number of the guest: what is acknowledged. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that the guest may still send. */
  get told(): number {
    return (this.#announced - this.#next) | 0;
  }

  get scaled(): boolean {
    return this.#scaled;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The guest's SYN tells where it begins, and whether windows are scaled. */
  open(syn: TcpSegment): void {
    this.#next = this.#announced = (syn.sequence + 1) >>> 0;
    this.#scaled = syn.windowScale !== undefined;
  }

  take(segment: TcpSegment, payload: Uint8Array): Taken {
    const known = (this.#next - segment.sequence) | 0;
    if (this.#ended || known < 0 || known > payload.length) return { bytes: payload.subarray(0, 0), ended: false };
    const end = Math.min(payload.length, known + this.told);
    const ended = (segment.flags & flag.fin) !== 0 && end === payload.length;
    this.#next = (this.#next + end - known + (ended ? 1 : 0)) >>> 0;
    this.#ended = ended;
    return { bytes: payload.subarray(known, end), ended };
  }

  /** Where a reset with this sequence number stands: it counts, it must be asked back, or it is nothing (RFC 5961). */
  judgeReset(sequence: number): 'exact' | 'within' | 'outside' {
    const ahead = (sequence - this.#next) | 0;
    if (ahead === 0) return 'exact';
    return ahead > 0 && ahead <= this.told ? 'within' : 'outside';
  }

  /** The window field for a segment, with `room` bytes of room; `send` says whether it went out, else nothing was told. */
  announce(room: number, scale: number, send: (field: number) => boolean): boolean {
    const field = Math.min(0xffff, Math.max(room, this.told) >>> scale);
    const window = field * 2 ** scale;
    if (!send(field)) return false;
    if (window > this.told) this.#announced = (this.#next + window) >>> 0;
    return true;
  }
}
