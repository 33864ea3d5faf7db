// Long work answers with lines of JSON; an error in the middle is such a line too.
import { fullMessageOf } from '../base/error.ts';
import type { Call } from './call.ts';

/** A stream of JSON lines, begun with its first line, so that an error before it is an ordinary error. */
export class Lines {
  readonly #call: Call;
  #begun = false;

  constructor(call: Call) {
    this.#call = call;
  }

  write(value: Record<string, unknown>): void {
    if (this.#call.response.destroyed) return;
    if (!this.#begun) this.#call.beginStream('application/json');
    this.#begun = true;
    this.#call.response.write(`${JSON.stringify(value)}\r\n`);
  }

  /** Runs the work and ends the stream; errors after the first line are told in it. */
  async during(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#begun) throw error;
      const message = fullMessageOf(error);
      this.write({ errorDetail: { message }, error: message });
    }
    if (this.#begun) this.#call.response.end();
    else this.#call.sendEmpty(200);
  }
}
