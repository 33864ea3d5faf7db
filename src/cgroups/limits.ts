// Whether limits make sense on this host, in dockerd's words (its clients and tests match some): what is wrong is refused,
// what this host cannot do is left out with a warning.
import { existsSync, readFileSync } from 'node:fs';
import { HolmError } from '../base/error.ts';
import type { Limits } from './controller.ts';
import { cpu } from './cpu.ts';
import { cpuset } from './cpuset.ts';
import { type Hierarchies, locate } from './hierarchy.ts';
import { io } from './io.ts';
import { memory } from './memory.ts';
import { pids } from './pids.ts';

const minimumMemoryBytes = 6 * 1024 * 1024;

/** What a host has to give. */
export interface HostCpus {
  readonly count: number;
  /** Lists as in cpuset.cpus: "0-3,5". */
  readonly cpus: string;
  readonly mems: string;
}

/** This host's, as far as groups below the root of the cpuset hierarchy may have them; looked at when asked for. */
export function readHostCpus(hierarchies: Hierarchies): HostCpus {
  const online = (directory: string): string => {
    const path = `/sys/devices/system/${directory}/online`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : '0';
  };
  return {
    get count() {
      return parseList(online('cpu'))?.size ?? 1;
    },
    get cpus() {
      return hierarchies.cpuset?.cpus ?? online('cpu');
    },
    get mems() {
      return hierarchies.cpuset?.mems ?? online('node');
    },
  };
}

/** Throws `invalid` on limits that no host could keep; gives those that this one can, and docker's warnings about the rest. */
export function checkLimits(
  asked: Limits,
  hierarchies: Hierarchies,
  host: HostCpus,
): { readonly limits: Limits; readonly warnings: readonly string[] } {
  for (const check of [checkMemory, checkCpu, checkBlock]) check(asked, host);
  if (asked.cpusetCpus) checkList(asked.cpusetCpus, host.cpus, 'CPUs', 'cpuset cpus');
  if (asked.cpusetMems) checkList(asked.cpusetMems, host.mems, 'memory nodes', 'cpuset mems');
  const warnings: string[] = [];
  const limits: { -readonly [Key in keyof Limits]: Limits[Key] } = { ...asked };
  const discard = (warning: string, ...keys: (keyof Limits)[]): void => {
    if (!keys.some((key) => isSet(limits[key]))) return;
    for (const key of keys) delete limits[key];
    warnings.push(warning);
  };
  const has = (controller: { v1: string; v2?: string }): boolean => locate(hierarchies, controller, 'x') !== undefined;
  const sentence = (what: string, end: string): string =>
    `Your kernel does not support ${what} or the cgroup is not mounted. ${end}`;
  if (!has(memory)) {
    discard(sentence('memory limit capabilities', 'Limitation discarded.'), 'memoryBytes', 'memorySwapBytes');
    discard(sentence('memory soft limit capabilities', 'Limitation discarded.'), 'memoryReservationBytes');
  }
  if (!hierarchies.swap && (limits.memoryBytes ?? 0) > 0 && limits.memorySwapBytes !== -1) {
    delete limits.memorySwapBytes;
    warnings.push(sentence('swap limit capabilities', 'Memory limited without swap.'));
  }
  if (locate(hierarchies, memory, 'x')?.version !== 1) {
    discard(sentence('memory swappiness capabilities', 'Memory swappiness discarded.'), 'memorySwappiness');
    discard(sentence('OomKillDisable', 'OomKillDisable discarded.'), 'oomKillDisable');
  }
  if (limits.oomKillDisable === true && (limits.memoryBytes ?? 0) === 0) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  }
  if (!has(pids)) discard(sentence('PIDs limit', 'PIDs limit discarded.'), 'pids');
  if (!has(cpu)) {
    discard(sentence('CPU shares', 'Shares discarded.'), 'cpuShares');
    discard(sentence('CPU CFS scheduler', 'Quota discarded.'), 'cpuNanos', 'cpuPeriodMicros', 'cpuQuotaMicros');
  }
  if (!has(cpuset)) discard(sentence('cpuset', 'Cpuset discarded.'), 'cpusetCpus', 'cpusetMems');
  if (!has(io)) {
    discard(sentence('Block I/O weight', 'Weight discarded.'), 'blockWeight');
    discard(sentence('block I/O limits', 'Limits discarded.'), 'blockLimits');
  }
  return { limits, warnings };
}

function checkMemory(limits: Limits): void {
  const { memoryBytes = 0, memorySwapBytes: total = 0, memoryReservationBytes: reservation = 0 } = limits;
  const { memorySwappiness: swappiness = -1 } = limits;
  if (memoryBytes !== 0 && memoryBytes < minimumMemoryBytes) refuse('Minimum memory limit allowed is 6MB');
  if (memoryBytes > 0 && total > 0 && total < memoryBytes) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memoryBytes === 0 && total > 0) {
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (swappiness < -1 || swappiness > 100) {
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < minimumMemoryBytes) refuse('Minimum memory reservation allowed is 6MB');
  if (memoryBytes > 0 && memoryBytes < reservation) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
}

function checkCpu(limits: Limits, host: HostCpus): void {
  const { cpuNanos = 0, cpuPeriodMicros: period = 0, cpuQuotaMicros: quota = 0, cpuShares: shares = 0 } = limits;
  if (cpuNanos > 0 && period > 0) refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (cpuNanos > 0 && quota > 0) refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (cpuNanos < 0 || (cpuNanos > 0 && (cpuNanos < 1e7 || cpuNanos > host.count * 1e9))) {
    refuse(`range of CPUs is from 0.01 to ${host.count}.00, as there are only ${host.count} CPUs available`);
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (quota > 0 && quota < 1000) refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (shares < 0) refuse('shares must be positive');
}

function checkBlock({ blockWeight: weight = 0 }: Limits): void {
  if (weight !== 0 && (weight < 10 || weight > 1000)) refuse('Range of blkio weight is from 10 to 1000');
}

function checkList(asked: string, available: string, what: string, field: string): void {
  const wanted = parseList(asked);
  if (wanted === undefined) refuse(`Invalid value ${asked} for ${field}`);
  const given = parseList(available) ?? new Set();
  if ([...wanted].some((number) => !given.has(number))) {
    refuse(`Requested ${what} are not available - requested ${asked}, available: ${available}`);
  }
}

/** Parses "0-3,5" (cpuset(7), "List format"); undefined when the text is none. */
function parseList(text: string): Set<number> | undefined {
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (to < from) return undefined;
    for (let number = from; number <= to; number++) numbers.add(number);
  }
  return numbers;
}

function isSet(value: Limits[keyof Limits]): boolean {
  if (typeof value === 'number') return value > 0;
  return value !== undefined && value !== false && value !== '' && !(Array.isArray(value) && value.length === 0);
}

function refuse(message: string): never {
  throw new HolmError('invalid', message);
}
