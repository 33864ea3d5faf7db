// The wire between holmd and the keeper: docs/keeper.md says every byte; this file and native/ are the only ones that know it.
import { Buffer } from 'node:buffer';
import { HolmError } from '../base/error.ts';
import { type CallName, callNames, calls } from './calls.ts';
import { type Arg, type Program, runAt, type Start, type Step } from './steps.ts';

export const protocolVersion = 2;
export const frameHeaderBytes = 12;
export const requestKinds = { run: 1, fork: 2, start: 3, prepare: 4, go: 5 } as const;
export const replyKinds = { hello: 0, result: 16, data: 17, end: 18 } as const;

export interface Result {
  readonly errno: number;
  readonly phase: (typeof phases)[number];
  readonly step: number;
  readonly pid: number;
  readonly registers: Buffer;
  readonly outputs: ReadonlyMap<number, Buffer>;
}
/** Where a request failed. */
export const phases = ['refused', 'before', 'clone', 'after', 'stage'] as const;

const argType = { integer: 0, string: 1, bytes: 2, register: 3, out: 4, patched: 5, list: 6, text: 7 } as const;
const noRegister = 255;
const anyErrno = 65535;
const registerCount = 32;
const codes = new Map<CallName, number>(callNames.map((name, code) => [name, code]));
const startFlag = { terminal: 1, stdin: 2, stdinOnce: 4, log: 8 } as const;

/** Longer strings are left to Buffer: a call into it costs more than a few bytes by hand. */
const shortText = 128;

class Writer {
  #bytes: Buffer;
  #view: DataView;
  #at = 0;

  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }
  u16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }
  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }
  i64(value: number | bigint): void {
    this.#room(8);
    if (typeof value === 'bigint') {
      this.#view.setBigInt64(this.#at, BigInt.asIntN(64, value), true);
    } else {
      this.#view.setUint32(this.#at, value >>> 0, true);
      this.#view.setInt32(this.#at + 4, Math.floor(value / 2 ** 32), true);
    }
    this.#at += 8;
  }
  /** Length and the bytes themselves. */
  block(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }
  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }
  /** Length and UTF-8 with its NUL. */
  text(value: string): void {
    if (value.length < shortText && this.#shortText(value)) return;
    const length = Buffer.byteLength(value) + 1;
    this.u32(length);
    this.#room(length);
    this.#bytes.write(value, this.#at);
    this.#at += length;
    this.#bytes[this.#at - 1] = 0;
  }
  /** Plain ASCII by hand; false, with nothing written, if it is not. */
  #shortText(value: string): boolean {
    const { length } = value;
    this.#room(5 + length);
    const start = this.#at + 4;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
      this.#bytes[start + i] = code;
    }
    this.#bytes[start + length] = 0;
    this.#view.setUint32(this.#at, length + 1, true);
    this.#at = start + length + 1;
    return true;
  }
  end(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }
}

function writeArg(to: Writer, arg: Arg): void {
  if (typeof arg === 'number' || typeof arg === 'bigint' || arg === null) {
    to.u8(argType.integer);
    to.i64(arg ?? 0);
  } else if (typeof arg === 'string') {
    to.u8(argType.string);
    to.text(arg);
  } else if (arg instanceof Uint8Array) {
    to.u8(argType.bytes);
    to.block(arg);
  } else if ('outBytes' in arg) {
    to.u8(argType.out);
    to.u32(arg.outBytes);
  } else if ('patches' in arg) {
    to.u8(argType.patched);
    to.block(arg.bytes);
    to.u8(arg.patches.length);
    for (const patch of arg.patches) {
      to.u32(patch.offset);
      to.u8(patch.register.register);
    }
  } else if ('prefix' in arg) {
    to.u8(argType.text);
    to.u8(arg.register.register);
    to.text(arg.prefix);
    to.text(arg.suffix);
  } else if ('register' in arg) {
    to.u8(argType.register);
    to.u8(arg.register);
  } else {
    to.u8(argType.list);
    to.u32(arg.length);
    for (const item of arg) to.text(item);
  }
}

function writeStep(to: Writer, step: Step): void {
  const tolerated = step.tolerate === 'any' ? [anyErrno] : (step.tolerate ?? []);
  if (step.args.length !== calls[step.call].length) {
    throw new RangeError(
      `Cannot encode ${step.call} for "${step.what}": it takes ${calls[step.call].length} arguments`,
    );
  }
  to.u16(codes.get(step.call)!);
  to.u8(step.result?.register ?? noRegister);
  to.u8(step.args.length);
  to.u8(step.skipOnFailure ?? 0);
  to.u8(step.skipOnSuccess ?? 0);
  to.u8(tolerated.length);
  to.u8(0);
  for (const errno of tolerated) to.u16(errno);
  for (const arg of step.args) writeArg(to, arg);
}

