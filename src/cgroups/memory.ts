// The memory controller. docker's numbers count memory and swap together, as v1's memsw files do; v2 has swap alone.
// memory.kmem of v1 is left alone: it is deprecated, and setting it breaks some kernels.
import { errno } from '../kernel/constants.ts';
import { type Controller, type GroupUsage, type Limits, parsePairs, type ReadFile, type Write } from './controller.ts';

const unlimited = -1;

/** Limit of memory in bytes; -1 is none. */
function memoryOf({ memoryBytes = 0 }: Limits): number {
  return memoryBytes > 0 ? memoryBytes : unlimited;
}

/** Limit of memory and swap together; -1 is none. Twice the memory if it is not said, as docker has it. */
function totalOf(limits: Limits): number {
  const memory = memoryOf(limits);
  const total = limits.memorySwapBytes ?? 0;
  if (total === 0) return memory === unlimited ? unlimited : memory * 2;
  return total;
}

/** Where the kernel does not count swap, the files are missing: an error only if a limit of swap was asked for. */
function swapTolerance({ memorySwapBytes = 0 }: Limits): Pick<Write, 'tolerate'> {
  return memorySwapBytes > 0 ? {} : { tolerate: [errno.ENOENT, errno.EOPNOTSUPP] };
}

/** Bytes with the largest unit that leaves no rest: "64m". */
export function formatLimit(bytes: number): string {
  if (bytes < 0) return 'unlimited';
  const units = ['', 'k', 'm', 'g', 't'];
  let at = 0;
  let value = bytes;
  while (at < units.length - 1 && value > 0 && value % 1024 === 0) {
    value /= 1024;
    at++;
  }
  return `${value}${units[at]}`;
}

export const memory: Controller = {
  v2: 'memory',
  v1: 'memory',

  writesV2(limits, before) {
    const writes: Write[] = [];
    const orMax = (bytes: number): string => (bytes < 0 ? 'max' : String(bytes));
    const [limit, total] = [memoryOf(limits), totalOf(limits)];
    const swap = total < 0 || limit < 0 ? unlimited : total - limit;
    const [limitBefore, totalBefore] = [memoryOf(before), totalOf(before)];
    const swapBefore = totalBefore < 0 || limitBefore < 0 ? unlimited : totalBefore - limitBefore;
    if (limit !== limitBefore) {
      writes.push({ file: 'memory.max', value: orMax(limit), what: `memory limit ${formatLimit(limit)}` });
    }
    if (swap !== swapBefore) {
      writes.push({
        file: 'memory.swap.max',
        value: orMax(swap),
        what: `swap limit ${formatLimit(swap)}`,
        ...swapTolerance(limits),
      });
    }
    const reservation = limits.memoryReservationBytes ?? 0;
    if (reservation !== (before.memoryReservationBytes ?? 0)) {
      const what = `memory reservation ${formatLimit(reservation)}`;
      writes.push({ file: 'memory.low', value: String(Math.max(0, reservation)), what });
    }
    return writes;
  },

  writesV1(limits, before) {
    const writes: Write[] = [];
    const [limit, total] = [memoryOf(limits), totalOf(limits)];
    const [limitBefore, totalBefore] = [memoryOf(before), totalOf(before)];
    if (limit !== limitBefore) {
      writes.push({ file: 'memory.limit_in_bytes', value: String(limit), what: `memory limit ${formatLimit(limit)}` });
    }
    if (total !== totalBefore) {
      const setTotal = {
        file: 'memory.memsw.limit_in_bytes',
        value: String(total),
        what: `memory and swap limit ${formatLimit(total)}`,
        ...swapTolerance(limits),
      };
      // Both together may never be less than memory alone: what grows is set first.
      if (totalBefore >= 0 && (total < 0 || total > totalBefore)) writes.unshift(setTotal);
      else writes.push(setTotal);
    }
    const reservation = limits.memoryReservationBytes ?? 0;
    if (reservation !== (before.memoryReservationBytes ?? 0)) {
      writes.push({
        file: 'memory.soft_limit_in_bytes',
        value: String(reservation > 0 ? reservation : unlimited),
        what: `memory reservation ${formatLimit(reservation)}`,
      });
    }
    const { memorySwappiness: swappiness = unlimited } = limits;
    if (swappiness >= 0 && swappiness !== before.memorySwappiness) {
      writes.push({ file: 'memory.swappiness', value: String(swappiness), what: `memory swappiness ${swappiness}` });
    }
    const disabled = limits.oomKillDisable ?? false;
    if (disabled !== (before.oomKillDisable ?? false)) {
      writes.push({ file: 'memory.oom_control', value: disabled ? '1' : '0', what: 'the out-of-memory killer' });
    }
    return writes;
  },
};

type MemoryUsage = Pick<GroupUsage, 'memoryBytes' | 'memoryPeakBytes' | 'memoryLimitBytes' | 'memoryStat'>;

/** `hostBytes` is the limit of who has none. */
export function memoryUsageV2(read: ReadFile, hostBytes: number): MemoryUsage {
  const memoryBytes = Number(read('memory', 'memory.current'));
  const limit = read('memory', 'memory.max').trim();
  return {
    memoryBytes,
    memoryPeakBytes: Number(read('memory', 'memory.peak')) || memoryBytes,
    memoryLimitBytes: limit === '' || limit === 'max' ? hostBytes : Math.min(Number(limit), hostBytes),
    memoryStat: parsePairs(read('memory', 'memory.stat')),
  };
}

export function memoryUsageV1(read: ReadFile, hostBytes: number): MemoryUsage {
  return {
    memoryBytes: Number(read('memory', 'memory.usage_in_bytes')),
    memoryPeakBytes: Number(read('memory', 'memory.max_usage_in_bytes')),
    memoryLimitBytes: Math.min(Number(read('memory', 'memory.limit_in_bytes')) || hostBytes, hostBytes),
    memoryStat: parsePairs(read('memory', 'memory.stat')),
  };
}
