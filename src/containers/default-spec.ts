// From a container's record to what its run needs of the kernel (GuestSpec): docker's defaults, with what was asked upon them.
import { statSync } from 'node:fs';
import { HolmError, hasCode } from '../base/error.ts';
import type { Hierarchies } from '../cgroups/hierarchy.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME } from '../kernel/constants.ts';
import type { Program } from '../kernel/steps.ts';
import type { BindMount, FilesystemMount, Mount } from '../mounts/mount.ts';
import type { Overlay } from '../mounts/overlay.ts';
import type { NamespaceSource, Namespaces } from '../namespaces/namespaces.ts';
import type { Identity } from '../rootfs/users.ts';
import { effectiveCapabilities, processCapabilities } from '../security/capabilities.ts';
import {
  type DeviceAccess,
  defaultDeviceRules,
  deviceAccess,
  deviceRule,
  everyDevice,
  parseDeviceRule,
} from '../security/devices.ts';
import { defaultMaskedPaths, defaultReadonlyPaths } from '../security/masks.ts';
import { compileSeccomp, hostSeccompTarget } from '../security/seccomp.ts';
import { chosenProfile, parseSecurityOptions, readSecurityModules } from '../security/security-options.ts';
import { processEnvironment } from './config.ts';
import type { Container, MountRequest, NamespaceMode } from './container.ts';
import { defaultDevices, defaultLinks, readDevices } from './device-nodes.ts';
import type { DeviceNode, GuestProcess, GuestSpec } from './guest-spec.ts';

/** What the engine knows beside the record when a container starts. */
export interface SpecFacts {
  readonly overlay: Overlay;
  readonly identity: Identity;
  readonly hierarchies: Hierarchies;
  readonly cgroup: { readonly create: Program; readonly join: Program };
  readonly network: { readonly after: Program; readonly stage: Program };
  /** The first process of another container, for joined namespaces; throws if it does not run. */
  readonly pidOf: (container: string) => number;
  readonly availableCapabilities: bigint;
  /** The program that --init puts in front. */
  readonly initBinary: string;
}

// What does not change while the host runs.
const modules = readSecurityModules();
const maskedPaths = defaultMaskedPaths();
const initTarget = '/sbin/docker-init';
const noExecution = MS_NOSUID | MS_NOEXEC | MS_NODEV;

export function specOf(container: Container, facts: SpecFacts): GuestSpec {
  const { config } = container;
  const namespaces = namespacesOf(container, facts.pidOf);
  const unconfined = config.privileged || parseSecurityOptions(config.securityOptions, modules).unconfinedPaths;
  return {
    id: container.id,
    root: { overlay: facts.overlay },
    readOnlyRoot: config.readOnlyRoot,
    rootPropagation: 'slave',
    mounts: mountsOf(container, facts, namespaces),
    devices: devicesOf(container),
    links: defaultLinks,
    maskedPaths: unconfined ? [] : (config.maskedPaths ?? maskedPaths),
    readonlyPaths: unconfined ? [] : (config.readonlyPaths ?? defaultReadonlyPaths),
    namespaces,
    ...(namespaces.uts === 'new' ? { hostname: container.hostname, domainname: config.domainname } : {}),
    sysctls: sysctlsOf(container, namespaces),
    cgroup: facts.cgroup,
    process: processOf(container, facts),
    network: facts.network,
  };
}

/** The process of a container, or of an exec in it, with its privileges. */
export function processOf(
  container: Container,
  facts: Pick<SpecFacts, 'identity' | 'availableCapabilities'>,
  exec?: {
    argv: readonly string[];
    environment: readonly string[];
    workingDirectory: string;
    terminal: boolean;
    privileged: boolean;
  },
): GuestProcess {
  const { config } = container;
  const { identity, availableCapabilities } = facts;
  const privileged = config.privileged || exec?.privileged === true;
  const security = parseSecurityOptions(config.securityOptions, modules);
  const profile = chosenProfile(security, privileged);
  const capabilities = effectiveCapabilities({
    added: config.capabilitiesAdded,
    dropped: config.capabilitiesDropped,
    privileged,
    available: availableCapabilities,
  });
  const terminal = exec?.terminal ?? config.terminal;
  const environment = exec === undefined ? container.environment : [...container.environment, ...exec.environment];
  const argv = exec?.argv ?? (config.init ? [initTarget, 'init', '--', ...container.argv] : container.argv);
  return {
    argv,
    environment: processEnvironment(environment, { hostname: container.hostname, terminal, home: identity.home }),
    workingDirectory: exec?.workingDirectory || container.workingDirectory,
    uid: identity.uid,
    gid: identity.gid,
    groups: identity.groups,
    ...(terminal ? { terminal: config.terminalSize ?? { rows: 0, columns: 0 } } : {}),
    rlimits: config.rlimits,
    ...(config.oomScoreAdjust === undefined || config.oomScoreAdjust === 0
      ? {}
      : { oomScoreAdjust: config.oomScoreAdjust }),
    noNewPrivileges: security.noNewPrivileges,
    capabilities: processCapabilities(capabilities, identity.uid),
    availableCapabilities,
    seccomp: profile === undefined ? undefined : compileSeccomp(profile, hostSeccompTarget(capabilities)),
    ...(security.appArmorProfile === undefined ? {} : { appArmorProfile: security.appArmorProfile }),
  };
}

