// Namespaces (A2): which ones a guest gets new, shares with the host, or joins; as clone flags and steps. namespaces(7).

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from '../kernel/constants.ts';
import { guardSocket } from '../kernel/guard.ts';
import { type Program, type Register, register, type Step, step } from '../kernel/steps.ts';

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

/** The first process of another guest, and the directory where its guard lives. */
export interface Peer {
  readonly pid: number;
  readonly guard: string;
}

/** Where a namespace comes from: made new, the host's, or that of another guest. */
export type NamespaceSource = 'new' | 'host' | Peer;
export type Namespaces = Readonly<Record<NamespaceName, NamespaceSource>>;

/** Made by the stage itself: it must be in its cgroup before, and a time namespace is set before it is entered (time.ts). */
const madeLater: readonly NamespaceName[] = ['cgroup', 'time'];

/** The clone3(2) flags for all namespaces that the clone itself makes. */
export function cloneFlags(namespaces: Namespaces): number {
  return namespaceNames
    .filter((name) => namespaces[name] === 'new' && !madeLater.includes(name))
    .reduce((flags, name) => flags + namespaceFlags[name], 0);
}

/** Registers that hold pidfds of the processes whose namespaces are joined; below those of the network and the cgroup. */
const firstPidfd = 20;
const mostPidfds = 6;

/**
 * Steps for the guard, before the clone: opens the processes whose namespaces are joined, as inside a new pid namespace they
 * have no number.
 */
export function openNamespaces(namespaces: Namespaces): Program {
  const opened = pidfdsOf(namespaces);
  if (opened.size > mostPidfds) throw new RangeError('Cannot join the namespaces of more than six processes');
  return [...opened.values()].flatMap(({ peer, pidfd }) => openPeer(peer, pidfd));
}

const statxBytes = 256;

/** A guest's number is its own until its guard has removed its socket, and then reaped it; later it may be another's. */
function openPeer({ pid, guard }: Peer, pidfd: Register): Program {
  return [
    step('pidfd_open', [pid, 0], `open process ${pid}`, { result: pidfd, kind: 'conflict' }),
    step(
      'statx',
      [AT_FDCWD, guardSocket(guard), AT_SYMLINK_NOFOLLOW, 0, { outBytes: statxBytes }],
      `join process ${pid}, which ends`,
      { kind: 'conflict', why: 'while its guard listens, the number that was opened is its own' },
    ),
  ];
}

/** Whether a guest joins a pid namespace: its last steps are then a child's, born into it (hand_over, docs/keeper.md). */
export function joinsPids({ pid }: Namespaces): boolean {
  return typeof pid === 'object';
}

/** Holds the process in whose user namespace the guest is cloned, so that its new namespaces belong to that one. */
export function userRegister(namespaces: Namespaces): Register | undefined {
  const { user, mount } = namespaces;
  return typeof user === 'object' && mount === 'new' ? pidfdOf(namespaces, user.pid) : undefined;
}

/** Holds a process whose namespaces are joined, once openNamespaces has opened it. */
export function pidfdOf(namespaces: Namespaces, pid: number): Register {
  return pidfdsOf(namespaces).get(pid)!.pidfd;
}

/**
 * Steps for the stage, when it is in its cgroup: joins what is another guest's, makes what the clone could not. All of one
 * process in one call: a user namespace comes first, and gives the right to the others; a pid namespace holds for children only.
 */
export function enterNamespaces(namespaces: Namespaces): Program {
  const isThere = (name: NamespaceName) => name === 'user' && userRegister(namespaces) !== undefined;
  const steps = [...pidfdsOf(namespaces)].flatMap(([pid, { pidfd }]) => {
    const joined = namespaceNames.filter((name) => !isThere(name) && isOf(namespaces[name], pid));
    return joined.length === 0 ? [] : [joinStep(pidfd, joined, pid)];
  });
  if (namespaces.cgroup === 'new') {
    steps.push(
      step('unshare', [CLONE_NEWCGROUP], 'make a cgroup namespace', {
        why: 'its own cgroup is the root of what it sees',
      }),
    );
  }
  return steps;
}

/** Joins one mount namespace, and the user namespace that it belongs to, for work on files in it. Changes the root directory. */
export function joinMounts(peer: Peer, pidfd: Register, hasOwnUsers: boolean): Program {
  return [
    ...openPeer(peer, pidfd),
    joinStep(pidfd, hasOwnUsers ? ['user', 'mount'] : ['mount'], peer.pid),
    step('close', [pidfd], 'close a descriptor'),
  ];
}

/** Joins namespaces of a process, all in one call (setns(2) on a pidfd). */
function joinStep(pidfd: Register, members: readonly NamespaceName[], pid: number): Step {
  const flags = members.reduce((sum, name) => sum + namespaceFlags[name], 0);
  return step('setns', [pidfd, flags], `join the ${members.join(', ')} namespaces of process ${pid}`);
}

function isOf(source: NamespaceSource, pid: number): boolean {
  return typeof source === 'object' && source.pid === pid;
}

function pidfdsOf(namespaces: Namespaces): Map<number, { peer: Peer; pidfd: Register }> {
  const sources = namespaceNames.map((name) => namespaces[name]);
  const peers = new Map(sources.flatMap((source) => (typeof source === 'object' ? [[source.pid, source]] : [])));
  return new Map([...peers].map(([pid, peer], at) => [pid, { peer, pidfd: register(firstPidfd + at) }]));
}
