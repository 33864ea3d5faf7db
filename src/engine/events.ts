// What happened, told to all who listen and kept for those who ask later. Events tell; they never steer.
import { EventEmitter } from 'node:events';
import { nowNanos } from '../base/clock.ts';

/** What happened. `action` and `attributes` are named as in Docker's own events ("die", "exitCode"). */
export interface EngineEvent {
  readonly type: 'container' | 'image' | 'volume' | 'network' | 'daemon' | 'machine';
  readonly action: string;
  readonly actorId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970. */
  readonly at: bigint;
}

const kept = 4096;

export class Events {
  readonly #past: EngineEvent[] = [];
  readonly #emitter = new EventEmitter().setMaxListeners(0);

  emit(event: Omit<EngineEvent, 'at'>): void {
    const told = { ...event, at: nowNanos() };
    this.#past.push(told);
    if (this.#past.length > kept) this.#past.shift();
    this.#emitter.emit('event', told);
  }

  /** Past events from `since` (none without it), then new ones, until `until` or the signal. */
  async *subscribe(range: { since?: bigint; until?: bigint }, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const queue: EngineEvent[] =
      range.since === undefined && range.until === undefined ? [] : this.#between(range.since ?? 0n, range.until);
    let wake = Promise.withResolvers<void>();
    const ring = () => wake.resolve();
    const listen = (event: EngineEvent) => {
      queue.push(event);
      ring();
    };
    const isOver = () => signal.aborted || (range.until !== undefined && nowNanos() > range.until);
    const timer = range.until === undefined ? undefined : setTimeout(ring, millisUntil(range.until));
    this.#emitter.on('event', listen);
    signal.addEventListener('abort', ring, { once: true });
    try {
      for (;;) {
        for (const event of queue.splice(0)) {
          if (range.until === undefined || event.at <= range.until) yield event;
        }
        if (isOver()) return;
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    } finally {
      clearTimeout(timer);
      this.#emitter.off('event', listen);
      signal.removeEventListener('abort', ring);
    }
  }

  #between(since: bigint, until: bigint | undefined): EngineEvent[] {
    return this.#past.filter((event) => event.at >= since && (until === undefined || event.at <= until));
  }
}

function millisUntil(at: bigint): number {
  return Math.min(Math.max(0, Number((at - nowNanos()) / 1_000_000n) + 2), 2 ** 31 - 1);
}
