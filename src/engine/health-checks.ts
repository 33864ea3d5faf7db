// Health checks carried out: which container is to be probed next, the probe under its time limit, and what follows from it.
// One timer for all, set to the earliest; a container without a check costs nothing. Few probes are started at a time, as
// starting is what costs; those that run are not counted, or a few that hang would keep all others from being asked.
import { nowNanos } from '../base/clock.ts';
import { fullMessageOf } from '../base/error.ts';
import { log } from '../base/log.ts';
import type { Container } from '../containers/container.ts';
import { isUp } from '../containers/container.ts';
import { type CheckPlan, firstHealth, type Health, judge, pauseMs, planOf } from './health.ts';

/** A probe that has been started. */
export interface RunningProbe {
  /** Settles with its exit code, once its output is whole. */
  readonly ended: Promise<number>;
  /** What it wrote, both streams in order, cut as docker does. */
  output(): string;
  kill(): void;
}

/** What health checks do to the world. */
export interface HealthWork {
  startProbe(containerId: string, argv: readonly string[]): Promise<RunningProbe>;
  /** The SHELL of a container's image. */
  shellOf(container: Container): readonly string[] | undefined;
  tellStatus(containerId: string, status: Health['status']): void;
  restart(containerId: string): Promise<void>;
}

/** Time, passed in for the tests. */
export interface Clock {
  nowNanos(): bigint;
  /** Calls `work` after a time; gives what takes that back. */
  after(ms: number, work: () => void): () => void;
}

const systemClock: Clock = {
  nowNanos,
  after: (ms, work) => {
    const timer = setTimeout(work, Math.min(ms, 2 ** 31 - 1)).unref();
    return () => clearTimeout(timer);
  },
};

/** holm's own: a container with this label is started again when it becomes unhealthy. */
const restartLabel = 'holm.restart';
const mostStarting = 4;
const startTimeoutMs = 30_000;

/** A container while it is probed. */
interface Watch {
  readonly id: string;
  readonly plan: CheckPlan;
  readonly startedAt: bigint;
  readonly restarts: boolean;
  dueAt: bigint;
  probe?: RunningProbe;
  /** Ended, paused or started again: what a probe still says is not heard. */
  isOver: boolean;
}

export class HealthChecks {
  readonly #work: HealthWork;
  readonly #clock: Clock;
  readonly #health = new Map<string, Health>();
  readonly #watches = new Map<string, Watch>();
  /** Those that wait for their next probe, the earliest first. */
  readonly #due: Watch[] = [];
  #starting = 0;
  #cancelTimer = () => {};

  constructor(work: HealthWork, clock: Clock = systemClock) {
    this.#work = work;
    this.#clock = clock;
  }

  /** A container's health; undefined where nothing is checked, and before its first start. */
  find(id: string): Health | undefined {
    return this.#health.get(id);
  }

  /** To be told of what happens to containers, in the words of their events. */
  note(container: Container, action: string): void {
    if (action === 'start') this.watch(container);
    else if (action === 'unpause') this.#resume(container);
    // Docker calls what is no longer probed unhealthy. A paused container keeps its health here: nobody asked it meanwhile.
    else if (action === 'pause') this.#stop(container.id);
    else if (action === 'die') this.#end(container.id);
    else if (action === 'destroy') this.#health.delete(container.id);
  }

  /** Begins anew with a container that runs; of one that is paused only the health is kept. */
  watch(container: Container): void {
    this.#stop(container.id);
    this.#health.delete(container.id);
    if (planOf(container, undefined) === undefined) return;
    this.#health.set(container.id, firstHealth);
    if (container.state.is === 'running') this.#resume(container);
  }

  #resume(container: Container): void {
    const plan = planOf(container, this.#work.shellOf(container));
    if (plan === undefined || !isUp(container)) return;
    this.#stop(container.id);
    const { id, labels, config } = container;
    const restarts = (labels[restartLabel] ?? config.annotations[restartLabel]) === 'unhealthy';
    const watch: Watch = { id, plan, startedAt: container.state.startedAt, restarts, dueAt: 0n, isOver: false };
    this.#watches.set(id, watch);
    this.#plan(watch);
  }

