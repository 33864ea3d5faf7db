// Runs programs for the scripts and the tests: arguments as a list, output collected, time bounded, no shell.
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Given on standard input, which is empty otherwise. */
  readonly stdin?: string | Uint8Array;
  /** The program is killed then; 10 minutes unless told. */
  readonly timeoutMs?: number;
  /** Also shown as it comes. */
  readonly echo?: boolean;
}

export interface CommandResult {
  /** As a shell sees it: 128 + signal if killed by one, 127 if there is no such program. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output and standard error in the order in which they came. */
  readonly output: string;
  readonly timedOut: boolean;
  readonly milliseconds: number;
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** Runs a program to its end. Never rejects: a program that does not exist has code 127. */
export function command(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...rest] = argv;
  const startedAt = performance.now();
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  const child = spawn(file, rest, { cwd: options.cwd, env: options.env, stdio: 'pipe', detached: true });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const both: Buffer[] = [];
  let timedOut = false;

  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, options.timeoutMs ?? 600_000);
  const finish = (code: number): void => {
    clearTimeout(timer);
    resolve({
      code,
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
      output: Buffer.concat(both).toString(),
      timedOut,
      milliseconds: performance.now() - startedAt,
    });
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    both.push(chunk);
    if (options.echo) process.stdout.write(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.push(chunk);
    both.push(chunk);
    if (options.echo) process.stderr.write(chunk);
  });
  child.on('error', (error) => {
    both.push(Buffer.from(`${file}: ${error.message}\n`));
    finish(127);
  });
  child.on('close', (code, signal) => finish(code ?? 128 + (signalNumbers[signal ?? ''] ?? 0)));
  child.stdin.on('error', () => {});
  child.stdin.end(options.stdin);
  return promise;
}

/** Runs a program and gives its standard output; a code other than 0 is an error with the program's own words. */
export async function output(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await command(argv, options);
  if (result.code === 0) return result.stdout;
  const why = result.timedOut ? 'took too long' : `ended with ${result.code}`;
  throw new Error(`"${argv.join(' ')}" ${why}\n${result.output.trim()}`);
}

// The child leads a process group of its own, so that its children end with it.
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
