// The request body of POST /containers/create from the flags of `run` and `create`: field for field what the docker client
// sends for the same line (test/cli/run-bodies.jsonl holds its bodies).
import { HolmError, messageOf } from '../../base/error.ts';
import type { FlagValues } from '../parse.ts';
import type { WindowSize } from '../terminal.ts';
import { parseDevices, parseThrottles } from './devices.ts';
import { readEnvironment, readLabels, readText, toMap } from './files.ts';
import { parseMount, parseTmpfs, parseVolumes } from './mounts.ts';
import { parseNetworks } from './networks.ts';
import { parsePorts } from './ports.ts';

export interface CreateBody {
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Tty: boolean;
  readonly OpenStdin: boolean;
  readonly Image: string;
  readonly HostConfig: { readonly AutoRemove: boolean; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** `size` is of the user's terminal. */
export function createBody(
  flags: FlagValues,
  image: string,
  command: readonly string[],
  options: { detach: boolean; size?: WindowSize | undefined },
): CreateBody {
  const streams = attachedStreams(flags, options.detach);
  const ports = parsePorts(flags.list('publish'), flags.list('expose'));
  const volumes = parseVolumes(flags.list('volume'));
  const networks = parseNetworks(flags);
  const healthcheck = parseHealthcheck(flags);
  return {
    Hostname: flags.text('hostname'),
    Domainname: flags.text('domainname'),
    User: flags.text('user'),
    ...streams,
    ...(Object.keys(ports.exposed).length === 0 ? {} : { ExposedPorts: ports.exposed }),
    Tty: flags.bool('tty'),
    OpenStdin: flags.bool('interactive'),
    StdinOnce: flags.bool('interactive') && streams.AttachStdin,
    Env: orNull(readEnvironment(flags.list('env-file'), flags.list('env'))),
    Cmd: orNull(command),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    Image: image,
    Volumes: volumes.anonymous,
    WorkingDir: flags.text('workdir'),
    Entrypoint: flags.has('entrypoint') ? [flags.text('entrypoint')] : null,
    OnBuild: null,
    Labels: readLabels(flags.list('label-file'), flags.list('label')),
    ...(flags.has('stop-signal') ? { StopSignal: flags.text('stop-signal') } : {}),
    ...(flags.has('stop-timeout') ? { StopTimeout: flags.int('stop-timeout') } : {}),
    HostConfig: hostConfig(flags, volumes.binds, ports.bindings, networks.mode, options.size),
    NetworkingConfig: { EndpointsConfig: networks.endpoints },
  };
}

function hostConfig(
  flags: FlagValues,
  binds: readonly string[],
  portBindings: object,
  networkMode: string,
  size: WindowSize | undefined,
): CreateBody['HostConfig'] {
  const devices = parseDevices(flags.list('device'), flags.text('gpus'));
  const security = parseSecurity(flags.list('security-opt'));
  const mounts = flags.list('mount').map(parseMountFlag);
  const tmpfs = parseTmpfs(flags.list('tmpfs'));
  const restart = parseRestart(flags.text('restart'));
  if (flags.bool('rm') && restart.Name !== 'no' && restart.Name !== '')
    throw new HolmError('invalid', 'conflicting options: cannot specify both --restart and --rm');
  return {
    Binds: orNull(binds),
    ContainerIDFile: flags.text('cidfile'),
    LogConfig: parseLog(flags),
    NetworkMode: networkMode,
    PortBindings: portBindings,
    RestartPolicy: restart,
    AutoRemove: flags.bool('rm'),
    VolumeDriver: flags.text('volume-driver'),
    VolumesFrom: orNull(flags.list('volumes-from')),
    ConsoleSize: size === undefined ? [0, 0] : [size.rows, size.columns],
    ...(flags.has('annotation') ? { Annotations: toMap(flags.list('annotation')) } : {}),
    CapAdd: orNull(flags.list('cap-add').map(fullCapability)),
    CapDrop: orNull(flags.list('cap-drop').map(fullCapability)),
    CgroupnsMode: oneOf(flags.text('cgroupns'), /^(|host|private)$/, '--cgroupns: invalid CGROUP mode'),
    Dns: flags.list('dns'),
    DnsOptions: flags.list('dns-option'),
    DnsSearch: flags.list('dns-search'),
    ExtraHosts: orNull(flags.list('add-host').map((text) => text.replace(/[:=]\[?/, ':').replace(/\]$/, ''))),
    GroupAdd: orNull(flags.list('group-add')),
    IpcMode: flags.text('ipc'),
    Cgroup: '',
    Links: orNull(flags.list('link')),
    OomScoreAdj: flags.int('oom-score-adj'),
    PidMode: oneOf(flags.text('pid'), /^(|host|container:.+)$/, '--pid: invalid PID mode'),
    Privileged: flags.bool('privileged'),
    PublishAllPorts: flags.bool('publish-all'),
    ReadonlyRootfs: flags.bool('read-only'),
    SecurityOpt: security.options,
    ...(flags.has('storage-opt') ? { StorageOpt: toMap(flags.list('storage-opt')) } : {}),
    ...(tmpfs === undefined ? {} : { Tmpfs: tmpfs }),
    UTSMode: oneOf(flags.text('uts'), /^(|host)$/, '--uts: invalid UTS mode'),
    UsernsMode: oneOf(flags.text('userns'), /^(|host|auto|container:.+)$/, '--userns: invalid USER mode'),
    ...ownNamespaces(flags),
    ShmSize: flags.bytes('shm-size'),
    ...(flags.has('sysctl') ? { Sysctls: toMap(flags.list('sysctl')) } : {}),
    ...(flags.has('runtime') ? { Runtime: flags.text('runtime') } : {}),
    Isolation: flags.text('isolation'),
    ...resourceFields(flags),
    CgroupParent: flags.text('cgroup-parent'),
    BlkioWeightDevice: parseThrottles(flags.list('blkio-weight-device'), 'Weight'),
    BlkioDeviceReadBps: parseThrottles(flags.list('device-read-bps'), 'Rate'),
    BlkioDeviceWriteBps: parseThrottles(flags.list('device-write-bps'), 'Rate'),
    BlkioDeviceReadIOps: parseThrottles(flags.list('device-read-iops'), 'Rate'),
    BlkioDeviceWriteIOps: parseThrottles(flags.list('device-write-iops'), 'Rate'),
    Devices: devices.nodes,
    DeviceCgroupRules: orNull(flags.list('device-cgroup-rule')),
    DeviceRequests: devices.requests,
    MemorySwappiness: parseSwappiness(flags),
    OomKillDisable: flags.bool('oom-kill-disable'),
    PidsLimit: flags.int('pids-limit'),
    Ulimits: parseUlimits(flags.list('ulimit')),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...(mounts.length === 0 ? {} : { Mounts: mounts }),
    MaskedPaths: security.openPaths ? [] : null,
    ReadonlyPaths: security.openPaths ? [] : null,
    ...(flags.has('init') ? { Init: flags.bool('init') } : {}),
  };
}

/** What docker's client has no flag for: maps of ids, time namespaces. */
function ownNamespaces(flags: FlagValues): Record<string, unknown> {
  const rows = (name: string) => flags.list(name).flatMap((text) => text.split(','));
  const [boottime, monotonic] = [flags.text('time-boottime'), flags.text('time-monotonic')];
  return {
    ...(flags.has('uidmap') || flags.has('gidmap')
      ? { IDMappings: { UidMap: rows('uidmap'), GidMap: rows('gidmap') } }
      : {}),
    ...(flags.has('time') ? { TimeMode: flags.text('time') } : {}),
    ...(boottime + monotonic === '' ? {} : { TimeOffsets: { Boottime: boottime, Monotonic: monotonic } }),
  };
}

/** Limits that `update` sends too. */
export function resourceFields(flags: FlagValues): Record<string, unknown> {
  return {
    CpuShares: flags.int('cpu-shares'),
    Memory: flags.bytes('memory'),
    NanoCpus: flags.has('cpus') ? Math.round(Number(flags.text('cpus')) * 1e9) : 0,
    BlkioWeight: flags.int('blkio-weight'),
    CpuPeriod: flags.int('cpu-period'),
    CpuQuota: flags.int('cpu-quota'),
    CpuRealtimePeriod: flags.int('cpu-rt-period'),
    CpuRealtimeRuntime: flags.int('cpu-rt-runtime'),
    CpusetCpus: flags.text('cpuset-cpus'),
    CpusetMems: flags.text('cpuset-mems'),
    MemoryReservation: flags.bytes('memory-reservation'),
    MemorySwap: flags.bytes('memory-swap'),
  };
}

/** "on-failure:3", "always". */
export function parseRestart(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = '', count, ...rest] = text.split(':');
  if (rest.length > 0 || (count !== undefined && !/^\d+$/.test(count)))
    throw new HolmError('invalid', 'invalid restart policy format: maximum retry count must be an integer');
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

function attachedStreams(
  flags: FlagValues,
  detach: boolean,
): { AttachStdin: boolean; AttachStdout: boolean; AttachStderr: boolean } {
  const asked = flags.list('attach').map((name) => name.toLowerCase());
  if (detach && asked.length > 0)
    throw new HolmError('invalid', 'conflicting options: cannot specify both --attach and --detach');
  if (detach) return { AttachStdin: false, AttachStdout: false, AttachStderr: false };
  const all = asked.length === 0;
  return {
    AttachStdin: asked.includes('stdin') || flags.bool('interactive'),
    AttachStdout: all || asked.includes('stdout'),
    AttachStderr: all || asked.includes('stderr'),
  };
}

function parseHealthcheck(flags: FlagValues): Record<string, unknown> | undefined {
  const names = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'].map((name) => `health-${name}`);
  const any = ['health-cmd', ...names].some((name) => flags.has(name));
  if (flags.bool('no-healthcheck')) {
    if (any) throw new HolmError('invalid', '--no-healthcheck conflicts with --health-* options');
    return { Test: ['NONE'] };
  }
  if (!any) return undefined;
  const negative = names.find((name) => (name === 'health-retries' ? flags.int(name) : flags.nanos(name)) < 0);
  if (negative !== undefined) throw new HolmError('invalid', `--${negative} cannot be negative`);
  const fields: Record<string, unknown> = {
    Interval: flags.nanos('health-interval'),
    Timeout: flags.nanos('health-timeout'),
    StartPeriod: flags.nanos('health-start-period'),
    StartInterval: flags.nanos('health-start-interval'),
    Retries: flags.int('health-retries'),
  };
  const set = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0));
  return flags.text('health-cmd') === '' ? set : { Test: ['CMD-SHELL', flags.text('health-cmd')], ...set };
}

