// One layer on its way into a directory: chunks of a plain tar go to a child of the keeper that is confined to it.
// Whoever does not keep the directory disposes of it; then nothing is left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { HolmError } from '../base/error.ts';
import type { Fork, Kernel } from '../kernel/kernel.ts';
import { connection, step } from '../kernel/steps.ts';
import { confine } from './confine.ts';
import type { ArchiveLimits } from './limits.ts';

/** Flags of the keeper's unpack (docs/keeper.md). */
const convertWhiteouts = 1;
const abortTimeoutMs = 30_000;

export class Unpacking {
  readonly #fork: Fork;
  #failure: unknown;
  #settled = false;
  #wake: (() => void) | undefined;
  readonly #end: Promise<unknown>;

  constructor(kernel: Kernel, directory: string, limits: ArchiveLimits) {
    this.#fork = kernel.fork([
      ...confine(directory),
      step(
        'unpack',
        [connection, convertWhiteouts, limits.mostBytes, limits.mostEntries],
        `unpack into "${directory}"`,
      ),
    ]);
    this.#fork.input.on('drain', () => this.#wake?.());
    this.#end = this.#fork.outcome;
    this.#end
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#settled = true;
        this.#wake?.();
      });
  }

  /** Takes a chunk of the tar. Gives a promise when the caller should wait; throws what the keeper found wrong. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#settled) throw this.#failure ?? new HolmError('internal', 'Cannot unpack: the keeper has finished early');
    if (this.#fork.input.write(chunk)) return undefined;
    return this.#drained();
  }

  async #drained(): Promise<void> {
    if (!this.#settled) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the tar and waits until all of it is in place. */
  async finish(): Promise<void> {
    this.#fork.input.end();
    await this.#end;
  }

  /** Ends the child, whatever it does; resolves when it touches the directory no more. */
  async abort(): Promise<void> {
    if (!this.#settled) this.#fork.input.end();
    const late = globalThis.setTimeout(() => this.#fork.close(), abortTimeoutMs);
    await this.#end.catch(() => undefined);
    clearTimeout(late);
  }
}

/** Removes a tree however deep it is and whatever its names are; one that is gone already is no error. */
export async function removeTree(path: string): Promise<void> {
  for (let left = removalTries; ; left--) {
    const complaint = await runRm(path);
    if (complaint === undefined) return;
    if (left === 0) throw new HolmError('internal', `Cannot remove "${path}": ${complaint}`);
    await setTimeout(removalPauseMs); // a child of a keeper that was killed may be finishing its last entries
  }
}

const removalTries = 10;
const removalPauseMs = 100;

/** Gives what rm(1) complains about, undefined when all went well. */
async function runRm(path: string): Promise<string | undefined> {
  const child = spawn('rm', ['-rf', '--one-file-system', '--', path], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 500);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0 ? undefined : complaint.trim();
}
