// What is mounted in a container: docker's file systems and the engine's files, and upon them what was asked for.
import { statSync } from 'node:fs';
import { HolmError, hasCode } from '../base/error.ts';
import type { Hierarchies } from '../cgroups/hierarchy.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME } from '../kernel/constants.ts';
import type { BindMount, FilesystemMount, Mount } from '../mounts/mount.ts';
import { outsideOf } from '../namespaces/id-maps.ts';
import type { NamespaceSource, Namespaces } from '../namespaces/namespaces.ts';
import type { Container, MountRequest } from './container.ts';

export const initTarget = '/sbin/docker-init';
const noExecution = MS_NOSUID | MS_NOEXEC | MS_NODEV;

/** What is mounted in a container, in the order of mounting: docker's defaults, but where something was asked for. */
export function mountsOf(
  container: Container,
  facts: { readonly hierarchies: Hierarchies; readonly initBinary: string },
  namespaces: Namespaces,
): Mount[] {
  const { config } = container;
  const asked = askedMounts(container);
  const taken = new Set(asked.map((mount) => mount.target));
  const byDefault = [
    ...systemMounts(container, namespaces),
    ...(namespaces.cgroup === 'host' && container.idMapping !== undefined
      ? [hostCgroups()]
      : cgroupMounts(facts.hierarchies, config.privileged ? 0 : MS_RDONLY)),
    ...engineFiles(container),
    ...(config.init
      ? [
          bind(facts.initBinary, initTarget, {
            isFile: true,
            readOnly: true,
            ownersKept: true,
            why: 'the init that was asked for',
          }),
        ]
      : []),
  ];
  return [...byDefault.filter((mount) => !taken.has(mount.target)), ...asked];
}

function systemMounts(container: Container, namespaces: Namespaces): Mount[] {
  const { privileged, shmBytes } = container.config;
  const { ipc, pid } = namespaces;
  const shared = ipc === 'host';
  const terminalGroup = 5;
  const isGroupMapped =
    container.idMapping === undefined || outsideOf(container.idMapping.gids, terminalGroup) !== undefined;
  const hasShm = container.config.namespaces.ipc.from !== 'none';
  return [
    processes(pid),
    filesystem('tmpfs', '/dev', MS_NOSUID | MS_STRICTATIME, 'mode=755,size=65536k', 'devices of its own'),
    filesystem(
      'devpts',
      '/dev/pts',
      MS_NOSUID | MS_NOEXEC,
      `newinstance,ptmxmode=0666,mode=0620${isGroupMapped ? `,gid=${terminalGroup}` : ''}`,
      'terminals of its own',
    ),
    filesystem(
      'sysfs',
      '/sys',
      noExecution | (privileged ? 0 : MS_RDONLY),
      undefined,
      'the kernel’s objects, not to be changed',
    ),
    ...(shared
      ? [
          bind('/dev/mqueue', '/dev/mqueue', { ownersKept: true, why: 'the host’s message queues' }),
          bind('/dev/shm', '/dev/shm', { ownersKept: true, why: 'the host’s shared memory' }),
        ]
      : [
          filesystem('mqueue', '/dev/mqueue', noExecution, undefined, 'message queues of its own'),
          ...(hasShm ? [sharedMemory(ipc, shmBytes)] : []),
        ]),
  ].filter((mount) => exists(mount));
}

/** A procfs shows the processes of the one who mounts it, and the stage does not enter another's pid namespace before its end. */
function processes(pid: NamespaceSource): Mount {
  const path = '/proc';
  if (typeof pid === 'object')
    return { kind: 'peer', pid: pid.pid, source: path, target: path, why: 'the processes of both' };
  return filesystem('proc', path, noExecution, undefined, 'processes as the inside sees them');
}

/** POSIX shared memory goes with the ipc namespace. */
function sharedMemory(ipc: NamespaceSource, bytes: number): Mount {
  const path = '/dev/shm';
  if (typeof ipc === 'object')
    return { kind: 'peer', pid: ipc.pid, source: path, target: path, why: 'shared memory of both' };
  return filesystem('tmpfs', path, noExecution, `mode=1777,size=${bytes}`, 'shared memory of its own');
}

/** A user namespace may mount no hierarchy as the host sees it; but the host's own mounts of them. */
function hostCgroups(): BindMount {
  const path = '/sys/fs/cgroup';
  return bind(path, path, { readOnly: true, ownersKept: true, why: 'the host’s cgroups, to be read' });
}

