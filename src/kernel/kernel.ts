// The interface Kernel: whatever carries out programs. On this host the keeper (keeper.ts), in unit tests the recorder.
import type { End } from './guard.ts';
import type { Program, Register, Start } from './steps.ts';

/** What a program gave. */
export interface Outcome {
  /** The value of a register at the end; negative errno after a tolerated failure, -1 if never set. */
  register(register: Register): number;
  /** The output of the step at this place in the program (an Out buffer, or netlink's messages); undefined if none. */
  output(step: number): Uint8Array | undefined;
}

/** A program in a child process that reads or writes a stream. */
export interface Fork {
  /** Bytes for the child's connection; end it when all is written. */
  readonly input: WritableStreamLike;
  /** What `pack` writes. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Settles when the program ends; rejects with the step that failed. */
  readonly outcome: Promise<Outcome>;
  /** Closes the connection; the child ends. */
  close(): void;
}

/** The part of a Node writable stream that a Fork's input has. */
export type WritableStreamLike = NodeJS.WritableStream;

export interface Kernel {
  /** Carries out a short program in the keeper itself. Throws HolmError naming the step that failed. */
  run(program: Program): Promise<Outcome>;
  /** Carries out a program in a child of its own, with a stream in and out (register 0 is the connection). */
  fork(program: Program): Fork;
  /** Starts a guest under a new guard. Nothing is left of it after a failure. */
  start(start: Start): Promise<Started>;
  /** Begins a guest that is not known yet: all of `start` is done, and its stage waits. */
  prepare(start: Start): Promise<Prepared>;
  close(): Promise<void>;
}

/** A guest that runs. */
export interface Started {
  /** Of its first process. */
  readonly pid: number;
  /** Settles when the guest has ended; undefined if its guard vanished without telling. Never rejects. */
  readonly end: Promise<End | undefined>;
}

/** A guest that waits to become someone (docs/keeper.md, "PREPARE and GO"). */
export interface Prepared {
  readonly pid: number;
  /** Whether it still waits. */
  readonly isWaiting: boolean;
  /** Makes it the guest of this start; its clone flags, directory and cgroup are those of the preparation. Once only. */
  go(start: Start): Promise<Started>;
  /** Ends it; resolves when nothing of it runs. */
  close(): Promise<void>;
}
