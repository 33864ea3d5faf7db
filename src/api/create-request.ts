// The body of POST /containers/create, read into a ContainerConfig. Unknown fields are ignored, as Docker does; fields that
// ask for what holm cannot do are refused by name (the table `notServed`), never silently dropped.
import { HolmError } from '../base/error.ts';
import { parseSignal } from '../base/signals.ts';
import type { ContainerConfig, DeviceRequest, NamespaceMode, Rlimit } from '../containers/container.ts';
import type { Healthcheck } from '../images/image.ts';
import { changedIn } from './api-version.ts';
import { parseMounts } from './create-mounts.ts';
import { parseTimeNamespace, parseUserNamespace } from './create-namespaces.ts';
import { parseNetwork } from './create-network.ts';
import { parseLogConfig, parseRestartPolicy } from './create-policies.ts';
import { parseResources } from './create-resources.ts';
import { type Fields, noFields } from './fields.ts';
import { notYet } from './wording.ts';

const defaultShmBytes = 64 * 1024 * 1024;
const runtimes: readonly string[] = ['', 'holm', 'runc', 'io.containerd.runc.v2'];

/** Fields of HostConfig that holm does not serve: whether one is really asked for, and what it is called. */
const notServed: readonly { readonly what: string; readonly isAsked: (host: Fields) => boolean }[] = [
  { what: 'published ports are', isAsked: (host) => host.keys('PortBindings').length > 0 },
  { what: 'published ports are', isAsked: (host) => host.boolean('PublishAllPorts') },
  { what: 'links are', isAsked: (host) => host.strings('Links').length > 0 },
  { what: 'storage options are', isAsked: (host) => host.keys('StorageOpt').length > 0 },
  { what: 'device requests (--gpus, CDI) are', isAsked: (host) => host.objects('DeviceRequests').length > 0 },
  { what: 'volume drivers are', isAsked: (host) => !['', 'local'].includes(host.string('VolumeDriver')) },
];

/** What the parse needs to know of the host and the request besides the body. */
export interface CreateContext {
  readonly minor: number;
  readonly hostCpus: number;
  readonly cgroupVersion: 1 | 2;
  readonly platform: string;
}

/** Reads the body. Throws `invalid` with Docker's texts, `unsupported` for what holm does not serve. */
export function parseCreateRequest(body: Fields, context: CreateContext): ContainerConfig {
  const host = body.object('HostConfig') ?? noFields;
  for (const { what, isAsked } of notServed) if (isAsked(host)) throw notYet(what);
  const runtime = host.string('Runtime');
  if (!runtimes.includes(runtime)) throw new HolmError('invalid', `unknown or invalid runtime name: ${runtime}`);
  const isolation = host.string('Isolation');
  if (!['', 'default'].includes(isolation))
    throw new HolmError('invalid', `invalid isolation '${isolation}': linux only supports 'default'`);
  const image = body.string('Image');
  if (image === '') throw new HolmError('invalid', 'invalid reference format');
  const environment = body.strings('Env');
  for (const variable of environment)
    if (variable === '' || variable.startsWith('='))
      throw new HolmError('invalid', `invalid environment variable: ${variable}`);
  const entrypoint = body.optionalCommand('Entrypoint');
  const command = body.optionalCommand('Cmd');
  const stopSignal = body.string('StopSignal');
  if (stopSignal !== '') parseSignal(stopSignal);
  const stopTimeout = body.optionalInteger('StopTimeout');
  const healthcheck = body.object('Healthcheck');
  const restart = parseRestartPolicy(host.object('RestartPolicy'));
  const autoRemove = host.boolean('AutoRemove') && context.minor >= 25;
  if (autoRemove && restart.name !== 'no')
    throw new HolmError('invalid', "can't create 'AutoRemove' container with restart policy");
  const terminalSize = parseConsoleSize(host, context.minor);
  const oomScoreAdjust = host.integer('OomScoreAdj');
  if (oomScoreAdjust < -1000 || oomScoreAdjust > 1000)
    throw new HolmError('invalid', `Invalid value ${oomScoreAdjust}, range for oom score adj is [-1000, 1000]`);
  const shmBytes = host.integer('ShmSize');
  if (shmBytes < 0) throw new HolmError('invalid', 'SHM size can not be less than 0');
  const maskedPaths = host.optionalStrings('MaskedPaths');
  const readonlyPaths = host.optionalStrings('ReadonlyPaths');
  return {
    image,
    ...(context.platform !== '' && { platform: context.platform }),
    hostname: body.string('Hostname'),
    domainname: body.string('Domainname'),
    user: body.string('User'),
    workingDirectory: body.string('WorkingDir'),
    environment,
    ...(entrypoint !== undefined && { entrypoint: isEmptied(entrypoint) ? [] : entrypoint }),
    ...(command !== undefined && { command }),
    labels: body.map('Labels'),
    terminal: body.boolean('Tty'),
    stdinOpen: body.boolean('OpenStdin'),
    stdinOnce: body.boolean('StdinOnce'),
    attachStdin: body.boolean('AttachStdin'),
    attachStdout: body.boolean('AttachStdout'),
    attachStderr: body.boolean('AttachStderr'),
    ...(terminalSize !== undefined && { terminalSize }),
    ...(stopSignal !== '' && { stopSignal }),
    ...(stopTimeout !== undefined && { stopTimeoutSeconds: stopTimeout }),
    exposedPorts: body.keys('ExposedPorts').map((port) => (port.includes('/') ? port : `${port}/tcp`)),
    volumes: body.keys('Volumes'),
    ...(healthcheck !== undefined && { healthcheck: parseHealthcheck(healthcheck) }),
    mounts: parseMounts(host, context.minor),
    volumesFrom: host.strings('VolumesFrom'),
    resources: parseResources(host, context.hostCpus),
    devices: host.objects('Devices').map(parseDevice),
    deviceCgroupRules: host.strings('DeviceCgroupRules').map(checkDeviceRule),
    rlimits: host.objects('Ulimits').map(parseRlimit),
    sysctls: host.map('Sysctls'),
    ...(oomScoreAdjust !== 0 && { oomScoreAdjust }),
    shmBytes: shmBytes === 0 ? defaultShmBytes : shmBytes,
    privileged: host.boolean('Privileged'),
    capabilitiesAdded: host.strings('CapAdd'),
    capabilitiesDropped: host.strings('CapDrop'),
    securityOptions: host.strings('SecurityOpt'),
    readOnlyRoot: host.boolean('ReadonlyRootfs'),
    additionalGroups: host.strings('GroupAdd'),
    init: host.boolean('Init'),
    ...(maskedPaths !== undefined && { maskedPaths }),
    ...(readonlyPaths !== undefined && { readonlyPaths }),
    namespaces: {
      pid: parseNamespace(host.string('PidMode'), 'PID', []),
      ipc:
        host.string('IpcMode') === 'none'
          ? { from: 'none' }
          : parseNamespace(host.string('IpcMode'), 'IPC', ['private', 'shareable']),
      uts: parseNamespace(host.string('UTSMode'), 'UTS', []),
      cgroup: parseCgroupNamespace(host, context),
      ...parseUserNamespace(host),
      ...parseTimeNamespace(host),
    },
    ...parseNetwork(body, host, context.minor),
    ports: [],
    publishAll: false,
    log: parseLogConfig(host.object('LogConfig')),
    restart,
    autoRemove,
    cgroupParent: host.string('CgroupParent'),
    runtime: runtime === '' ? 'holm' : runtime,
    annotations: host.map('Annotations'),
  };
}

