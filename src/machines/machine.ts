// What a machine is: what was asked for, how things stand, and which moves that allows. Units stand in the names.
import type { Digest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';
import type { Id } from '../base/id.ts';
import type { RestartPolicy } from '../containers/container.ts';

/** A port of the host that leads to one of the guest. */
export interface MachinePort {
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** A directory of the host that the guest mounts by its tag. */
export interface MachineShare {
  readonly source: string;
  readonly tag: string;
  readonly readOnly: boolean;
}

export interface MachineConfig {
  /** An image with a kernel in it (docs/machine-images.md). */
  readonly image: string;
  /** Harts. */
  readonly cpus: number;
  readonly memoryBytes: number;
  /** The most that the machine's own disk may hold. */
  readonly diskBytes: number;
  /** Further words of the kernel's command line. */
  readonly commandLine: string;
  readonly network: 'user' | 'none';
  readonly ports: readonly MachinePort[];
  readonly shares: readonly MachineShare[];
  readonly engine: 'translator' | 'interpreter';
  readonly restart: RestartPolicy;
  readonly labels: Readonly<Record<string, string>>;
}

/** A machine's record. Its process is a container (`containerId`), whose record has all that changes while it runs. */
export interface Machine {
  readonly id: Id;
  readonly name: string;
  readonly createdAt: bigint;
  readonly config: MachineConfig;
  readonly imageId: Digest;
  /** Of the topmost layer of its image: which disk it reads. */
  readonly chainId: Digest;
  /** Undefined until all of the machine is made. */
  readonly containerId: Id | undefined;
  /** A machine that only configures its image's packages, for the machine that is being made; it goes with that work. */
  readonly isForImage?: true;
}

/** Times are nanoseconds since 1970. */
export type MachineState =
  | { readonly is: 'creating' }
  | { readonly is: 'created' }
  | { readonly is: 'running' | 'paused'; readonly startedAt: bigint; readonly pid: number }
  | {
      readonly is: 'ended';
      readonly startedAt: bigint;
      readonly finishedAt: bigint;
      readonly why: MachineEndReason;
      readonly code: number;
      readonly error: string;
    };

/** How machines end, as the exit codes of their process. */
export const endCodes = {
  /** The guest powered off. */
  'power off': 0,
  /** Something in the machine itself failed, or it could not start. */
  fault: 70,
  /** The guest's kernel panicked. */
  panic: 71,
  /** Every hart waits with interrupts off: nothing can wake it. */
  halt: 72,
  /** Asked to stop, and the guest was not asked or did not answer. */
  stop: 143,
} as const;
export type MachineEndReason = keyof typeof endCodes | 'killed' | 'out of memory';

const killedCode = 128 + 9;

/** Why a machine's process ended; a code that none of the ends above has is that of a crash. */
export function endReasonOf(code: number, outOfMemory: boolean): MachineEndReason {
  const found = Object.entries(endCodes).find(([, known]) => known === code);
  if (found !== undefined) return found[0] as keyof typeof endCodes;
  if (outOfMemory) return 'out of memory';
  return code === killedCode ? 'killed' : 'fault';
}

type Stand = MachineState['is'];

/** Which moves a state allows. */
export const moves: Readonly<Record<Move, readonly Stand[]>> = {
  start: ['created', 'ended'],
  stop: ['running', 'paused'],
  kill: ['running', 'paused'],
  pause: ['running'],
  resume: ['paused'],
  console: ['running', 'paused'],
  remove: ['created', 'ended'],
};
export type Move = 'start' | 'stop' | 'kill' | 'pause' | 'resume' | 'console' | 'remove';

const verbs: Readonly<Record<Move, string>> = {
  start: 'start',
  stop: 'stop',
  kill: 'kill',
  pause: 'pause',
  resume: 'resume',
  console: 'open the console of',
  remove: 'remove',
};

/** Throws wrongState unless the move is allowed. */
export function checkMove(name: string, state: MachineState, move: Move): void {
  const allowed = moves[move];
  if (allowed.includes(state.is)) return;
  throw new HolmError(
    'wrongState',
    `Cannot ${verbs[move]} machine "${name}": it is ${state.is}, must be ${allowed.join(' or ')}`,
  );
}
