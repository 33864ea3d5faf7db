// The pids controller: how many processes and threads a group may have (admin-guide/cgroup-v1/pids.rst).
import type { Controller, GroupUsage, Limits, ReadFile, Write } from './controller.ts';

function limitOf({ pids = 0 }: Limits): number | 'max' {
  return pids > 0 ? pids : 'max';
}

function writes(limits: Limits, before: Limits): Write[] {
  const limit = limitOf(limits);
  if (limit === limitOf(before)) return [];
  return [{ file: 'pids.max', value: String(limit), what: `pids limit ${limit === 'max' ? 'unlimited' : limit}` }];
}

export const pids: Controller = { v2: 'pids', v1: 'pids', writesV2: writes, writesV1: writes };

/** The same in both versions. */
export function pidsUsage(read: ReadFile): Pick<GroupUsage, 'pids' | 'pidsLimit'> {
  const limit = read('pids', 'pids.max').trim();
  return {
    pids: Number(read('pids', 'pids.current')),
    ...(limit === '' || limit === 'max' ? {} : { pidsLimit: Number(limit) }),
  };
}
