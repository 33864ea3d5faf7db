// The client of a guard: control (state, resize, signals, exit) and attached streams, over guard.sock (docs/keeper.md).
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HolmError, hasCode } from '../base/error.ts';

/** How a guest ended. Times are nanoseconds since 1970. */
export interface ExitRecord {
  /** The exit code, or 128 and the signal. */
  readonly code: number;
  readonly signal: number;
  readonly at: bigint;
  /** Contents of the exit files that were asked for at the start; empty where one could not be read. */
  readonly files: readonly string[];
}

/** An end that a guard told. */
export interface End {
  /** undefined if it left before anybody asked. */
  readonly guardPid?: number;
  /** undefined if it was too long to tell: it is in the file. */
  readonly record?: ExitRecord;
}

/** Control over one guest, for as long as it runs. */
export interface Control {
  readonly pid: number;
  readonly startedAt: bigint;
  resize(rows: number, columns: number): void;
  signal(number: number): void;
  closeStdin(): void;
  /** Settles when the guest has ended; undefined if the guard vanished without telling. */
  readonly exit: Promise<ExitRecord | undefined>;
  close(): void;
}

const kinds = { attach: 1, control: 2, resize: 3, signal: 4, closeStdin: 5, exit: 6, state: 7 } as const;
const headerBytes = 5;
/** What a connection says of a guard that has left or is leaving. */
const goneCodes = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

function frame(kind: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const bytes = Buffer.alloc(headerBytes + payload.length);
  bytes.writeUInt32LE(1 + payload.length, 0);
  bytes.writeUInt8(kind, 4);
  bytes.set(payload, headerBytes);
  return bytes;
}

/** Where a guard that lives in `directory` listens. */
export function guardSocket(directory: string): string {
  return `${directory}/guard.sock`;
}

/** Connects to a guard for control. Gives undefined if no guard listens there (any more). */
export function openControl(directory: string): Promise<Control | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Control | undefined>();
  const exit = Promise.withResolvers<ExitRecord | undefined>();
  const socket = connect({ path: guardSocket(directory) });
  let pending: Buffer = Buffer.alloc(0);
  socket.on('connect', () => socket.write(frame(kinds.control)));
  socket.on('error', (error) => {
    if (goneCodes.some((code) => hasCode(error, code))) resolve(undefined);
    else reject(new HolmError('unavailable', `Cannot reach the guard in "${directory}"`, { cause: error }));
  });
  socket.on('close', () => {
    resolve(undefined);
    try {
      exit.resolve(readExit(directory));
    } catch (error) {
      exit.reject(error);
    }
  });
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= headerBytes) {
      const length = pending.readUInt32LE(0);
      if (pending.length < 4 + length) return;
      const kind = pending.readUInt8(4);
      const payload = pending.subarray(headerBytes, 4 + length);
      pending = pending.subarray(4 + length);
      if (kind === kinds.exit) exit.resolve(decodeExit(payload));
      else if (kind === kinds.state) resolve(controlOf(socket, payload, exit.promise));
    }
  });
  return promise;
}

function controlOf(socket: Socket, state: Buffer, exit: Promise<ExitRecord | undefined>): Control {
  return {
    pid: state.readInt32LE(0),
    startedAt: decodeTime(state, 8),
    resize: (rows, columns) => {
      const payload = Buffer.alloc(4);
      payload.writeUInt16LE(rows, 0);
      payload.writeUInt16LE(columns, 2);
      socket.write(frame(kinds.resize, payload));
    },
    signal: (number) => {
      const payload = Buffer.alloc(4);
      payload.writeUInt32LE(number, 0);
      socket.write(frame(kinds.signal, payload));
    },
    closeStdin: () => socket.write(frame(kinds.closeStdin)),
    exit,
    close: () => socket.destroy(),
  };
}

/** Attaches to a guest's streams. Ending the stream half-closes standard input. Resolves when connected. */
export function openAttachment(
  directory: string,
  streams: { stdin: boolean; stdout: boolean; stderr: boolean },
  framed: boolean,
): Promise<Duplex> {
  const bits = (streams.stdin ? 1 : 0) | (streams.stdout ? 2 : 0) | (streams.stderr ? 4 : 0);
  return new Promise((resolve, reject) => {
    const socket = connect({ path: guardSocket(directory), allowHalfOpen: true });
    socket.once('error', (cause) =>
      reject(new HolmError('wrongState', 'Cannot attach: the guest does not run', { cause })),
    );
    socket.once('connect', () => {
      socket.write(frame(kinds.attach, Uint8Array.of(bits, framed ? 1 : 0)));
      resolve(socket);
    });
  });
}

/** The exit record that a guard left in its directory; undefined if there is none. */
export function readExit(directory: string): ExitRecord | undefined {
  try {
    return decodeExit(readFileSync(`${directory}/exit`));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** How long what follows a guest's end waits for its guard at most. */
const patienceMs = 5000;

/** Settles when the guard of a guest that has ended has left too, and with it what it held; or after some seconds. */
export async function guardLeft(pid: number): Promise<void> {
  for (const until = Date.now() + patienceMs; isAlive(pid) && Date.now() < until; ) await sleep(2);
}

/** The guard of a guest that is known by its own pid; undefined if the guest has gone. */
export function parentOf(pid: number): number | undefined {
  try {
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return Number(parent) > 0 ? Number(parent) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** Parses END: the guard's pid and the exit record, if it is a short one. */
export function decodeEnd(bytes: Buffer): End {
  const guardPid = bytes.readInt32LE(0);
  return bytes.length === 4 ? { guardPid } : { guardPid, record: decodeExit(bytes.subarray(4)) };
}

function decodeTime(bytes: Buffer, at: number): bigint {
  return bytes.readBigInt64LE(at) * 1_000_000_000n + BigInt(bytes.readUInt32LE(at + 8));
}

function decodeExit(bytes: Buffer): ExitRecord {
  const count = bytes.readUInt32LE(20);
  const files: string[] = [];
  let at = 24;
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(at);
    files.push(bytes.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { code: bytes.readInt32LE(0), signal: bytes.readInt32LE(4), at: decodeTime(bytes, 8), files };
}
