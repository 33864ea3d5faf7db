// From a container's record to what its run needs of the kernel (GuestSpec): docker's defaults, with what was asked upon them.
import { readFileSync } from 'node:fs';
import { dirname, normalize } from 'node:path/posix';
import { HolmError } from '../base/error.ts';
import type { Hierarchies } from '../cgroups/hierarchy.ts';
import type { Program } from '../kernel/steps.ts';
import type { Overlay } from '../mounts/overlay.ts';
import { type IdMapping, outsideOf } from '../namespaces/id-maps.ts';
import type { NamespaceSource, Namespaces, Peer } from '../namespaces/namespaces.ts';
import type { Identity } from '../rootfs/users.ts';
import { effectiveCapabilities, processCapabilities, readEveryCapability } from '../security/capabilities.ts';
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
import type { Container, NamespaceMode } from './container.ts';
import { initTarget, mountsOf } from './default-mounts.ts';
import { defaultDevices, defaultLinks, readDevices } from './device-nodes.ts';
import type { DeviceNode, GuestProcess, GuestSpec } from './guest-spec.ts';
import { rootName } from './own-users.ts';

/** What the engine knows beside the record when a container starts. */
export interface SpecFacts {
  readonly overlay: Overlay;
  readonly identity: Identity;
  readonly hierarchies: Hierarchies;
  readonly cgroup: { readonly create: Program; readonly join: Program };
  readonly network: { readonly after: Program; readonly stage: Program };
  /** The first process of another container, for joined namespaces; throws if it does not run. */
  readonly peerOf: (container: string) => Peer;
  /** Whether another container has clocks of its own. */
  readonly hasOwnTime: (container: string) => boolean;
  readonly availableCapabilities: bigint;
  /** The program that --init puts in front. */
  readonly initBinary: string;
}

// What does not change while the host runs.
const modules = readSecurityModules();
const maskedPaths = defaultMaskedPaths();
const everyCapability = readEveryCapability();
const ownOomScore = Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));

export function specOf(container: Container, facts: SpecFacts): GuestSpec {
  const { config, idMapping } = container;
  const namespaces = namespacesOf(container, facts);
  const { overlay } = facts;
  const time = config.namespaces.time;
  const unconfined = config.privileged || parseSecurityOptions(config.securityOptions, modules).unconfinedPaths;
  return {
    id: container.id,
    root: { overlay: idMapping === undefined ? overlay : { ...overlay, target: `${overlay.target}/${rootName}` } },
    readOnlyRoot: config.readOnlyRoot,
    rootPropagation: 'slave',
    mounts: mountsOf(container, facts, namespaces),
    devices: devicesOf(container),
    links: defaultLinks,
    maskedPaths: unconfined ? [] : (config.maskedPaths ?? maskedPaths),
    readonlyPaths: unconfined ? [] : (config.readonlyPaths ?? defaultReadonlyPaths),
    namespaces,
    ...(idMapping === undefined
      ? {}
      : { ownUsers: { mapping: idMapping, staging: overlay.target, layerDirectories: directoriesOf(overlay) } }),
    ...(time?.from === 'new' ? { timeOffsets: time } : {}),
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
  const { config, idMapping } = container;
  const { identity } = facts;
  // In a user namespace everyone begins with all capabilities, whatever the host has.
  const availableCapabilities = idMapping === undefined ? facts.availableCapabilities : everyCapability;
  if (idMapping !== undefined) checkIdentity(identity, idMapping);
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
    ...oomScoreOf(config.oomScoreAdjust ?? 0),
    noNewPrivileges: security.noNewPrivileges,
    capabilities: processCapabilities(capabilities, identity.uid),
    availableCapabilities,
    seccomp: profile === undefined ? undefined : compileSeccomp(profile, hostSeccompTarget(capabilities)),
    ...(security.appArmorProfile === undefined ? {} : { appArmorProfile: security.appArmorProfile }),
  };
}

/** Nothing where it is what is inherited: the daemon's own may be lower, as docs/holmd.service has it. */
function oomScoreOf(score: number): { oomScoreAdjust?: number } {
  return score === ownOomScore ? {} : { oomScoreAdjust: score };
}

/** Fails early, as the kernel would say no more than EINVAL. */
function checkIdentity({ uid, gid, groups }: Identity, { uids, gids }: IdMapping): void {
  if (outsideOf(uids, uid) === undefined)
    throw new HolmError('invalid', `Cannot run as user ${uid}: the container's user namespace does not map it`);
  const missing = [gid, ...groups].find((id) => outsideOf(gids, id) === undefined);
  if (missing !== undefined)
    throw new HolmError('invalid', `Cannot run with group ${missing}: the container's user namespace does not map it`);
}

/** The directories from which an overlay takes its layers: all layers in one, the others, and the container's own. */
function directoriesOf({ layersDirectory, layers, upper }: Overlay): string[] {
  const outside = layers
    .filter((layer) => layer.startsWith('../'))
    .map((layer) => normalize(`${layersDirectory}/${layer}`));
  return [layersDirectory, ...new Set(outside), ...(upper === undefined ? [] : [dirname(upper.directory)])];
}

function namespacesOf(container: Container, { peerOf, hasOwnTime }: SpecFacts): Namespaces {
  const { namespaces, network } = container.config;
  const { user, time } = namespaces;
  const source = (mode: NamespaceMode | { from: 'none' }): NamespaceSource => {
    if (mode.from === 'container') return peerOf(mode.container);
    return mode.from === 'host' ? 'host' : 'new';
  };
  const sharedUser = user?.from === 'container' ? peerOf(user.container) : 'new';
  const sharedTime = time?.from === 'container' && hasOwnTime(time.container) ? peerOf(time.container) : 'host';
  return {
    mount: 'new',
    pid: source(namespaces.pid),
    network: network.from === 'container' || network.from === 'host' ? source(network) : 'new',
    ipc: source(namespaces.ipc),
    uts: source(namespaces.uts),
    user: container.idMapping === undefined ? 'host' : sharedUser,
    cgroup: source(namespaces.cgroup),
    time: time?.from === 'new' ? 'new' : sharedTime,
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
  const groups = container.idMapping?.gids.find(({ inside }) => inside === 0)?.count ?? 2147483648;
  const own =
    namespaces.network === 'new'
      ? { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': `0 ${groups - 1}` }
      : {};
  return { ...own, ...container.config.sysctls };
}
