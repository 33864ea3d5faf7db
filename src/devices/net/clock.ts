// Time for the network's timers, passed in so that tests and replay own it.

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls `work` every `ms` milliseconds until the function it gives is called. */
  every(ms: number, work: () => void): () => void;
}

/** The clock of the thread it is used on; in a browser too. */
export const threadClock: Clock = {
  now: () => performance.now(),
  every: (ms, work) => {
    const timer = setInterval(work, ms);
    return () => clearInterval(timer);
  },
};
