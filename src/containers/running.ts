// The guests that run now: for each the way to its guard, and who waits for its end. What is here is never a record: it is
// found again from the guards' sockets when the daemon starts.
import { type Control, type End, type ExitRecord, openControl } from '../kernel/guard.ts';

export interface Running {
  readonly pid: number;
  readonly directory: string;
  /** Connects when it is first asked for. undefined if the guard has left. */
  readonly control: Promise<Control | undefined>;
  /** Settles when the guest's end is on record. */
  readonly ended: Promise<void>;
  /** Settles when nothing is left of the run. */
  readonly cleaned: Promise<void>;
}

/** What is known of a guest that runs; a guest that another daemon started is known by its control. */
export interface Run {
  readonly pid: number;
  readonly directory: string;
  /** Settles with its end; undefined if its guard vanished without telling. */
  readonly end: Promise<End | undefined>;
  readonly control?: Control | undefined;
}

/** A run that is watched. Most guests are never asked for anything: nothing is connected before that. */
export function watched({ pid, directory, control }: Run, ended: Promise<void>, cleaned: Promise<void>): Running {
  let opened = control === undefined ? undefined : Promise.resolve<Control | undefined>(control);
  return {
    pid,
    directory,
    ended,
    cleaned,
    get control() {
      opened ??= openControl(directory);
      return opened;
    },
  };
}

/** The guest's end, however it became known. A guard that vanished without a word was killed, and its guest is no longer ours. */
export async function exitOf(told: Promise<End | undefined>, read: () => ExitRecord | undefined): Promise<ExitRecord> {
  const record = (await told)?.record ?? read();
  return record ?? { code: 137, signal: 9, at: BigInt(Date.now()) * 1_000_000n, files: [] };
}
