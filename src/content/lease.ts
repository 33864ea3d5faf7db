// Leases: work under way names the blobs that it needs, so that the collection of garbage passes them over.
import type { Digest } from '../base/digest.ts';

export class LeasedDigests {
  readonly #counts = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#counts.has(digest);
  }

  add(digest: Digest): void {
    this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
  }

  delete(digest: Digest): void {
    const count = (this.#counts.get(digest) ?? 0) - 1;
    if (count > 0) this.#counts.set(digest, count);
    else this.#counts.delete(digest);
  }
}

export class Lease implements Disposable {
  readonly #leased: LeasedDigests;
  readonly #kept = new Set<Digest>();

  constructor(leased: LeasedDigests) {
    this.#leased = leased;
  }

  /** Keeps the blob, whether it is stored yet or not. */
  keep(digest: Digest): void {
    if (this.#kept.has(digest)) return;
    this.#kept.add(digest);
    this.#leased.add(digest);
  }

  [Symbol.dispose](): void {
    for (const digest of this.#kept) this.#leased.delete(digest);
    this.#kept.clear();
  }
}
