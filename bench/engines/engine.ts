// An engine under measurement: started by the benchmark in a mount and a network namespace and a cgroup of its own, so that
// nothing of it reaches the host or stays behind. The measures know engines only by this.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../api-client.ts';
import { EngineGroup } from '../engine-group.ts';

/** Where a benchmark lives: directories of its own, already private to it. */
export interface Place {
  /** On a disk. */
  readonly directory: string;
  /** On a tmpfs, as /run is. */
  readonly run: string;
  /** Below the roots of the cgroup hierarchies. */
  readonly cgroup: string;
}

/** What is different from engine to engine. */
export interface EngineKind {
  readonly name: string;
  /** What one needs to have. */
  readonly version: string;
  command(home: EngineHome): readonly string[];
  /** Shell commands before it, in the engine's own mount namespace. */
  readonly setUp?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Whether the docker client is measured with it. */
  readonly takesDockerClient: boolean;
  /** What a container's HostConfig needs beside what a measure asks for. */
  hostConfig?(home: EngineHome): Readonly<Record<string, unknown>>;
  /** Likewise for the engine's own `run`. */
  runOptions?(home: EngineHome): readonly string[];
  /** The engine's own client behind the program `timed`, without arguments; `pid` is a process in the engine's namespaces. */
  client?(home: EngineHome, pid: number, timed: string): readonly string[];
}

export interface EngineHome {
  readonly directory: string;
  readonly run: string;
  readonly socket: string;
  readonly guests: string;
}

const startTimeoutMs = 30_000;
const homeDirectories = ['home', 'etc/upper', 'etc/work', 'lib/upper', 'lib/work'];

export class Engine implements AsyncDisposable {
  readonly name: string;
  readonly kind: EngineKind;
  readonly home: EngineHome;
  readonly group: EngineGroup;
  api: ApiClient;
  #process: ChildProcess | undefined;

  constructor(kind: EngineKind, place: Place) {
    this.kind = kind;
    this.name = kind.name;
    this.group = new EngineGroup(`${place.cgroup}/${kind.name}`);
    const run = join(place.run, kind.name);
    const directory = join(place.directory, kind.name);
    this.home = { directory, run, socket: join(run, 'api.sock'), guests: this.group.guests };
    for (const made of [run, ...homeDirectories.map((name) => join(directory, name))])
      mkdirSync(made, { recursive: true });
    this.api = new ApiClient(this.home.socket);
  }

  /** The engine's first process. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it and waits until `isReady`; gives the milliseconds that took. Without a check, an answered ping is enough. */
  async start(isReady: () => Promise<unknown> = () => this.api.call('GET', '/_ping')): Promise<number> {
    const argv = enclosed(this.kind.command(this.home), this.group.joinFile, this.kind.setUp ?? '');
    const log = openSync(this.logPath, 'a');
    const startedAt = performance.now();
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['ignore', log, log],
      env: this.environment,
      cwd: this.home.directory,
      // Not in the terminal's foreground: Ctrl-C is for the benchmark, which ends its engines itself.
      detached: true,
    });
    closeSync(log);
    this.#process = child;
    for (;;) {
      try {
        await isReady();
        return performance.now() - startedAt;
      } catch (error) {
        const hasEnded = child.exitCode !== null || child.signalCode !== null;
        if (hasEnded || performance.now() - startedAt > startTimeoutMs)
          throw new Error(`${this.name} ${hasEnded ? 'ended' : 'does not answer'}\n${this.lastLog()}`, {
            cause: error,
          });
        await sleep(1);
      }
    }
  }

  /** Ends it by SIGTERM; its containers may go on. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.api.close();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const killed = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(killed);
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: join(this.home.directory, 'home'),
      LC_ALL: 'C.UTF-8',
      ...this.kind.environment,
      DOCKER_HOST: `unix://${this.home.socket}`,
      HOLM_HOST: `unix://${this.home.socket}`,
    };
  }

  get logPath(): string {
    return join(this.home.directory, 'log');
  }

  lastLog(): string {
    return readFileSync(this.logPath, 'utf8').trimEnd().split('\n').slice(-10).join('\n');
  }

  /** Ends the engine and kills whatever is left of it and of its containers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (let attempt = 0; attempt < 100; attempt++) {
      const pids = this.group.pids();
      if (pids.length === 0) return;
      for (const pid of pids) killNow(pid);
      await sleep(20);
    }
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/** A command in namespaces of its own, counted by the group of `joinFile`. */
export function enclosed(command: readonly string[], joinFile: string, setUp: string): readonly string[] {
  const script = `echo 0 > "$1"; shift; ip link set lo up 2>/dev/null; ${setUp === '' ? '' : `${setUp};`} exec "$@"`;
  return ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-ec', script, 'sh', joinFile, ...command];
}
