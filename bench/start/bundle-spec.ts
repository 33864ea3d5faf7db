// One container in two words: as holm's GuestSpec and as an OCI configuration (runtime-spec, config.md), the one that
// `runc spec` writes: no seccomp, three capabilities, docker's masked paths.
import type { Hierarchies } from '../../src/cgroups/hierarchy.ts';
import { defaultDevices, defaultLinks } from '../../src/containers/device-nodes.ts';
import type { GuestSpec } from '../../src/containers/guest-spec.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME } from '../../src/kernel/constants.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { joinNone } from '../../src/networks/join.ts';
import { capabilitySet, processCapabilities, readHostCapabilities } from '../../src/security/capabilities.ts';
import { defaultReadonlyPaths } from '../../src/security/masks.ts';

interface MountRow {
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

const mounts: readonly MountRow[] = [
  { target: '/proc', type: 'proc', options: [] },
  { target: '/dev', type: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  {
    target: '/dev/pts',
    type: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { target: '/dev/shm', type: 'tmpfs', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },
  { target: '/dev/mqueue', type: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { target: '/sys', type: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];
const cgroupOptions = ['nosuid', 'noexec', 'nodev', 'ro'];
const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/proc/scsi',
];
const argv = ['true'];
const environment = ['PATH=/bin', 'TERM=xterm'];
const hostname = 'bundle';

export function isV1({ v1 }: Hierarchies): boolean {
  return v1.length > 0;
}

export function bundleSpec(rootfs: string, hierarchies: Hierarchies, cgroup: GuestSpec['cgroup']): GuestSpec {
  const held = capabilitySet(capabilities);
  return {
    id: 'bundle',
    root: { directory: rootfs },
    readOnlyRoot: false,
    rootPropagation: 'slave',
    mounts: [...mounts.map(mountOf), ...cgroupMounts(hierarchies)],
    devices: defaultDevices,
    links: defaultLinks,
    maskedPaths,
    readonlyPaths: defaultReadonlyPaths,
    namespaces: {
      mount: 'new',
      pid: 'new',
      network: 'new',
      ipc: 'new',
      uts: 'new',
      user: 'host',
      cgroup: 'new',
      time: 'host',
    },
    hostname,
    sysctls: {},
    cgroup,
    network: joinNone(),
    process: {
      argv,
      environment,
      workingDirectory: '/',
      uid: 0,
      gid: 0,
      groups: [],
      rlimits: [{ name: 'nofile', soft: 1024, hard: 1024 }],
      noNewPrivileges: true,
      capabilities: processCapabilities(held, 0),
      availableCapabilities: readHostCapabilities(),
      seccomp: undefined,
    },
  };
}

const flagsOfOptions: Readonly<Record<string, number>> = {
  nosuid: MS_NOSUID,
  noexec: MS_NOEXEC,
  nodev: MS_NODEV,
  strictatime: MS_STRICTATIME,
  ro: MS_RDONLY,
};

function mountOf({ target, type, options }: MountRow): Mount {
  const data = options.filter((option) => flagsOfOptions[option] === undefined).join(',');
  return {
    kind: 'filesystem',
    type,
    source: type,
    target,
    flags: options.reduce((flags, option) => flags | (flagsOfOptions[option] ?? 0), 0),
    ...(data === '' ? {} : { data }),
    why: 'of the bundle',
  };
}

function cgroupMounts(hierarchies: Hierarchies): Mount[] {
  if (!isV1(hierarchies)) return [mountOf({ target: '/sys/fs/cgroup', type: 'cgroup2', options: cgroupOptions })];
  return [
    mountOf({ target: '/sys/fs/cgroup', type: 'tmpfs', options: ['nosuid', 'noexec', 'nodev', 'mode=755'] }),
    ...hierarchies.v1.map(({ controllers }) => {
      const names = controllers.join(',');
      return mountOf({ target: `/sys/fs/cgroup/${names}`, type: 'cgroup', options: [...cgroupOptions, names] });
    }),
  ];
}

export function bundleConfig(rootfs: string, cgroupsPath: string, hierarchies: Hierarchies): unknown {
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', ...(isV1(hierarchies) ? [] : ['cgroup'])];
  const cgroup = { target: '/sys/fs/cgroup', type: 'cgroup', options: cgroupOptions };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: argv,
      env: environment,
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: rootfs },
    hostname,
    mounts: [...mounts, cgroup].map(({ target, type, options }) => ({
      destination: target,
      type,
      source: type,
      options,
    })),
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      cgroupsPath,
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths,
      readonlyPaths: defaultReadonlyPaths,
    },
  };
}
