// Clocks of a browser for a machine.
import type { WallClock } from '../../devices/rtc.ts';

/**
 * Milliseconds that the page and all its workers share. Each counts `now` from a time origin of its own; the origins of one
 * process are read off one steady clock, so that the sums agree to the browser's resolution (5 µs when isolated).
 */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}

export const wallClock: WallClock = {
  now: () => BigInt(Date.now()) * 1_000_000n,
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** Calls `work` every `ms` until the function returned is called. */
export function every(work: () => void, ms: number): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
