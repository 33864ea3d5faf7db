// The cpuset controller: which CPUs and memory nodes a group may use (admin-guide/cgroup-v1/cpusets.rst). A v1 group without
// both takes no process; group.ts gives them to holm's own directory, from which new groups copy them (clone_children).
import type { Controller, Limits, Write } from './controller.ts';

function writes(limits: Limits, before: Limits): Write[] {
  const rows: [file: string, value: string | undefined, earlier: string | undefined, what: string][] = [
    ['cpuset.cpus', limits.cpusetCpus, before.cpusetCpus, 'CPUs'],
    ['cpuset.mems', limits.cpusetMems, before.cpusetMems, 'memory nodes'],
  ];
  return rows.flatMap(([file, value = '', earlier = '', what]) =>
    value === '' || value === earlier ? [] : [{ file, value, what: `${what} ${value}` }],
  );
}

export const cpuset: Controller = { v2: 'cpuset', v1: 'cpuset', writesV2: writes, writesV1: writes };
