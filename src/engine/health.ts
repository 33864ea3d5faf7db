// What probes say of a container: its health, and how each result changes it, by docker's rules. Values only; when a probe
// is due and who carries it out is health-checks.ts's.
import type { Container } from '../containers/container.ts';

export type HealthStatus = 'starting' | 'healthy' | 'unhealthy';

/** One probe. Times are nanoseconds since 1970. */
export interface ProbeResult {
  readonly startedAt: bigint;
  readonly endedAt: bigint;
  /** The probe's exit code; -1 when it could not be started or did not end in time. */
  readonly code: number;
  readonly output: string;
}

export interface Health {
  readonly status: HealthStatus;
  readonly failingStreak: number;
  /** The last five, oldest first. */
  readonly log: readonly ProbeResult[];
}

export const firstHealth: Health = { status: 'starting', failingStreak: 0, log: [] };

/** A container's healthcheck with docker's defaults in place. */
export interface CheckPlan {
  readonly argv: readonly string[];
  /** From the end of a probe to the start of the next, and before the first. */
  readonly intervalMs: number;
  /** The same while it is starting, within its start period. */
  readonly startIntervalMs: number;
  readonly startPeriodMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
}

const mostResults = 5;
const defaultShell = ['/bin/sh', '-c'];

/** What is to be probed and when; undefined for a container without a check. `shell` is its image's SHELL. */
export function planOf({ config }: Container, shell: readonly string[] | undefined): CheckPlan | undefined {
  const check = config.healthcheck;
  const [kind, ...rest] = check?.test ?? [];
  if (check === undefined || rest.length === 0 || (kind !== 'CMD' && kind !== 'CMD-SHELL')) return undefined;
  const before = kind === 'CMD' ? [] : shell !== undefined && shell.length > 0 ? shell : defaultShell;
  return {
    argv: [...before, ...rest],
    intervalMs: milliseconds(check.intervalNanos, 30_000),
    startIntervalMs: milliseconds(check.startIntervalNanos, 5000),
    startPeriodMs: milliseconds(check.startPeriodNanos, 0),
    timeoutMs: milliseconds(check.timeoutNanos, 30_000),
    retries: check.retries || 3,
  };
}

function milliseconds(nanos: number | undefined, byDefault: number): number {
  return nanos ? nanos / 1e6 : byDefault;
}

/** How long until the next probe of a container that has run for `ranMs`. */
export function pauseMs(plan: CheckPlan, { status }: Health, ranMs: number): number {
  return status === 'starting' && ranMs < plan.startPeriodMs ? plan.startIntervalMs : plan.intervalMs;
}

/** Health after one more result. `ranMs` is how long the container had run when the probe began. */
export function judge(before: Health, plan: CheckPlan, result: ProbeResult, ranMs: number): Health {
  const log = [...before.log, result].slice(-mostResults);
  if (result.code === 0) return { status: 'healthy', failingStreak: 0, log };
  // What has not been well yet may fail within its start period.
  if (before.status === 'starting' && ranMs < plan.startPeriodMs) return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  return { status: failingStreak >= plan.retries ? 'unhealthy' : before.status, failingStreak, log };
}
