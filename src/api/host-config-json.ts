// Docker's "HostConfig" out of our configuration: the way back of create-request.ts. Fields that holm does not serve are
// given with Docker's own "not set".

import type { Limits } from '../cgroups/controller.ts';
import type {
  ContainerConfig,
  MountRequest,
  NamespaceMode,
  NetworkMode,
  RestartPolicy,
  TimeMode,
  UserMode,
} from '../containers/container.ts';
import type { Healthcheck } from '../images/image.ts';
import { formatIdMap, type IdMapping } from '../namespaces/id-maps.ts';
import { formatOffset } from '../namespaces/time.ts';

type Json = Record<string, unknown>;

/** "bridge", "host", "none", "container:<id>". */
export function networkModeText(mode: NetworkMode): string {
  if (mode.from === 'network') return mode.network;
  return mode.from === 'container' ? `container:${mode.container}` : mode.from;
}

function namespaceText(mode: NamespaceMode | { readonly from: 'none' }, whenNew: string): string {
  if (mode.from === 'new') return whenNew;
  return mode.from === 'container' ? `container:${mode.container}` : mode.from;
}

export function restartPolicyJson(policy: RestartPolicy): Json {
  return { Name: policy.name, MaximumRetryCount: policy.name === 'on-failure' ? policy.most : 0 };
}

export function healthcheckJson(check: Healthcheck): Json {
  return {
    Test: check.test,
    ...(check.intervalNanos !== undefined && { Interval: check.intervalNanos }),
    ...(check.timeoutNanos !== undefined && { Timeout: check.timeoutNanos }),
    ...(check.startPeriodNanos !== undefined && { StartPeriod: check.startPeriodNanos }),
    ...(check.startIntervalNanos !== undefined && { StartInterval: check.startIntervalNanos }),
    ...(check.retries !== undefined && { Retries: check.retries }),
  };
}

/** Whether a map has any entry. */
export function hasKeys(map: object): boolean {
  for (const _ in map) return true;
  return false;
}

function listOrNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

function bindText(mount: MountRequest & { kind: 'bind' | 'volume' }): string {
  const options: string[] = [];
  if (mount.readOnly) options.push('ro');
  if (mount.kind === 'bind' && mount.propagation !== 'rprivate') options.push(mount.propagation);
  if (mount.kind === 'bind' && mount.ownersKept) options.push('noidmap');
  if (mount.kind === 'volume' && mount.noCopy) options.push('nocopy');
  return `${mount.source}:${mount.target}${options.length > 0 ? `:${options.join(',')}` : ''}`;
}

/** Whether `-v` can say this mount: then it is told in Binds, else in Mounts. */
function fitsBind(mount: MountRequest): mount is MountRequest & { kind: 'bind' | 'volume' } {
  if (mount.kind === 'bind') return mount.createSource && !mount.nonRecursive;
  if (mount.kind === 'tmpfs') return false;
  return mount.source !== '' && mount.subpath === undefined && !hasKeys(mount.labels) && !hasKeys(mount.driverOptions);
}

function mountJson(mount: Exclude<MountRequest, { kind: 'tmpfs' }>): Json {
  const common = { Type: mount.kind, Source: mount.source, Target: mount.target, ReadOnly: mount.readOnly };
  if (mount.kind === 'bind')
    return {
      ...common,
      BindOptions: {
        Propagation: mount.propagation,
        NonRecursive: mount.nonRecursive,
        CreateMountpoint: mount.createSource,
      },
    };
  return {
    ...common,
    VolumeOptions: {
      NoCopy: mount.noCopy,
      Labels: mount.labels,
      ...((mount.driver !== '' || hasKeys(mount.driverOptions)) && {
        DriverConfig: { Name: mount.driver, Options: mount.driverOptions },
      }),
      ...(mount.subpath !== undefined && { Subpath: mount.subpath }),
    },
  };
}

function tmpfsText(mount: MountRequest & { kind: 'tmpfs' }): string {
  return [
    ...mount.options,
    ...(mount.sizeBytes !== undefined ? [`size=${mount.sizeBytes}`] : []),
    ...(mount.mode !== undefined ? [`mode=${mount.mode.toString(8)}`] : []),
  ].join(',');
}

function resourcesJson(resources: Limits): Json {
  const limits = (kind: string): readonly Json[] | null =>
    listOrNull(
      (resources.blockLimits ?? [])
        .filter((limit) => limit.kind === kind)
        .map((limit) => ({ Path: limit.device, Rate: limit.rate })),
    );
  return {
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: resources.cpuNanos ?? 0,
    BlkioWeight: resources.blockWeight ?? 0,
    BlkioWeightDevice: [],
    BlkioDeviceReadBps: limits('readBytes'),
    BlkioDeviceWriteBps: limits('writeBytes'),
    BlkioDeviceReadIOps: limits('readOperations'),
    BlkioDeviceWriteIOps: limits('writeOperations'),
    CpuPeriod: resources.cpuPeriodMicros ?? 0,
    CpuQuota: resources.cpuQuotaMicros ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    // Docker's default, which it tells too: as much swap as memory.
    MemorySwap: resources.memorySwapBytes ?? (resources.memoryBytes ?? 0) * 2,
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? null,
    PidsLimit: resources.pids ?? null,
  };
}