/** `--entrypoint ""` is sent as one empty string. */
function isEmptied(entrypoint: readonly string[]): boolean {
  return entrypoint.length === 1 && entrypoint[0] === '';
}

function parseConsoleSize(host: Fields, minor: number): { rows: number; columns: number } | undefined {
  const size = host.raw('ConsoleSize');
  if (size === undefined || minor < changedIn.consoleSize) return undefined;
  const [rows, columns] = Array.isArray(size) ? size : [];
  if (!Number.isInteger(rows) || !Number.isInteger(columns))
    throw new HolmError('invalid', 'invalid JSON: HostConfig.ConsoleSize must be a list of two whole numbers');
  return rows === 0 && columns === 0 ? undefined : { rows, columns };
}

function parseNamespace(text: string, what: string, alsoNew: readonly string[]): NamespaceMode {
  if (text === '' || alsoNew.includes(text)) return { from: 'new' };
  if (text === 'host') return { from: 'host' };
  const container = /^container:(.+)$/.exec(text)?.[1];
  if (container === undefined || what === 'UTS') throw new HolmError('invalid', `invalid ${what} mode: ${text}`);
  return { from: 'container', container };
}

function parseCgroupNamespace(host: Fields, context: CreateContext): NamespaceMode {
  const text = host.string('CgroupnsMode');
  if (text === 'host') return { from: 'host' };
  if (text === 'private') return { from: 'new' };
  if (text !== '') throw new HolmError('invalid', `invalid cgroup namespace mode: ${text}`);
  const isOld = context.minor < changedIn.privateCgroupDefault && context.cgroupVersion === 1;
  return isOld || (host.boolean('Privileged') && context.cgroupVersion === 1) ? { from: 'host' } : { from: 'new' };
}

function parseHealthcheck(from: Fields): Healthcheck {
  const nanos = (name: string): number => from.nanoseconds(name);
  const interval = nanos('Interval');
  const timeout = nanos('Timeout');
  const startPeriod = nanos('StartPeriod');
  const startInterval = nanos('StartInterval');
  const retries = from.integer('Retries');
  for (const [name, value] of [
    ['Interval', interval],
    ['Timeout', timeout],
    ['StartPeriod', startPeriod],
    ['StartInterval', startInterval],
  ] as const)
    if (value !== 0 && value < 1_000_000)
      throw new HolmError('invalid', `${name} in Healthcheck cannot be less than 1ms`);
  if (retries < 0) throw new HolmError('invalid', 'Retries in Healthcheck cannot be negative');
  return {
    test: from.strings('Test'),
    ...(interval !== 0 && { intervalNanos: interval }),
    ...(timeout !== 0 && { timeoutNanos: timeout }),
    ...(startPeriod !== 0 && { startPeriodNanos: startPeriod }),
    ...(startInterval !== 0 && { startIntervalNanos: startInterval }),
    ...(retries !== 0 && { retries }),
  };
}

function parseDevice(from: Fields): DeviceRequest {
  const hostPath = from.string('PathOnHost');
  const access = from.string('CgroupPermissions') || 'rwm';
  if (hostPath === '') throw new HolmError('invalid', 'invalid device: PathOnHost must not be empty');
  if (!/^[rwm]{1,3}$/.test(access)) throw new HolmError('invalid', `invalid device mode: ${access}`);
  return { hostPath, guestPath: from.string('PathInContainer') || hostPath, access };
}

function checkDeviceRule(rule: string): string {
  if (!/^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$/.test(rule))
    throw new HolmError('invalid', `invalid device cgroup rule format: '${rule}'`);
  return rule;
}

function parseRlimit(from: Fields): Rlimit {
  const name = from.string('Name').toLowerCase();
  const soft = from.integer('Soft');
  const hard = from.integer('Hard');
  if (name === '') throw new HolmError('invalid', 'invalid ulimit type: ');
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new HolmError('invalid', `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { name, soft, hard };
}
