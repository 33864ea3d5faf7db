// The guests that run now: for each its control connection, and who waits for its end. What is here is never a record: it is
// found again from the guards' sockets when the daemon starts.
import type { Control, ExitRecord } from '../kernel/guard.ts';

export interface Running {
  readonly pid: number;
  readonly directory: string;
  /** Nobody waits for it at a start. undefined if the guard has left. */
  readonly control: Promise<Control | undefined>;
  /** Settles when the guest's end is on record. */
  readonly ended: Promise<void>;
  /** Settles when nothing is left of the run. */
  readonly cleaned: Promise<void>;
}

/** The guest's end, however it became known. A guard that vanished without a word was killed, and its guest is no longer ours. */
export async function exitOf(
  control: Promise<Control | undefined>,
  read: () => ExitRecord | undefined,
): Promise<ExitRecord> {
  const record = (await (await control)?.exit) ?? read();
  return record ?? { code: 137, signal: 9, at: BigInt(Date.now()) * 1_000_000n, files: [] };
}
