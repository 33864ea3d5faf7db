// The cpu controller: weight and quota; in v1 the accounting lies in a controller of its own, cpuacct.
// Kernel documentation: admin-guide/cgroup-v2.rst "CPU", scheduler/sched-bwc.rst.
import { errno } from '../kernel/constants.ts';
import { type Controller, type GroupUsage, type Limits, parsePairs, type ReadFile, type Write } from './controller.ts';

const defaultPeriodMicros = 100_000;

/** The weight of cgroup v2 (1 to 10000) for v1's shares (2 to 262144), as runc counts since 1.3.2: 1024 is 100. */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const l = Math.log2(shares);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

/** Quota in a period; quota -1 is no limit. undefined if neither is asked. */
function bandwidth(limits: Limits): { quota: number; period: number; text: string } | undefined {
  const { cpuNanos = 0, cpuPeriodMicros = 0, cpuQuotaMicros = 0 } = limits;
  if (cpuNanos > 0) {
    const quota = Math.floor((cpuNanos * defaultPeriodMicros) / 1e9);
    return { quota, period: defaultPeriodMicros, text: `CPU limit ${cpuNanos / 1e9}` };
  }
  if (cpuPeriodMicros === 0 && cpuQuotaMicros === 0) return undefined;
  const period = cpuPeriodMicros || defaultPeriodMicros;
  const quota = cpuQuotaMicros > 0 ? cpuQuotaMicros : -1;
  return { quota, period, text: `CPU quota ${quota} of ${period} µs` };
}

export const cpu: Controller = {
  v2: 'cpu',
  v1: 'cpu',

  writesV2(limits, before) {
    const writes: Write[] = [];
    const shares = limits.cpuShares ?? 0;
    if (shares !== (before.cpuShares ?? 0)) {
      const weight = shares === 0 ? 100 : weightOfShares(shares);
      writes.push({ file: 'cpu.weight', value: String(weight), what: `CPU shares ${shares}` });
    }
    const [now, earlier] = [bandwidth(limits), bandwidth(before)];
    if (now?.quota !== earlier?.quota || now?.period !== earlier?.period) {
      const { quota, period, text } = now ?? { quota: -1, period: defaultPeriodMicros, text: 'no CPU limit' };
      writes.push({ file: 'cpu.max', value: `${quota < 0 ? 'max' : quota} ${period}`, what: text });
    }
    return writes;
  },

  writesV1(limits, before) {
    const writes: Write[] = [];
    const shares = limits.cpuShares ?? 0;
    if (shares !== (before.cpuShares ?? 0)) {
      writes.push({ file: 'cpu.shares', value: String(shares || 1024), what: `CPU shares ${shares}` });
    }
    const [now, earlier] = [bandwidth(limits), bandwidth(before)];
    if (now?.quota === earlier?.quota && now?.period === earlier?.period) return writes;
    const { quota, period, text } = now ?? { quota: -1, period: defaultPeriodMicros, text: 'no CPU limit' };
    const setPeriod = { file: 'cpu.cfs_period_us', value: String(period), what: text };
    const setQuota = { file: 'cpu.cfs_quota_us', value: String(quota), what: text };
    if (period !== (earlier?.period ?? defaultPeriodMicros)) {
      // The old quota may be out of range in the new period (EINVAL): then the quota goes first, and the period again.
      writes.push({ ...setPeriod, tolerate: [errno.EINVAL] }, setQuota, setPeriod);
    } else writes.push(setQuota);
    return writes;
  },
};

type CpuUsage = Pick<
  GroupUsage,
  | 'cpuTotalNanos'
  | 'cpuUserNanos'
  | 'cpuSystemNanos'
  | 'cpuPerCpuNanos'
  | 'throttledPeriods'
  | 'throttledPeriodsOf'
  | 'throttledNanos'
>;

export function cpuUsageV2(read: ReadFile): CpuUsage {
  const stat = parsePairs(read('cpu', 'cpu.stat'));
  return {
    cpuTotalNanos: (stat.usage_usec ?? 0) * 1000,
    cpuUserNanos: (stat.user_usec ?? 0) * 1000,
    cpuSystemNanos: (stat.system_usec ?? 0) * 1000,
    cpuPerCpuNanos: [],
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledPeriodsOf: stat.nr_periods ?? 0,
    throttledNanos: (stat.throttled_usec ?? 0) * 1000,
  };
}

export function cpuUsageV1(read: ReadFile): CpuUsage {
  const stat = parsePairs(read('cpu', 'cpu.stat'));
  const nanos = (file: string): number => Number(read('cpuacct', file));
  return {
    cpuTotalNanos: nanos('cpuacct.usage'),
    cpuUserNanos: nanos('cpuacct.usage_user'),
    cpuSystemNanos: nanos('cpuacct.usage_sys'),
    cpuPerCpuNanos: read('cpuacct', 'cpuacct.usage_percpu').trim().split(/\s+/).filter(Boolean).map(Number),
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledPeriodsOf: stat.nr_periods ?? 0,
    throttledNanos: stat.throttled_time ?? 0,
  };
}