/** The hierarchies as the guest's own cgroup namespace shows them, mounted where the host has them. */
function cgroupMounts(hierarchies: Hierarchies, readOnly: number): Mount[] {
  const why = 'its own cgroups, to be read';
  const flags = noExecution | readOnly;
  if (hierarchies.v1.length === 0) return [filesystem('cgroup2', '/sys/fs/cgroup', flags, undefined, why)];
  return [
    filesystem('tmpfs', '/sys/fs/cgroup', noExecution, 'mode=755', 'a directory a hierarchy'),
    ...hierarchies.v1.map(({ controllers }) => {
      const names = controllers.join(',');
      return { ...filesystem('cgroup', `/sys/fs/cgroup/${names}`, flags, names, why) };
    }),
  ];
}

/** A host without /dev/mqueue has none to share. */
function exists(mount: Mount): boolean {
  return mount.kind !== 'bind' || statSync(mount.source, { throwIfNoEntry: false }) !== undefined;
}

/** The files that the engine writes for every container that has a network of its own. */
function engineFiles(container: Container): Mount[] {
  const files = [
    [container.resolvConfPath, '/etc/resolv.conf'],
    [container.hostnamePath, '/etc/hostname'],
    [container.hostsPath, '/etc/hosts'],
  ] as const;
  return files
    .filter(([source]) => source !== '')
    .map(([source, target]) => bind(source, target, { isFile: true, why: 'names and addresses, kept by the engine' }));
}

/** What the user asked for, outer directories before inner ones. */
function askedMounts(container: Container): Mount[] {
  const requests = new Map(container.config.mounts.map((request) => [request.target, request]));
  const mounts = container.mountPoints.map((point): Mount => {
    const request = requests.get(point.target);
    const isAsked = !point.target.startsWith('/proc/');
    if (point.kind === 'tmpfs') return { ...tmpfs(point.target, request), isAsked };
    return bind(point.source, point.target, {
      isFile: isFile(point.subpath === undefined ? point.source : `${point.source}/${point.subpath}`),
      ...(point.subpath === undefined ? {} : { subpath: point.subpath }),
      readOnly: point.readOnly,
      recursive: !(request?.kind === 'bind' && request.nonRecursive),
      ownersKept: point.ownersKept === true,
      propagation: request?.kind === 'bind' ? request.propagation : 'rprivate',
      isAsked,
      why: point.kind === 'volume' ? `volume "${point.name}"` : 'asked for',
    });
  });
  return mounts.toSorted((a, b) => depthOf(a.target) - depthOf(b.target));
}

const mountOptionFlags: Record<string, number> = {
  ro: MS_RDONLY,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
};
const mountOptionsCleared: Record<string, number> = { rw: MS_RDONLY, suid: MS_NOSUID, dev: MS_NODEV, exec: MS_NOEXEC };

function tmpfs(target: string, request: MountRequest | undefined): FilesystemMount {
  let flags = noExecution;
  const data: string[] = [];
  if (request?.kind === 'tmpfs') {
    if (request.sizeBytes !== undefined) data.push(`size=${request.sizeBytes}`);
    data.push(`mode=${(request.mode ?? 0o1777).toString(8)}`);
    for (const option of request.options) {
      if (mountOptionFlags[option] !== undefined) flags |= mountOptionFlags[option];
      else if (mountOptionsCleared[option] !== undefined) flags &= ~mountOptionsCleared[option];
      else data.push(option);
    }
  }
  return filesystem('tmpfs', target, flags, data.join(',') || undefined, 'memory that was asked for');
}

/** How many directories deep a path is. */
export function depthOf(path: string): number {
  return path.split('/').filter((name) => name !== '').length;
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new HolmError('invalid', `invalid mount config for type "bind": bind source path does not exist: ${path}`, {
      cause,
    });
  }
}

function filesystem(
  type: string,
  target: string,
  flags: number,
  data: string | undefined,
  why: string,
): FilesystemMount {
  return { kind: 'filesystem', type, source: type, target, flags, ...(data === undefined ? {} : { data }), why };
}

function bind(source: string, target: string, options: Partial<BindMount> & { why: string }): BindMount {
  return {
    kind: 'bind',
    source,
    target,
    isFile: false,
    recursive: true,
    readOnly: false,
    propagation: 'rprivate',
    ...options,
  };
}
