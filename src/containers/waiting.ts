// Those who wait for a container's end or removal.
import { HolmError } from '../base/error.ts';
import type { WaitCondition, WaitResult } from './requests.ts';

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

export class Waiting {
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #last = new Map<string, WaitResult>();

  /** Resolves at the next end of the container, or at its removal. */
  async wait(id: string, condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    const { promise, resolve, reject } = Promise.withResolvers<WaitResult>();
    const waiter = { condition, resolve };
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(waiter));
    const abort = () => reject(new HolmError('cancelled', `Cannot wait for "${id}": the caller has gone`));
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      waiters.delete(waiter);
      if (waiters.size === 0) this.#waiters.delete(id);
    }
  }

  /** Tells of an end; those who wait for the removal go on waiting. */
  tellEnd(id: string, result: WaitResult): void {
    this.#last.set(id, result);
    for (const waiter of this.#waiters.get(id) ?? []) {
      if (waiter.condition !== 'removed') waiter.resolve(result);
    }
  }

  /** Tells of a removal to all who still wait. */
  tellRemoval(id: string, result: WaitResult): void {
    for (const waiter of this.#waiters.get(id) ?? []) waiter.resolve(this.#last.get(id) ?? result);
    this.#last.delete(id);
  }
}
