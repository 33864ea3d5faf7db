// Clocks of this host for a machine.
import type { WallClock } from '../../devices/rtc.ts';

/**
 * Milliseconds that all threads of the process share: each thread's own `performance.now`, which is quick, set right once by the
 * system's monotonic clock.
 */
export function sharedClock(): () => number {
  const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  return () => performance.now() + offset;
}

export const wallClock: WallClock = {
  now: () => BigInt(Date.now()) * 1_000_000n,
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Calls `work` every `ms` until the function returned is called. */
export function every(work: () => void, ms: number): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
