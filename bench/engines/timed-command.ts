// A command that is run again and again by a small C program (timed.c): a fork of Node would cost more than what is measured.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { output } from '../../scripts/command.ts';
import type { Place } from './engine.ts';

const source = join(import.meta.dirname, '../timed.c');

/** Compiles timed.c, once a benchmark; gives the program. */
export async function compileTimed(place: Place): Promise<string> {
  const program = join(place.directory, 'timed');
  if (!existsSync(program)) {
    await output([process.env.CC ?? 'cc', '-O2', '-static', '-Wall', '-Wextra', '-Werror', source, '-o', program]);
  }
  return program;
}

export class TimedCommand {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #title: string;

  /** `argv` begins with what starts `timed` with the command: `timed` itself, or others before it. */
  constructor(argv: readonly string[], env: NodeJS.ProcessEnv) {
    this.#title = argv.join(' ');
    this.#child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** Runs it once; gives milliseconds. A code other than 0 is an error. */
  async run(): Promise<number> {
    this.#child.stdin?.write('\n');
    const answer = await this.#answers.next();
    if (answer.done) throw new Error(`"${this.#title}" cannot be run`);
    const [nanoseconds, code] = String(answer.value).split(' ').map(Number);
    if (code !== 0) throw new Error(`"${this.#title}" ended with ${code}`);
    return nanoseconds! / 1e6;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await ended;
  }
}
