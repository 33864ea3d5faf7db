// Keyed locks: one writer per object. Work on the same key runs one after another, in the order of asking.

export class Locks {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` when all earlier work on `key` has ended, and gives its result. */
  async hold<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const run = before === undefined ? work() : before.then(work, work);
    const tail = run.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await run;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Whether any work on `key` is running or waiting. */
  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }
}
