// Programs for the kernel as values: a step is one call with its arguments, its reason, and what to do when it fails.
// Nothing here touches the system. The wire is wire.ts, carrying out is the keeper's (docs/keeper.md).
import type { ErrorKind } from '../base/error.ts';
import type { CallName } from './calls.ts';

/** One of the 32 registers of a program; holds descriptors and other results. */
export interface Register {
  readonly register: number;
}
/** A zeroed buffer for the call to fill; its content is in the outcome. */
export interface Out {
  readonly outBytes: number;
}
/** Bytes into which the low 32 bits of registers are stored before the call. */
export interface Patched {
  readonly bytes: Uint8Array;
  readonly patches: readonly { offset: number; register: Register }[];
}
/** Text with a register in decimal in its middle, such as /proc/self/fd/7. */
export interface Text {
  readonly prefix: string;
  readonly register: Register;
  readonly suffix: string;
}
/** null is a NULL pointer, a string array a NULL-terminated char *[]. */
export type Arg = number | bigint | string | null | Uint8Array | Register | Out | Patched | Text | readonly string[];

export interface Step {
  readonly call: CallName;
  readonly args: readonly Arg[];
  /** What the step is for, as a person would say it: 'mount "/proc"'. Errors read: Cannot <what>. */
  readonly what: string;
  /** Why it is done at all; printed by explain. */
  readonly why?: string;
  readonly result?: Register;
  /** Of the error when it fails; `invalid` unless told. */
  readonly kind?: ErrorKind;
  /** Errnos that do not end the program (constants.errno); 'any' for all. */
  readonly tolerate?: readonly number[] | 'any';
  /** Following steps to pass over after a tolerated failure. */
  readonly skipOnFailure?: number;
  /** Following steps to pass over after a success. */
  readonly skipOnSuccess?: number;
}

export type Program = readonly Step[];

export type StepOptions = Omit<Step, 'call' | 'args' | 'what'>;

/** Makes a step. `what` completes the sentence "Cannot …". */
export function step(call: CallName, args: readonly Arg[], what: string, options: StepOptions = {}): Step {
  return { call, args, what, ...options };
}

export function register(number: number): Register {
  return { register: number };
}

/** Hands out registers of one program, lowest first; 30 and 31 are the guard's own. */
export class Registers {
  #next: number;
  #free: number[] = [];

  constructor(first = 0) {
    this.#next = first;
  }

  acquire(): Register {
    const number = this.#free.pop() ?? this.#next++;
    if (number > 29) throw new RangeError('Cannot write a program: it needs more than 30 registers');
    return { register: number };
  }

  release(register: Register): void {
    this.#free.push(register.register);
  }

  /** What decides which are handed out next. */
  get state(): string {
    return `${this.#next} ${this.#free}`;
  }
}

const remembered = new WeakMap<object, Map<string, Program>>();
const runs = new WeakMap<Step, Program>();
const mostRemembered = 256;

/**
 * Steps that come again with every start, made once. `key` holds all that decides them but `owner`, with which they are
 * forgotten; a `make` that acquires registers releases them all, and has their state in its key.
 */
export function remember(owner: object, key: string, make: () => Program): Program {
  let known = remembered.get(owner);
  if (known === undefined || known.size >= mostRemembered) {
    known = new Map();
    remembered.set(owner, known);
  }
  let program = known.get(key);
  if (program === undefined) {
    // Copies, so that no step stands in two runs.
    program = make().map((one) => ({ ...one }));
    known.set(key, program);
    if (program[0] !== undefined) runs.set(program[0], program);
  }
  return program;
}

/** The remembered steps that stand in `program` from `at` on, whole and as they were made; undefined if there are none. */
export function runAt(program: Program, at: number): Program | undefined {
  const run = runs.get(program[at]!);
  return run?.every((step, offset) => program[at + offset] === step) ? run : undefined;
}

/** The steps that run only if `test` fails with one of its tolerated errnos (all of `otherwise` is passed over on success). */
export function orElse(test: Step, otherwise: Program): Program {
  return [{ ...test, skipOnSuccess: otherwise.length }, ...otherwise];
}

/** The steps that run only if `test` succeeds (all of `then` is passed over on a tolerated failure). */
export function onlyIf(test: Step, then: Program): Program {
  return [{ ...test, skipOnFailure: then.length }, ...then];
}

/** What a guest needs of its guard, beside its programs. Field by field as docs/keeper.md, "START". */
export interface Start {
  readonly title: string;
  readonly directory: string;
  readonly terminal?: { readonly rows: number; readonly columns: number };
  readonly stdin: 'none' | 'open' | 'once';
  readonly log?: { readonly path: string; readonly maxBytes: number; readonly maxFiles: number };
  readonly spillDirectory: string;
  readonly awaitClients: number;
  readonly exitFiles: readonly string[];
  readonly cloneFlags: number;
  readonly cgroup?: Register;
  /** Holds a pidfd of the process in whose user namespace the guest is cloned. */
  readonly user?: Register;
  readonly before: Program;
  readonly after: Program;
  readonly stage: Program;
}

/** The registers that a guard fills before its "after" program. */
export const guestPidfd: Register = { register: 30 };
export const guestPid: Register = { register: 31 };
/** The guard's ends of the guest's standard input, output and error; -1 where there is none. */
export const guestStreams: readonly Register[] = [{ register: 19 }, { register: 18 }, { register: 17 }];
/** In a program carried out by `Kernel.fork`: the connection to the caller. */
export const connection: Register = { register: 0 };