function userText(mode: UserMode | undefined): string {
  if (mode === undefined) return '';
  if (mode.from === 'container') return `container:${mode.container}`;
  return mode.from === 'maps' ? '' : mode.from;
}

/** As podman tells them; create takes them too. */
export function idMappingsJson({ uids, gids }: IdMapping): Json {
  return { UidMap: formatIdMap(uids), GidMap: formatIdMap(gids) };
}

/** Docker has no word for time namespaces; create takes what is told here. */
function timeJson(mode: TimeMode | undefined): Json {
  if (mode === undefined) return {};
  if (mode.from !== 'new') return { TimeMode: mode.from === 'container' ? `container:${mode.container}` : mode.from };
  const { boottimeNanos, monotonicNanos } = mode;
  return {
    TimeMode: 'private',
    TimeOffsets: { Boottime: formatOffset(boottimeNanos), Monotonic: formatOffset(monotonicNanos) },
  };
}

/** The "HostConfig" object of inspect. */
export function hostConfigJson(config: ContainerConfig): Json {
  const tmpfs = config.mounts.filter((mount) => mount.kind === 'tmpfs');
  const others = config.mounts.filter((mount) => mount.kind !== 'tmpfs');
  const mounts = others.filter((mount) => !fitsBind(mount)).map(mountJson);
  const { user } = config.namespaces;
  return {
    Binds: listOrNull(others.filter(fitsBind).map(bindText)),
    ContainerIDFile: '',
    LogConfig: { Type: config.log.driver, Config: config.log.options },
    NetworkMode: networkModeText(config.network),
    PortBindings: {},
    RestartPolicy: restartPolicyJson(config.restart),
    AutoRemove: config.autoRemove,
    VolumeDriver: '',
    VolumesFrom: listOrNull(config.volumesFrom),
    ConsoleSize: [config.terminalSize?.rows ?? 0, config.terminalSize?.columns ?? 0],
    ...(hasKeys(config.annotations) && { Annotations: config.annotations }),
    CapAdd: listOrNull(config.capabilitiesAdded),
    CapDrop: listOrNull(config.capabilitiesDropped),
    CgroupnsMode: namespaceText(config.namespaces.cgroup, 'private'),
    Dns: config.dnsServers,
    DnsOptions: config.dnsOptions,
    DnsSearch: config.dnsSearch,
    ExtraHosts: listOrNull(config.extraHosts),
    GroupAdd: listOrNull(config.additionalGroups),
    IpcMode: namespaceText(config.namespaces.ipc, 'private'),
    Cgroup: '',
    Links: null,
    OomScoreAdj: config.oomScoreAdjust ?? 0,
    PidMode: namespaceText(config.namespaces.pid, ''),
    Privileged: config.privileged,
    PublishAllPorts: config.publishAll,
    ReadonlyRootfs: config.readOnlyRoot,
    SecurityOpt: listOrNull(config.securityOptions),
    ...(tmpfs.length > 0 && { Tmpfs: Object.fromEntries(tmpfs.map((mount) => [mount.target, tmpfsText(mount)])) }),
    UTSMode: namespaceText(config.namespaces.uts, ''),
    UsernsMode: userText(user),
    ...(user?.from === 'maps' && { IDMappings: idMappingsJson(user.mapping) }),
    ...timeJson(config.namespaces.time),
    ShmSize: config.shmBytes,
    ...(hasKeys(config.sysctls) && { Sysctls: config.sysctls }),
    Runtime: config.runtime,
    Isolation: '',
    CgroupParent: config.cgroupParent,
    ...resourcesJson(config.resources),
    Devices: config.devices.map((device) => ({
      PathOnHost: device.hostPath,
      PathInContainer: device.guestPath,
      CgroupPermissions: device.access,
    })),
    DeviceCgroupRules: listOrNull(config.deviceCgroupRules),
    DeviceRequests: null,
    Ulimits: config.rlimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    ...(mounts.length > 0 && { Mounts: mounts }),
    MaskedPaths: config.privileged ? null : (config.maskedPaths ?? defaultMaskedPaths),
    ReadonlyPaths: config.privileged ? null : (config.readonlyPaths ?? defaultReadonlyPaths),
    ...(config.init && { Init: true }),
  };
}

// As Docker shows them when nothing else was asked.
const defaultMaskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