function parseLog(flags: FlagValues): { Type: string; Config: Record<string, string> } {
  const config = toMap(flags.list('log-opt'));
  const driver = flags.text('log-driver');
  if (driver === 'none' && Object.keys(config).length > 0)
    throw new HolmError('invalid', `invalid logging opts for driver ${driver}`);
  return { Type: driver, Config: config };
}

/** The file of a seccomp profile is sent, not its name; `systempaths=unconfined` becomes two empty lists of paths. */
function parseSecurity(values: readonly string[]): { options: string[] | null; openPaths: boolean } {
  if (values.length === 0) return { options: null, openPaths: false };
  const options = values.map((option) => {
    const match = /^([^=:]+)[=:](.+)$/s.exec(option);
    if (match === null && option !== 'no-new-privileges')
      throw new HolmError('invalid', `Invalid --security-opt: ${JSON.stringify(option)}`);
    if (match?.[1] !== 'seccomp' || ['unconfined', 'builtin'].includes(match[2]!)) return option;
    return `seccomp=${readProfile(match[2]!)}`;
  });
  const rest = options.filter((option) => option !== 'systempaths=unconfined');
  return { options: rest, openPaths: rest.length < options.length };
}

function readProfile(path: string): string {
  try {
    return JSON.stringify(JSON.parse(readText(path)));
  } catch (error) {
    throw new HolmError('invalid', `opening seccomp profile (${path}) failed: ${messageOf(error)}`, { cause: error });
  }
}

function parseMountFlag(text: string): object {
  try {
    return parseMount(text);
  } catch (error) {
    throw new HolmError('invalid', `invalid argument "${text}" for "--mount" flag: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function parseSwappiness(flags: FlagValues): number {
  const value = flags.int('memory-swappiness', -1);
  if (value < -1 || value > 100)
    throw new HolmError('invalid', `invalid value: ${value}. Valid memory swappiness range is 0-100`);
  return value;
}

/** Checked while parsing; the last of a name counts. */
function parseUlimits(values: readonly string[]): object[] {
  return Object.entries(toMap(values)).map(([name, limits]) => {
    const [soft, hard = soft] = limits.split(':').map(Number);
    return { Name: name, Hard: hard, Soft: soft };
  });
}

function fullCapability(name: string): string {
  const upper = name.toUpperCase();
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}

function oneOf(value: string, allowed: RegExp, message: string): string {
  if (!allowed.test(value)) throw new HolmError('invalid', message);
  return value;
}

function orNull<T>(values: readonly T[]): readonly T[] | null {
  return values.length === 0 ? null : values;
}
