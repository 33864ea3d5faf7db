// The bell: how harts, which run synchronously in workers, wake the device thread, which has an event loop and must never
// block. A hart counts the bell up and notifies; the device thread waits for it asynchronously and looks at everything.
import { control } from '../memory/layout.ts';

const bell = control.bell >> 2;
const pause = control.pause >> 2;
/** Rounds without rest after which timers, sockets and files get a turn. */
const roundsPerTurn = 8;

/** Wakes the device thread. */
export function ringBell(words: Int32Array): void {
  Atomics.add(words, bell, 1);
  Atomics.notify(words, bell);
}

/**
 * Calls `serve` at every ring, on the device thread, until `signal` is aborted. Rings during `serve` give one more round;
 * a machine that rings without end still leaves the event loop its turns.
 */
export async function answerBell(words: Int32Array, serve: () => void, signal: AbortSignal): Promise<void> {
  const wake = (): void => ringBell(words);
  signal.addEventListener('abort', wake, { once: true });
  try {
    let rounds = 0;
    while (!signal.aborted) {
      const seen = Atomics.load(words, bell);
      serve();
      const ring = Atomics.waitAsync(words, bell, seen);
      if (ring.async) {
        await ring.value;
        rounds = 0;
      } else if (++rounds === roundsPerTurn) {
        await turn(words);
        rounds = 0;
      }
    }
    // What was rung for at the very end, the guest's last words among it.
    serve();
  } finally {
    signal.removeEventListener('abort', wake);
  }
}

/** Lets the event loop do what waits: waits for a word that is notified at once, which comes as a task of its own. */
async function turn(words: Int32Array): Promise<void> {
  const rest = Atomics.waitAsync(words, pause, Atomics.load(words, pause));
  Atomics.notify(words, pause);
  await rest.value;
}
