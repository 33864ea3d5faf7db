// The keeper on this host as a Kernel: starts the spawner, sends it programs, turns failures into errors that name the step.
// The spawner ends when the main connection does; guards live on without it.
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { type ErrorKind, HolmError } from '../base/error.ts';
import { errnoName } from './constants.ts';
import { decodeEnd, type End } from './guard.ts';
import type { Fork, Kernel, Outcome, Prepared, Started } from './kernel.ts';
import type { Program, Register, Start } from './steps.ts';
import {
  decodeResult,
  encodeHeader,
  encodeProgram,
  encodeStart,
  FrameReader,
  protocolVersion,
  type Result,
  replyKinds,
  requestKinds,
} from './wire.ts';

/** A step that the kernel refused. `step` is undefined if the request itself was. */
export class StepError extends HolmError {
  readonly errno: number;
  readonly phase: Result['phase'];
  readonly call: string;

  constructor(what: string, call: string, result: Result, kind: ErrorKind = 'invalid') {
    super(
      result.phase === 'refused' ? 'internal' : kind,
      `Cannot ${what}: ${errnoName(result.errno)} from ${call}${call.includes('(') ? '' : '(2)'}`,
    );
    this.name = 'StepError';
    this.errno = result.errno;
    this.phase = result.phase;
    this.call = call;
  }
}

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

type MaybeEnd = End | undefined;

/** Starts the keeper at `binary` with its socket at `socketPath`; resolves when it answers. `onLost` is called if it leaves by itself. */
export async function openKeeper(
  binary: string,
  socketPath: string,
  onLost: () => void = () => undefined,
): Promise<Kernel> {
  const child = spawn(binary, ['spawner', socketPath], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    detached: true,
  });
  const main = child.stdio[3] as Socket;
  const hello = Promise.withResolvers<void>();
  child.once('error', (cause) =>
    hello.reject(new HolmError('unavailable', `Cannot start the keeper "${binary}"`, { cause })),
  );
  child.once('exit', (code, signal) =>
    hello.reject(new HolmError('unavailable', `Cannot start the keeper "${binary}": it left with ${signal ?? code}`)),
  );
  const keeper = new Keeper(child, main, socketPath, hello);
  await hello.promise;
  main.once('close', () => {
    if (!keeper.isClosed) onLost();
  });
  // Guards hold the main connection's other end too: its close alone would not tell that the spawner has left.
  child.once('exit', () => main.destroy());
  return keeper;
}

class Keeper implements Kernel {
  readonly #child: ChildProcess;
  readonly #main: Socket;
  readonly #socketPath: string;
  readonly #pending = new Map<number, Pending>();
  /** Who is to be told of the end of a guest, by the tag of its START. */
  readonly #ends = new Map<number, (end: MaybeEnd) => void>();
  #tag = 0;
  /** By its user. */
  isClosed = false;

