// A program that a test talks with: writes to it, waits for what it says, ends its input, waits for its end.
// inTerminal() gives it a terminal, as script(1) of the base system makes one.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { output } from '../../scripts/command.ts';

export interface SessionOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Rows and columns, with inTerminal(). */
  readonly size?: readonly [rows: number, columns: number];
}

export class Session implements AsyncDisposable {
  /** Standard output so far. */
  stdout = '';
  stderr = '';
  /** The program's code; 128 + 9 if it had to be killed. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(argv: readonly string[], options: SessionOptions = {}) {
    const [file = '', ...rest] = argv;
    this.#child = spawn(file, rest, { env: options.env, stdio: 'pipe', detached: true });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#child.stdin.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code) => resolve(code ?? 137));
      this.#child.on('error', () => resolve(127));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Ends the program's standard input. */
  endInput(): void {
    this.#child.stdin.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until standard output matches, and gives the match. */
  async waitFor(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      if (Date.now() > deadline) {
        throw new Error(
          `No ${pattern} within ${timeoutMs} ms in: ${JSON.stringify(this.stdout)} ${JSON.stringify(this.stderr)}`,
        );
      }
      await sleep(10);
    }
  }

  /** The program's code; killed if it does not end in time. */
  async end(timeoutMs = 15_000): Promise<number> {
    const timer = setTimeout(() => this.kill(), timeoutMs);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  /** Changes the size of the terminal, as a person who drags the window's corner; with inTerminal(). */
  async resize(rows: number, columns: number): Promise<void> {
    const terminal = terminalOf(this.pid);
    if (terminal === undefined) throw new Error('The session has no terminal');
    await output(['stty', '-F', terminal, 'rows', String(rows), 'columns', String(columns)]);
  }

  kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended;
  }
}

/** Starts a program with a terminal of its own; its output, as the terminal shows it, is the session's stdout. */
export function inTerminal(argv: readonly string[], options: SessionOptions = {}): Session {
  const [rows, columns] = options.size ?? [24, 80];
  const line = `stty rows ${rows} columns ${columns}; exec ${argv.map(quote).join(' ')}`;
  return new Session(['script', '-qec', line, '/dev/null'], { ...options, env: { ...options.env, SHELL: '/bin/sh' } });
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

// The terminal of the first descendant that has one as its standard input.
function terminalOf(pid: number): string | undefined {
  for (const child of childrenOf(pid)) {
    const input = readlinkSync(`/proc/${child}/fd/0`);
    const found = input.startsWith('/dev/pts/') ? input : terminalOf(child);
    if (found !== undefined) return found;
  }
  return undefined;
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
}