/** The bytes of remembered steps. */
const encodedRuns = new WeakMap<Program, Uint8Array>();

function writeProgram(to: Writer, program: Program): void {
  to.u16(program.length);
  to.u16(0);
  for (let at = 0; at < program.length; ) {
    const run = runAt(program, at);
    if (run === undefined) writeStep(to, program[at++]!);
    else {
      to.raw(encodeRun(run));
      at += run.length;
    }
  }
}

function encodeRun(run: Program): Uint8Array {
  let bytes = encodedRuns.get(run);
  if (bytes === undefined) {
    const writer = new Writer(1024);
    for (const step of run) writeStep(writer, step);
    bytes = Uint8Array.from(writer.end());
    encodedRuns.set(run, bytes);
  }
  return bytes;
}

/** The payload of RUN and FORK. */
export function encodeProgram(program: Program): Buffer {
  const writer = new Writer(4096);
  writeProgram(writer, program);
  return writer.end();
}

/** The payload of START. */
export function encodeStart(start: Start): Buffer {
  const writer = new Writer(32768);
  const flags =
    (start.terminal === undefined ? 0 : startFlag.terminal) |
    (start.stdin === 'none' ? 0 : startFlag.stdin) |
    (start.stdin === 'once' ? startFlag.stdinOnce : 0) |
    (start.log === undefined ? 0 : startFlag.log);
  const fields: Arg[] = [
    flags,
    start.cloneFlags,
    start.cgroup?.register ?? -1,
    start.user?.register ?? -1,
    start.title,
    start.directory,
    start.log?.path ?? '',
    start.log?.maxBytes ?? 0,
    start.log?.maxFiles ?? 1,
    start.spillDirectory,
    start.awaitClients,
    start.exitFiles,
    start.terminal?.rows ?? 0,
    start.terminal?.columns ?? 0,
  ];
  for (const field of fields) writeArg(writer, field);
  for (const program of [start.before, start.after, start.stage]) writeProgram(writer, program);
  return writer.end();
}

/** A frame header for a payload of `length` bytes. */
export function encodeHeader(length: number, tag: number, kind: number): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32LE(length, 0);
  header.writeUInt32LE(tag, 4);
  header.writeUInt8(kind, 8);
  return header;
}

/** Parses the payload of RESULT. */
export function decodeResult(payload: Buffer): Result {
  const outputs = new Map<number, Buffer>();
  let at = 16 + registerCount * 8;
  const registers = payload.subarray(16, at);
  while (at + 8 <= payload.length) {
    const length = payload.readUInt32LE(at + 4);
    outputs.set(payload.readUInt32LE(at), payload.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return {
    errno: payload.readUInt32LE(0),
    phase: phases[payload.readUInt32LE(4)] ?? 'refused',
    step: payload.readUInt32LE(8),
    pid: payload.readInt32LE(12),
    registers,
    outputs,
  };
}

/** The most that a payload holds, with the fixed part of a RESULT. */
const mostReplyBytes = (8 << 20) + 1024;
const knownReplies: ReadonlySet<number> = new Set(Object.values(replyKinds));

/** Cuts a byte stream into frames; calls `onFrame` for each whole one. `push` throws `corrupt` on what cannot be a header. */
export class FrameReader {
  #pending: Buffer[] = [];
  #have = 0;
  readonly #onFrame: (tag: number, kind: number, payload: Buffer) => void;

  constructor(onFrame: (tag: number, kind: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#pending.push(chunk);
    this.#have += chunk.length;
    while (this.#have >= frameHeaderBytes) {
      const joined = this.#pending.length === 1 ? this.#pending[0]! : this.#join(frameHeaderBytes);
      const length = joined.readUInt32LE(0);
      if (length > mostReplyBytes || joined.readUIntBE(9, 3) !== 0 || !knownReplies.has(joined.readUInt8(8)))
        throw new HolmError('corrupt', 'Cannot read from the keeper: its connection is out of step');
      if (this.#have < frameHeaderBytes + length) return;
      const whole = this.#join(frameHeaderBytes + length);
      const end = frameHeaderBytes + length;
      this.#pending = whole.length > end ? [whole.subarray(end), ...this.#pending.slice(1)] : this.#pending.slice(1);
      this.#have -= end;
      this.#onFrame(whole.readUInt32LE(4), whole.readUInt8(8), whole.subarray(frameHeaderBytes, end));
    }
  }

  /** Makes the first pending buffer hold at least `bytes`. */
  #join(bytes: number): Buffer {
    const first = this.#pending[0]!;
    if (first.length >= bytes) return first;
    const joined = Buffer.concat(this.#pending, this.#have);
    this.#pending = [joined];
    return joined;
  }
}