  constructor(child: ChildProcess, main: Socket, socketPath: string, hello: PromiseWithResolvers<void>) {
    this.#child = child;
    this.#main = main;
    this.#socketPath = socketPath;
    const frames = new FrameReader((tag, kind, payload) => {
      if (kind === replyKinds.hello) {
        const version = payload.readUInt32LE(0);
        if (version === protocolVersion) hello.resolve();
        else
          hello.reject(
            new HolmError('unsupported', `Cannot use the keeper: it speaks version ${version}, not ${protocolVersion}`),
          );
        return;
      }
      const pending = this.#pending.get(tag);
      this.#pending.delete(tag);
      if (pending !== undefined) return pending.resolve(decodeResult(payload));
      // A second RESULT tells of a guard that was killed.
      this.#ends.get(tag)?.(kind === replyKinds.end ? decodeEnd(payload) : undefined);
      this.#ends.delete(tag);
    });
    main.on('data', readFrames(main, frames));
    main.on('error', () => main.destroy());
    main.on('close', () => {
      const error = new HolmError('unavailable', 'Cannot reach the keeper: its connection is closed');
      for (const pending of this.#pending.values()) pending.reject(error);
      this.#pending.clear();
      hello.reject(error);
    });
    child.unref();
  }

  async run(program: Program): Promise<Outcome> {
    const result = await this.#request(requestKinds.run, encodeProgram(program));
    return outcomeOf(result, program);
  }

  async start(start: Start): Promise<Started> {
    const payload = encodeStart(start);
    const tag = ++this.#tag;
    const end = Promise.withResolvers<MaybeEnd>();
    this.#ends.set(tag, end.resolve);
    const result = await this.#request(requestKinds.start, payload, tag);
    if (result.errno === 0) return { pid: result.pid, end: end.promise };
    this.#ends.delete(tag);
    throw stepError(result, programAt(start, result.phase));
  }

  #request(kind: number, payload: Buffer, tag = ++this.#tag): Promise<Result> {
    if (this.#main.destroyed) {
      return Promise.reject(new HolmError('unavailable', 'Cannot reach the keeper: its connection is closed'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#pending.set(tag, { resolve, reject });
    this.#main.cork();
    this.#main.write(encodeHeader(payload.length, tag, kind));
    this.#main.write(payload);
    this.#main.uncork();
    return promise;
  }

  fork(program: Program): Fork {
    return openFork(this.#socketPath, program);
  }

  prepare(start: Start): Promise<Prepared> {
    return openPrepared(this.#socketPath, start);
  }

  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) resolve();
      else this.#child.once('exit', () => resolve());
    });
    this.isClosed = true;
    this.#child.ref();
    this.#main.end();
    await gone;
  }
}

/** A stream out of step, as after a sender that was killed within a frame, tells nothing any more: it is closed. */
function readFrames(socket: Socket, frames: FrameReader): (chunk: Buffer) => void {
  return (chunk) => {
    try {
      frames.push(chunk);
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
}

function openFork(socketPath: string, program: Program): Fork {
  const payload = encodeProgram(program);
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  const output = new PassThrough({ highWaterMark: 1 << 20 });
  const outcome = Promise.withResolvers<Outcome>();
  let settled = false;
  const frames = new FrameReader((_tag, kind, bytes) => {
    if (kind === replyKinds.data) {
      if (!output.write(bytes)) socket.pause();
    } else if (kind === replyKinds.result) {
      settled = true;
      output.end();
      socket.end();
      const result = decodeResult(bytes);
      if (result.errno === 0) outcome.resolve(outcomeOf(result, program));
      else outcome.reject(stepError(result, program));
    }
  });
  output.on('drain', () => socket.resume());
  output.on('close', () => {
    if (!settled) socket.destroy();
  });
  socket.on('data', readFrames(socket, frames));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    if (settled) return;
    const error = new HolmError('cancelled', 'Cannot finish a program of the keeper: its connection was closed');
    outcome.reject(error);
    output.destroy(error);
  });
  socket.write(encodeHeader(payload.length, 1, requestKinds.fork));
  socket.write(payload);
  outcome.promise.catch((error: Error) => output.destroy(error));
  output.on('error', () => undefined);
  return { input: socket, output, outcome: outcome.promise, close: () => socket.destroy() };
}

/** Prepares a guest over a connection of its own, which its guard owns. */
async function openPrepared(socketPath: string, first: Start): Promise<Prepared> {
  const socket = connect({ path: socketPath });
  let asked: { start: Start; answer: PromiseWithResolvers<Result> } | undefined;
  const closed = Promise.withResolvers<void>();
  const end = Promise.withResolvers<MaybeEnd>();
  const frames = new FrameReader((_tag, kind, payload) => {
    if (kind === replyKinds.result) asked?.answer.resolve(decodeResult(payload));
    else if (kind === replyKinds.end) end.resolve(decodeEnd(payload));
  });
  const ask = async (kind: number, start: Start): Promise<Result> => {
    if (socket.destroyed) throw new HolmError('unavailable', 'Cannot go on with a prepared guest: its guard has left');
    const answer = Promise.withResolvers<Result>();
    asked = { start, answer };
    const payload = encodeStart(start);
    socket.write(Buffer.concat([encodeHeader(payload.length, 1, kind), payload]));
    const result = await answer.promise;
    asked = undefined;
    if (result.errno !== 0) throw stepError(result, programAt(start, result.phase));
    return result;
  };
  socket.on('data', readFrames(socket, frames));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    closed.resolve();
    end.resolve(undefined);
    asked?.answer.reject(new HolmError('unavailable', 'Cannot prepare a guest: its guard has left'));
  });
  const { pid } = await ask(requestKinds.prepare, first);
  return {
    pid,
    get isWaiting() {
      return !socket.destroyed && !socket.readableEnded;
    },
    go: async (start) => {
      await ask(requestKinds.go, start);
      return { pid, end: end.promise };
    },
    close: async () => {
      // Half-closed: the guard's own end of the connection tells that it has left.
      socket.end();
      await closed.promise;
    },
  };
}

function programAt(start: Start, phase: Result['phase']): Program {
  if (phase === 'before') return start.before;
  return phase === 'after' ? start.after : start.stage;
}

function outcomeOf(result: Result, program: Program): Outcome {
  if (result.errno !== 0) throw stepError(result, program);
  return {
    register: ({ register }: Register) => Number(result.registers.readBigInt64LE(register * 8)),
    output: (step) => result.outputs.get(step),
  };
}

function stepError(result: Result, program: Program): StepError {
  if (result.phase === 'refused') return new StepError('carry out a program', 'the keeper (refused)', result);
  if (result.phase === 'clone') return new StepError('make a process in its namespaces', 'clone3', result);
  const failed = program[result.step];
  const sentence = result.outputs.get(result.step);
  const error = new StepError(
    failed?.what ?? 'carry out a step',
    callTitle(failed?.call ?? 'unknown'),
    result,
    failed?.kind,
  );
  if ((failed?.call === 'unpack' || failed?.call === 'pack') && sentence !== undefined && sentence.length > 0) {
    error.message = sentence.toString('utf8').replace(/\0+$/, '');
  }
  return error;
}

const titles: Record<string, string> = {
  exec: 'execve',
  write_file: 'write',
  make_path: 'mkdirat',
  open_terminal: 'open',
  hand_over: 'clone',
  netlink: 'netlink(7)',
};

function callTitle(call: string): string {
  return titles[call] ?? call;
}
