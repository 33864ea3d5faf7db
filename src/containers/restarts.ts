// Restart policies: whether a container that ended by itself is started again, and when. The pause doubles from 100 ms to a
// minute, and is forgotten after a run of ten seconds.
import { fullMessageOf } from '../base/error.ts';
import { log } from '../base/log.ts';
import type { Container } from './container.ts';

const firstPauseMs = 100;
const longestPauseMs = 60_000;
const longRunNanos = 10_000_000_000n;

/** Whether the policy wants it running again. A container that a user stopped stays stopped. */
function wantsRestart(container: Container): boolean {
  const { state, config, restartCount } = container;
  if (state.is !== 'exited' || container.stoppedByUser) return false;
  if (config.restart.name === 'always' || config.restart.name === 'unless-stopped') return true;
  if (config.restart.name !== 'on-failure' || state.code === 0) return false;
  return config.restart.most === 0 || restartCount < config.restart.most;
}

export class Restarts {
  readonly #start: (id: string) => Promise<void>;
  readonly #planned = new Map<string, { timer: NodeJS.Timeout | undefined; pauseMs: number }>();

  constructor(start: (id: string) => Promise<void>) {
    this.#start = start;
  }

  /** Plans the next start if the policy wants one. */
  plan(container: Container): boolean {
    if (!wantsRestart(container) || container.state.is !== 'exited') return false;
    const ranLong = container.state.finishedAt - container.state.startedAt > longRunNanos;
    const before = ranLong ? undefined : this.#planned.get(container.id)?.pauseMs;
    const pauseMs = before === undefined ? firstPauseMs : Math.min(before * 2, longestPauseMs);
    const timer = setTimeout(() => {
      this.#start(container.id).catch((error) =>
        log('warn', 'Cannot start a container again', { id: container.id, error: fullMessageOf(error) }),
      );
    }, pauseMs);
    timer.unref();
    this.#planned.set(container.id, { timer, pauseMs });
    return true;
  }

  /** Takes back what was planned. */
  forget(id: string): void {
    clearTimeout(this.#planned.get(id)?.timer);
    this.#planned.delete(id);
  }
}
