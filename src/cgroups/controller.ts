// What every controller's file gives: limits as writes to its files, for cgroup v2 and v1, and accounting files as usage.
// Everything is values; group.ts makes steps of the writes.

/** Limits; one that is absent is not limited. The shape of a container's Resources. */
export interface Limits {
  readonly cpuShares?: number;
  readonly cpuNanos?: number;
  readonly cpuPeriodMicros?: number;
  readonly cpuQuotaMicros?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly memoryBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Memory and swap together; -1 is no limit, absent or 0 twice the memory. */
  readonly memorySwapBytes?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  /** -1 or 0 is no limit. */
  readonly pids?: number;
  /** 10 to 1000. */
  readonly blockWeight?: number;
  readonly blockLimits?: readonly BlockLimit[];
}
export interface BlockLimit {
  /** Path of the block device on the host. */
  readonly device: string;
  readonly kind: 'readBytes' | 'writeBytes' | 'readOperations' | 'writeOperations';
  /** A second; 0 is no limit. */
  readonly rate: number;
}

/** One write to a file of a group. */
export interface Write {
  readonly file: string;
  readonly value: string;
  /** Completes "Cannot set …". */
  readonly what: string;
  /** Errnos that are no failure. */
  readonly tolerate?: readonly number[];
  /** What to write instead after a tolerated failure. */
  readonly instead?: Write;
}

/** "8:16" of a block device's path. */
export type DeviceNumber = (path: string) => string;

/** A controller: its name in each version, and the writes that take a group from `before` to `limits` ({} when it is new). */
export interface Controller {
  readonly v2?: string;
  readonly v1: string;
  readonly writesV2: (limits: Limits, before: Limits, deviceNumber: DeviceNumber) => Write[];
  readonly writesV1: (limits: Limits, before: Limits, deviceNumber: DeviceNumber) => Write[];
}

/** Reads a file of a group by its controller's name in that version; empty when there is none. */
export type ReadFile = (controller: string, file: string) => string;

/** What a group used so far. The shape of a container's Usage, without networks. */
export interface GroupUsage {
  readonly readAt: bigint;
  readonly cpuTotalNanos: number;
  readonly cpuUserNanos: number;
  readonly cpuSystemNanos: number;
  readonly cpuPerCpuNanos: readonly number[];
  readonly throttledPeriods: number;
  readonly throttledPeriodsOf: number;
  readonly throttledNanos: number;
  readonly hostCpuNanos: number;
  readonly hostCpus: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  readonly memoryLimitBytes: number;
  readonly memoryStat: Readonly<Record<string, number>>;
  readonly pids: number;
  readonly pidsLimit?: number;
  readonly blockIo: readonly BlockUsage[];
}
export interface BlockUsage {
  major: number;
  minor: number;
  operation: 'read' | 'write';
  bytes: number;
  operations: number;
}

/** Parses lines of "key value", as in cpu.stat and memory.stat. */
export function parsePairs(text: string): Record<string, number> {
  const pairs: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) pairs[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return pairs;
}