function namespacesOf(container: Container, pidOf: (container: string) => number): Namespaces {
  const { namespaces, network } = container.config;
  const source = (mode: NamespaceMode | { from: 'none' }): NamespaceSource => {
    if (mode.from === 'container') return { pid: pidOf(mode.container) };
    return mode.from === 'host' ? 'host' : 'new';
  };
  return {
    mount: 'new',
    pid: source(namespaces.pid),
    network: network.from === 'container' || network.from === 'host' ? source(network) : 'new',
    ipc: source(namespaces.ipc),
    uts: source(namespaces.uts),
    user: 'host',
    cgroup: source(namespaces.cgroup),
    time: 'host',
  };
}

function mountsOf(container: Container, facts: SpecFacts, namespaces: Namespaces): Mount[] {
  const { config } = container;
  const asked = askedMounts(container);
  const taken = new Set(asked.map((mount) => mount.target));
  const byDefault = [
    ...systemMounts(container, namespaces),
    ...cgroupMounts(facts.hierarchies, config.privileged ? 0 : MS_RDONLY),
    ...engineFiles(container),
    ...(config.init
      ? [bind(facts.initBinary, initTarget, { isFile: true, readOnly: true, why: 'the init that was asked for' })]
      : []),
  ];
  return [...byDefault.filter((mount) => !taken.has(mount.target)), ...asked];
}

function systemMounts(container: Container, namespaces: Namespaces): Mount[] {
  const { privileged, shmBytes } = container.config;
  const shared = namespaces.ipc === 'host';
  const hasShm = container.config.namespaces.ipc.from !== 'none';
  return [
    filesystem('proc', '/proc', noExecution, undefined, 'processes as the inside sees them'),
    filesystem('tmpfs', '/dev', MS_NOSUID | MS_STRICTATIME, 'mode=755,size=65536k', 'devices of its own'),
    filesystem(
      'devpts',
      '/dev/pts',
      MS_NOSUID | MS_NOEXEC,
      'newinstance,ptmxmode=0666,mode=0620,gid=5',
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
          bind('/dev/mqueue', '/dev/mqueue', { why: 'the host’s message queues' }),
          bind('/dev/shm', '/dev/shm', { why: 'the host’s shared memory' }),
        ]
      : [
          filesystem('mqueue', '/dev/mqueue', noExecution, undefined, 'message queues of its own'),
          ...(hasShm
            ? [filesystem('tmpfs', '/dev/shm', noExecution, `mode=1777,size=${shmBytes}`, 'shared memory of its own')]
            : []),
        ]),
  ].filter((mount) => exists(mount));
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

function devicesOf(container: Container): DeviceNode[] {
  const { config } = container;
  const asked = config.devices.flatMap(({ hostPath, guestPath }) => readDevices(hostPath, guestPath));
  const all = config.privileged ? readDevices('/dev', '/dev').filter((node) => !isOwnDevice(node.path)) : [];
  const paths = new Set([...asked, ...defaultDevices].map(({ path }) => path));
  return [...defaultDevices, ...asked, ...all.filter(({ path }) => !paths.has(path))];
}

/** Devices of a privileged guest that stay its own: terminals, shared memory, queues. */
function isOwnDevice(path: string): boolean {
  return /^\/dev\/(pts|shm|mqueue|fd|console|ptmx|tty$)/.test(path) || path === '/dev/.lxc';
}

/** Which devices a container may use: the defaults, those it was given, and rules of its own. */
export function deviceAccessOf(container: Container): DeviceAccess {
  const { config } = container;
  if (config.privileged) return deviceAccess(everyDevice);
  const given = config.devices.flatMap(({ hostPath, guestPath, access }) =>
    readDevices(hostPath, guestPath).flatMap(({ type, major, minor }) =>
      type === 'fifo' ? [] : [deviceRule(type, major, minor, access)],
    ),
  );
  return deviceAccess([...defaultDeviceRules, ...given, ...config.deviceCgroupRules.map(parseDeviceRule)]);
}

function sysctlsOf(container: Container, namespaces: Namespaces): Record<string, string> {
  const own =
    namespaces.network === 'new'
      ? { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }
      : {};
  return { ...own, ...container.config.sysctls };
}
