// A container's state as Docker tells it: one word, a sentence for lists, and the "State" object of inspect.
import { formatTime, nowNanos, zeroTime } from '../base/clock.ts';
import type { Container } from '../containers/container.ts';
import type { Health } from './backend.ts';
import { formatDuration } from './times.ts';

export const stateWords = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;
export type StateWord = (typeof stateWords)[number];

/** A container that never ran, because its start failed, is "created" for Docker. */
export function stateWordOf({ state }: Container): StateWord {
  if (state.is === 'creating' || (state.is === 'exited' && state.startedAt === 0n)) return 'created';
  return state.is;
}

/** "Up 3 minutes", "Up 3 minutes (healthy)", "Up 2 minutes (Paused)", "Exited (0) 2 hours ago", "Created". */
export function statusOf(container: Container, health: Health | undefined): string {
  const { state } = container;
  switch (state.is) {
    case 'running':
      return `Up ${formatDuration(nowNanos() - state.startedAt)}${healthText(health)}`;
    case 'paused':
      return `Up ${formatDuration(nowNanos() - state.startedAt)} (Paused)`;
    case 'removing':
      return 'Removal In Progress';
    case 'creating':
    case 'created':
      return 'Created';
    case 'exited':
      if (state.startedAt === 0n) return 'Created';
      return `Exited (${state.code}) ${formatDuration(nowNanos() - state.finishedAt)} ago`;
  }
}

function healthText(health: Health | undefined): string {
  if (health === undefined) return '';
  return health.status === 'starting' ? ' (health: starting)' : ` (${health.status})`;
}

/** The "Health" object of inspect's "State". */
function healthJson({ status, failingStreak, log }: Health): Record<string, unknown> {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ startedAt, endedAt, code, output }) => ({
      Start: formatTime(startedAt),
      End: formatTime(endedAt),
      ExitCode: code,
      Output: output,
    })),
  };
}

export function isRunning({ state }: Container): boolean {
  return state.is === 'running' || state.is === 'paused';
}

function timeOrZero(nanos: bigint): string {
  return nanos === 0n ? zeroTime : formatTime(nanos);
}

/** The "State" object of inspect. */
export function stateJson(container: Container, health: Health | undefined): Record<string, unknown> {
  const { state } = container;
  const runs = state.is === 'running' || state.is === 'paused';
  const ended = state.is === 'exited' ? state : undefined;
  return {
    Status: stateWordOf(container),
    Running: runs,
    Paused: state.is === 'paused',
    Restarting: false,
    OOMKilled: ended?.outOfMemory ?? false,
    Dead: false,
    Pid: runs ? state.pid : 0,
    ExitCode: ended?.code ?? 0,
    Error: ended?.error ?? '',
    StartedAt: runs ? formatTime(state.startedAt) : timeOrZero(ended?.startedAt ?? 0n),
    FinishedAt: timeOrZero(ended?.finishedAt ?? 0n),
    ...(health && { Health: healthJson(health) }),
  };
}
