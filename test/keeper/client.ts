// A keeper of its own for one test file: the spawner, a directory that is gone afterwards, and short words for starting
// guests. HOLM_KEEPER names another binary, such as the one with sanitizers, whose reports then fail the file.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { type ExitRecord, openAttachment, openControl, readExit } from '../../src/kernel/guard.ts';
import { openKeeper } from '../../src/kernel/keeper.ts';
import type { Kernel, Started } from '../../src/kernel/kernel.ts';
import { type Program, type Start, step } from '../../src/kernel/steps.ts';
import { decodeResult, encodeHeader, FrameReader, type Result } from '../../src/kernel/wire.ts';

export const sanitized: boolean = /asan/.test(process.env.HOLM_KEEPER ?? '');

export interface TestKeeper {
  readonly kernel: Kernel;
  readonly binary: string;
  /** Of this file alone; everything that a test makes is below it. */
  readonly directory: string;
  readonly socket: string;
  readonly spawnerPid: number;
  /** A new empty directory. */
  newDirectory(): string;
  /** Starts `sh -c script` under a guard. */
  start(script: string, options?: GuestOptions): Promise<Guest>;
}

export type GuestOptions = Partial<Omit<Start, 'directory'>> & { readonly logged?: boolean };

export interface Guest {
  readonly directory: string;
  readonly pid: number;
  /** As it was told on the keeper's connection. */
  readonly end: Started['end'];
  /** Waits for the guest's end. */
  ended(): Promise<ExitRecord>;
  /** All that an attached client gets until the end of output. */
  output(framed?: boolean): Promise<string>;
  readonly log: () => string;
}

/** Opens a keeper for the whole file; it is closed after its last test. */
export async function testKeeper(): Promise<TestKeeper> {
  const binary = process.env.HOLM_KEEPER ?? (await buildKeeper());
  const directory = mkdtempSync(join(tmpdir(), 'holm-keeper-'));
  const reports = join(directory, 'sanitizer');
  process.env.ASAN_OPTIONS = `abort_on_error=1:detect_leaks=0:log_path=${reports}`;
  process.env.UBSAN_OPTIONS = `abort_on_error=1:print_stacktrace=1:log_path=${reports}`;
  const socket = join(directory, 'keeper.sock');
  const kernel = await openKeeper(binary, socket);
  const spawnerPid = await new Connection(socket).hello;
  let count = 0;
  const newDirectory = (): string => {
    const path = join(directory, `${count++}`);
    mkdirSync(path);
    return path;
  };
  after(async () => {
    const alive = setInterval(() => {}, 1000);
    await kernel.close();
    clearInterval(alive);
    const settled = await eventually('all guards have left', () => processesBelow(directory).length === 0).catch(
      String,
    );
    for (const guard of processesBelow(directory)) killFamily(guard);
    const told = readdirSync(directory).filter((name) => name.startsWith('sanitizer'));
    const texts = told.map((name) => readFileSync(join(directory, name), 'utf8'));
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual([settled, texts], [undefined, []]);
  });
  const start = async (script: string, options: GuestOptions = {}): Promise<Guest> => {
    const { logged = false, ...given } = options;
    const path = newDirectory();
    const log = logged ? { log: { path: join(path, 'log'), maxBytes: 0, maxFiles: 1 } } : {};
    const started = await kernel.start({
      title: `holm-guard ${path}`,
      directory: path,
      stdin: 'none',
      spillDirectory: path,
      awaitClients: 0,
      exitFiles: [],
      cloneFlags: 0,
      before: [],
      after: [],
      stage: shell(script),
      ...log,
      ...given,
    });
    return guestIn(path, started);
  };
  return { kernel, binary, directory, socket, spawnerPid, newDirectory, start };
}

function guestIn(directory: string, { pid, end }: Started): Guest {
  return {
    directory,
    pid,
    end,
    ended: () => exitOf(directory),
    output: async (framed = false) => {
      const stream = await openAttachment(directory, { stdin: false, stdout: true, stderr: true }, framed);
      return readAll(stream);
    },
    log: () => readFileSync(join(directory, 'log'), 'utf8'),
  };
}

/** The steps that make a stage into `sh -c script`. */
export function shell(script: string): Program {
  return [step('exec', [['/bin/sh'], ['sh', '-c', script], ['PATH=/usr/sbin:/usr/bin:/sbin:/bin']], 'run a shell')];
}

export async function exitOf(directory: string): Promise<ExitRecord> {
  await eventually(`${directory} has an exit record`, () => readExit(directory) !== undefined);
  return readExit(directory)!;
}

export async function control(guest: Guest): Promise<NonNullable<Awaited<ReturnType<typeof openControl>>>> {
  const opened = await openControl(guest.directory);
  assert.ok(opened, 'the guard listens');
  return opened;
}

export async function readAll(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('latin1');
}

/** Looks again until it holds, for 20 seconds. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 2000) assert.fail(`Never so: ${what}`);
    await sleep(10);
  }
}

/** Processes whose title or arguments name something below the directory. */
export function processesBelow(directory: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    return commandLine(Number(name)).includes(directory) ? [Number(name)] : [];
  });
}

// What a failed test left: a guard and its guest.
function killFamily(pid: number): void {
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Number))
    killFamily(Number(child));
  process.kill(pid, 'SIGKILL');
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** A connection that can say anything, also what src/kernel never would. */
export class Connection {
  readonly socket: Socket;
  /** The spawner's pid. */
  readonly hello: Promise<number>;
  readonly closed: Promise<void>;
  readonly #waiting: ((result: Result) => void)[] = [];
  readonly #results: Result[] = [];

  constructor(path: string) {
    const hello = Promise.withResolvers<number>();
    this.hello = hello.promise;
    this.socket = connect({ path });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('error', () => {});
    const frames = new FrameReader((_tag, kind, payload) => {
      if (kind === 0) {
        hello.resolve(payload.readUInt32LE(4));
        return;
      }
      const result = decodeResult(Buffer.from(payload));
      const waiting = this.#waiting.shift();
      if (waiting) waiting(result);
      else this.#results.push(result);
    });
    this.socket.on('data', (chunk: Buffer) => frames.push(chunk));
  }

  send(kind: number, payload: Uint8Array): Promise<Result> {
    this.socket.write(Buffer.concat([encodeHeader(payload.length, 1, kind), payload]));
    return this.next();
  }

  next(): Promise<Result> {
    const result = this.#results.shift();
    if (result) return Promise.resolve(result);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
