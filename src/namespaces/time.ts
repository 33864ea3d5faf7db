// A time namespace with clocks of its own (time_namespaces(7)). clone3(2) with CLONE_NEWTIME would put the new process into it
// at once, its offsets fixed at zero; unshare(2) makes one for children only, whose offsets may be written until the first
// process enters. So the stage unshares, writes, and enters by setns(2), which holds for itself (since Linux 5.6; that an execve
// would enter too came with 6.1).
import { HolmError } from '../base/error.ts';
import { AT_FDCWD, CLONE_NEWTIME, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../kernel/constants.ts';
import { type Program, type Registers, step } from '../kernel/steps.ts';

/** How far the guest's clocks are ahead of the host's; negative is behind. */
export interface TimeOffsets {
  readonly boottimeNanos: bigint;
  readonly monotonicNanos: bigint;
}

const nanosPerSecond = 1_000_000_000n;
/** KTIME_SEC_MAX / 2: the kernel takes no clock beyond. */
const mostSeconds = 4_611_686_018n;

/** Reads seconds such as "86400", "-3.5"; `what` is the option's name for errors. Gives nanoseconds. */
export function parseOffset(text: string, what: string): bigint {
  const match = /^([+-]?)(\d{1,10})(?:\.(\d{1,9}))?$/.exec(text.trim());
  const nanos =
    match === null ? undefined : BigInt(match[2]!) * nanosPerSecond + BigInt((match[3] ?? '').padEnd(9, '0'));
  if (match === null || nanos === undefined || nanos > mostSeconds * nanosPerSecond) {
    throw new HolmError('invalid', `invalid ${what} "${text}": must be seconds, at most ${mostSeconds}`);
  }
  return match[1] === '-' ? -nanos : nanos;
}

/** Seconds as parseOffset reads them. */
export function formatOffset(nanos: bigint): string {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = String(size % nanosPerSecond)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${size / nanosPerSecond}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Steps for the stage, while the host's procfs is in sight. A clock that would show less than zero is ERANGE. */
export function makeTimeNamespace(offsets: TimeOffsets, registers: Registers): Program {
  const namespace = registers.acquire();
  registers.release(namespace);
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_CLOEXEC));
  const [monotonic, boottime] = [formatOffset(offsets.monotonicNanos), formatOffset(offsets.boottimeNanos)];
  return [
    step('unshare', [CLONE_NEWTIME], 'make a time namespace', { why: 'for children as yet, so that it can be set' }),
    step(
      'write_file',
      [AT_FDCWD, '/proc/self/timens_offsets', encodeOffsets(offsets), O_WRONLY],
      `set the clocks off by ${monotonic} s (monotonic) and ${boottime} s (since boot)`,
      { why: 'fixed once a process is inside' },
    ),
    step('openat2', [AT_FDCWD, '/proc/self/ns/time_for_children', how, how.length], 'open the time namespace', {
      result: namespace,
    }),
    step('setns', [namespace, CLONE_NEWTIME], 'enter the time namespace'),
    step('close', [namespace], 'close a descriptor'),
  ];
}

/** The content of /proc/PID/timens_offsets: clock, seconds, nanoseconds from 0 to 999999999. */
export function encodeOffsets({ monotonicNanos, boottimeNanos }: TimeOffsets): Uint8Array {
  const row = (clock: string, nanos: bigint): string => {
    const rest = ((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
    return `${clock} ${(nanos - rest) / nanosPerSecond} ${rest}\n`;
  };
  return Buffer.from(row('monotonic', monotonicNanos) + row('boottime', boottimeNanos));
}
