// What the page tells of a machine while it runs: how long the kernel took to its first program, how many instructions a
// second it runs, how much memory it wrote to.
import { sharedNow } from './clock.ts';
import type { PageMachine } from './page-machine.ts';

export interface Reading {
  readonly seconds: number;
  /** From the start to the kernel's line "Run /init as init process"; undefined before. */
  readonly bootSeconds: number | undefined;
  /** Millions of instructions a second, of all harts, since the reading before. */
  readonly mips: number;
  readonly touchedBytes: number;
}

/** What init/main.c of Linux says just before it starts the first program. */
const firstProgram = /Run \S+ as init process/;
/** The line may come in pieces; so much of what came before is looked at again. */
const keptCharacters = 200;

export class Meter {
  readonly #startedAtMs = sharedNow();
  readonly #decoder = new TextDecoder('latin1');
  #text = '';
  #bootSeconds: number | undefined;
  #last = { atMs: this.#startedAtMs, instructions: 0 };

  /** Looks at what the guest wrote on its console. */
  see(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#bootSeconds !== undefined) return;
    this.#text = this.#text.slice(-keptCharacters) + this.#decoder.decode(bytes);
    if (firstProgram.test(this.#text)) this.#bootSeconds = (sharedNow() - this.#startedAtMs) / 1000;
  }

  read(machine: PageMachine): Reading {
    const { instructions, touchedBytes } = machine;
    const atMs = sharedNow();
    const mips = (instructions - this.#last.instructions) / 1000 / Math.max(1, atMs - this.#last.atMs);
    this.#last = { atMs, instructions };
    return { seconds: (atMs - this.#startedAtMs) / 1000, bootSeconds: this.#bootSeconds, mips, touchedBytes };
  }
}