  #stop(id: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    watch.isOver = true;
    watch.probe?.kill();
    this.#watches.delete(id);
    const at = this.#due.indexOf(watch);
    if (at !== -1) this.#due.splice(at, 1);
  }

  #end(id: string): void {
    this.#stop(id);
    const health = this.#health.get(id);
    if (health !== undefined) this.#health.set(id, { ...health, status: 'unhealthy' });
  }

  #plan(watch: Watch): void {
    const now = this.#clock.nowNanos();
    const health = this.#health.get(watch.id) ?? firstHealth;
    const pause = pauseMs(watch.plan, health, millisBetween(watch.startedAt, now));
    watch.dueAt = now + BigInt(Math.round(pause * 1e6));
    const at = this.#due.findIndex((other) => other.dueAt > watch.dueAt);
    this.#due.splice(at === -1 ? this.#due.length : at, 0, watch);
    this.#arm();
  }

  /** Sets the one timer; without room for a start it is set again when one has been made. */
  #arm(): void {
    this.#cancelTimer();
    const first = this.#due[0];
    if (first === undefined || this.#starting >= mostStarting) return;
    const waitMs = Math.max(0, Math.ceil(millisBetween(this.#clock.nowNanos(), first.dueAt)));
    this.#cancelTimer = this.#clock.after(waitMs, () => this.#startDue());
  }

  #startDue(): void {
    const now = this.#clock.nowNanos();
    while (this.#starting < mostStarting && this.#due[0] !== undefined && this.#due[0].dueAt <= now) {
      const watch = this.#due.shift()!;
      this.#probe(watch).catch((error) =>
        log('error', 'Cannot go on with a health check', { id: watch.id, error: fullMessageOf(error) }),
      );
    }
    this.#arm();
  }

  async #probe(watch: Watch): Promise<void> {
    const startedAt = this.#clock.nowNanos();
    const { code, output } = await this.#outcomeOf(watch);
    if (watch.isOver) return;
    const before = this.#health.get(watch.id) ?? firstHealth;
    const result = { startedAt, endedAt: this.#clock.nowNanos(), code, output };
    const after = judge(before, watch.plan, result, millisBetween(watch.startedAt, startedAt));
    this.#health.set(watch.id, after);
    this.#plan(watch);
    if (after.status !== before.status) this.#work.tellStatus(watch.id, after.status);
    if (after.status === 'unhealthy' && watch.restarts) await this.#restart(watch);
  }

  async #restart(watch: Watch): Promise<void> {
    this.#stop(watch.id);
    log('info', 'An unhealthy container is started again', { id: watch.id });
    await this.#work.restart(watch.id);
  }

  /** Starts the probe and awaits its end, killing it when its time is over; all that fails is a result too. */
  async #outcomeOf(watch: Watch): Promise<{ code: number; output: string }> {
    try {
      const probe = await this.#start(watch);
      watch.probe = probe;
      // Stopped while it was being started.
      if (watch.isOver) probe.kill();
      let isLate = false;
      const cancel = this.#clock.after(watch.plan.timeoutMs, () => {
        isLate = true;
        probe.kill();
      });
      const code = await probe.ended.finally(cancel);
      const output = probe.output();
      if (!isLate) return { code, output };
      const late = `Health check exceeded timeout (${formatGoDuration(watch.plan.timeoutMs)})`;
      return { code: -1, output: output === '' ? late : `${late}: ${output}` };
    } catch (error) {
      return { code: -1, output: fullMessageOf(error) };
    } finally {
      delete watch.probe;
    }
  }

  /** A start that hangs gives its room back and is a failure; should it succeed later, the probe is killed. */
  async #start(watch: Watch): Promise<RunningProbe> {
    this.#starting++;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = this.#clock.after(startTimeoutMs, () =>
      reject(new Error(`timed out starting health check for container ${watch.id}`)),
    );
    const started = this.#work.startProbe(watch.id, watch.plan.argv);
    try {
      return await Promise.race([started, late]);
    } catch (error) {
      started.then((probe) => probe.kill()).catch(() => undefined);
      throw error;
    } finally {
      cancel();
      this.#starting--;
      this.#arm();
    }
  }

  /** Ends the probes that run; no more are started. */
  close(): void {
    for (const id of [...this.#watches.keys()]) this.#stop(id);
    this.#cancelTimer();
  }
}

function millisBetween(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6;
}

/** "1m30s", "1.5s", "250ms", as Go's time.Duration prints itself; docker's text has it so. */
function formatGoDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${Number(((ms % 60_000) / 1000).toFixed(9))}s`;
  return `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes % 60}m` : ''}${seconds}`;
}
