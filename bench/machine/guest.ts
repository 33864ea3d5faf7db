// A machine that runs: its console, the CPU time of its process with all threads, its memory. All waits are bounded.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { EngineGroup } from '../engine-group.ts';
import type { Place } from '../engines/engine.ts';
import type { MachineKind, MachineSetup } from './kinds.ts';

/** A moment in a machine's life. */
export interface Mark {
  readonly cpuSeconds: number;
  /** Seconds since the start of its process. */
  readonly seconds: number;
  /** What was waited for, as its pattern matched. */
  readonly match: RegExpExecArray;
}

/** What a command at the console came to. */
export interface Done {
  readonly output: string;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

const keptOutput = 1_000_000;
const endMs = 5000;

export class Guest implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #group: EngineGroup;
  readonly #ended: Promise<void>;
  readonly #startedAt: number = performance.now();
  readonly #cpuBefore: bigint;
  readonly #title: string;
  #console = '';
  #read = 0;
  #hasEnded = false;
  #news: () => void = () => {};

  /** Starts a command in a group that counts; `enter` are commands before it, such as nsenter. */
  constructor(title: string, argv: readonly string[], place: Place, enter: readonly string[] = []) {
    this.#title = title;
    this.#group = new EngineGroup(`${place.cgroup}/${title}`);
    this.#cpuBefore = this.#group.cpuNanos();
    const join = ['sh', '-c', 'echo 0 > "$1"; shift; exec "$@"', 'sh', this.#group.joinFile];
    const [file = '', ...rest] = [...enter, ...join, ...argv];
    // Not in the terminal's foreground: Ctrl-C is for the benchmark.
    this.#child = spawn(file, rest, { stdio: 'pipe', detached: true });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('latin1').on('data', (text: string) => this.#hear(text));
    }
    this.#child.stdin?.on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    // After "close" there is no more output to come.
    for (const event of ['close', 'error']) this.#child.once(event, resolve);
    this.#ended = promise.then(() => {
      this.#hasEnded = true;
      this.#news();
    });
  }

  static start(kind: MachineKind, setup: MachineSetup, place: Place, enter?: readonly string[]): Guest {
    const directory = mkdtempSync(join(place.directory, `${kind.name}-`));
    return new Guest(kind.name, kind.command(setup, directory), place, enter);
  }

  /** Waits until what the console said since the last wait matches. */
  async waitFor(pattern: RegExp, timeoutMs: number): Promise<Mark> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#console.slice(this.#read));
      if (match !== null) {
        this.#read += match.index + match[0].length;
        return { cpuSeconds: this.cpuSeconds(), seconds: this.#seconds(), match };
      }
      const left = deadline - performance.now();
      if (this.#hasEnded) throw new Error(`${this.#title} ended before it said ${pattern}\n${this.lastLines()}`);
      if (left <= 0) throw new Error(`${this.#title} did not say ${pattern} in ${timeoutMs} ms\n${this.lastLines()}`);
      await this.#nextNews(left);
    }
  }

  /** Has the guest's shell (guest/init) run a line; the guest is idle before and after, so all that it cost is counted. */
  async command(line: string, timeoutMs: number): Promise<Done> {
    const [cpuSeconds, seconds] = [this.cpuSeconds(), this.#seconds()];
    this.write(`${line}\n`);
    const { match, ...end } = await this.waitFor(/([\s\S]*)bench: done (\d+)/, timeoutMs);
    if (match[2] !== '0') throw new Error(`"${line}" ended with ${match[2]} in ${this.#title}\n${match[1]}`);
    return { output: match[1]!, cpuSeconds: end.cpuSeconds - cpuSeconds, seconds: end.seconds - seconds };
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Waits for the end of its process; gives everything that it said and what it took. */
  async end(timeoutMs: number): Promise<Done> {
    const deadline = performance.now() + timeoutMs;
    while (!this.#hasEnded) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${this.#title} did not end in ${timeoutMs} ms\n${this.lastLines()}`);
      await this.#nextNews(left);
    }
    const code = this.#child.exitCode;
    if (code !== 0) throw new Error(`${this.#title} ended with ${code ?? this.#child.signalCode}\n${this.lastLines()}`);
    return { output: this.#console, cpuSeconds: this.cpuSeconds(), seconds: this.#seconds() };
  }

  cpuSeconds(): number {
    return Number(this.#group.cpuNanos() - this.#cpuBefore) / 1e9;
  }

  /** The machine's own process. */
  get pid(): number {
    return this.#group.pids()[0] ?? 0;
  }

  lastLines(): string {
    return this.#console.trimEnd().split('\n').slice(-6).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill('SIGTERM');
    const killed = setTimeout(() => this.#child.kill('SIGKILL'), endMs);
    await this.#ended;
    clearTimeout(killed);
  }

  #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  #hear(text: string): void {
    this.#console += text.replaceAll('\r', '');
    if (this.#console.length > 2 * keptOutput) {
      const dropped = this.#console.length - keptOutput;
      this.#console = this.#console.slice(dropped);
      this.#read = Math.max(0, this.#read - dropped);
    }
    this.#news();
  }

  async #nextNews(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    this.#news = resolve;
    await promise;
    clearTimeout(timer);
  }
}
