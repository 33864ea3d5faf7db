// Namespaces (A2): which ones a guest gets new, shares with the host, or joins; as clone flags and steps. namespaces(7).
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from '../kernel/constants.ts';
import { type Program, type Registers, type Step, step } from '../kernel/steps.ts';

export const namespaceNames = ['mount', 'pid', 'network', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
export type NamespaceName = (typeof namespaceNames)[number];

export const namespaceFlags: Readonly<Record<NamespaceName, number>> = {
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

/** Where a namespace comes from: made new, the host's, or that of the process `pid`. */
export type NamespaceSource = 'new' | 'host' | { readonly pid: number };
export type Namespaces = Readonly<Record<NamespaceName, NamespaceSource>>;

/** Made by the stage itself, as it must be in its cgroup before. */
const madeLater: readonly NamespaceName[] = ['cgroup'];

/** The clone3(2) flags for all namespaces that the clone itself makes. */
export function cloneFlags(namespaces: Namespaces): number {
  return namespaceNames
    .filter((name) => namespaces[name] === 'new' && !madeLater.includes(name))
    .reduce((flags, name) => flags + namespaceFlags[name], 0);
}

/** Steps for the guard, before the clone: joining a pid namespace holds only for children. */
export function joinPidNamespace(namespaces: Namespaces, registers: Registers): Program {
  if (typeof namespaces.pid !== 'object') return [];
  return joinSteps(namespaces.pid.pid, ['pid'], registers);
}

/** Steps for the stage, when it is in its cgroup: joins what is another guest's, makes what the clone could not. */
export function enterNamespaces(namespaces: Namespaces, registers: Registers): Program {
  const joined = namespaceNames.filter(
    (name) => name !== 'pid' && name !== 'mount' && typeof namespaces[name] === 'object',
  );
  const byPid = Map.groupBy(joined, (name) => (namespaces[name] as { pid: number }).pid);
  const steps: Step[] = [...byPid].flatMap(([pid, members]) => joinSteps(pid, members, registers));
  if (namespaces.cgroup === 'new') {
    steps.push(
      step('unshare', [CLONE_NEWCGROUP], 'make a cgroup namespace', {
        why: 'its own cgroup is the root of what it sees',
      }),
    );
  }
  return steps;
}

/** Joins the given namespaces of a process, all in one call (setns(2) on a pidfd). */
export function joinSteps(pid: number, members: readonly NamespaceName[], registers: Registers): Step[] {
  const pidfd = registers.acquire();
  registers.release(pidfd);
  const flags = members.reduce((sum, name) => sum + namespaceFlags[name], 0);
  return [
    step('pidfd_open', [pid, 0], `open process ${pid}`, { result: pidfd }),
    step('setns', [pidfd, flags], `join the ${members.join(', ')} namespaces of process ${pid}`),
    step('close', [pidfd], 'close a descriptor'),
  ];
}
