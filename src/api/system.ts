// Routes that tell of the daemon and its host: _ping, version, info.
import { arch } from 'node:process';
import { formatTime, nowNanos } from '../base/clock.ts';
import { apiVersion, minimumApiVersion } from './api-version.ts';
import type { Call } from './call.ts';
import type { Route } from './router.ts';

function ping(call: Call): void {
  const isHead = call.request.method === 'HEAD';
  call.response.writeHead(200, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': isHead ? 0 : 2,
    'Cache-Control': 'no-cache, no-store, must-revalidate',
    Pragma: 'no-cache',
    'Builder-Version': '1',
    Swarm: 'inactive',
  });
  call.response.end(isHead ? undefined : 'OK');
}

/** GOARCH's word for this processor. */
function goArchitecture(): string {
  return arch === 'x64' ? 'amd64' : arch;
}

function version(call: Call): void {
  const { backend } = call;
  const host = backend.host();
  const details = {
    ApiVersion: apiVersion,
    Arch: goArchitecture(),
    BuildTime: formatTime(backend.startedAt),
    Experimental: 'false',
    GitCommit: '',
    GoVersion: `node ${process.version}`,
    KernelVersion: host.kernelVersion,
    MinAPIVersion: minimumApiVersion,
    Os: 'linux',
  };
  call.send(200, {
    Platform: { Name: 'holm' },
    Components: [{ Name: 'Engine', Version: backend.version, Details: details }],
    Version: backend.version,
    ...details,
    Experimental: false,
  });
}

function info(call: Call): void {
  const { backend } = call;
  const host = backend.host();
  const counts = { running: 0, paused: 0, stopped: 0 };
  const containers = backend.containers.list();
  for (const { state } of containers) counts[state.is === 'running' || state.is === 'paused' ? state.is : 'stopped']++;
  call.send(200, {
    ID: host.id,
    Containers: containers.length,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.stopped,
    Images: backend.images.list().length,
    Driver: host.storageDriver,
    DriverStatus: [['Backing Directory', host.rootDirectory]],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'none'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    ...(call.minor < 50 && { BridgeNfIptables: false, BridgeNfIp6tables: false }),
    Debug: false,
    NFd: 0,
    OomKillDisable: host.cgroupVersion === 1,
    NGoroutines: 0,
    SystemTime: formatTime(nowNanos()),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: String(host.cgroupVersion),
    NEventsListener: 0,
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.operatingSystemVersion,
    OSType: 'linux',
    Architecture: host.architecture,
    IndexServerAddress: '',
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: null },
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources: null,
    DockerRootDir: host.rootDirectory,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: host.name,
    Labels: host.labels,
    ExperimentalBuild: false,
    ServerVersion: backend.version,
    Runtimes: { holm: { path: 'holm-keeper' } },
    DefaultRuntime: 'holm',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'holm-keeper',
    ContainerdCommit: { ID: '', ...(call.minor < 49 && { Expected: '' }) },
    RuncCommit: { ID: '', ...(call.minor < 49 && { Expected: '' }) },
    InitCommit: { ID: '', ...(call.minor < 49 && { Expected: '' }) },
    SecurityOptions: host.securityOptions,
    Warnings: host.warnings.length > 0 ? host.warnings : null,
  });
}

export const systemRoutes: readonly Route[] = [
  { method: 'HEAD', path: '/_ping', handle: ping },
  { method: 'GET', path: '/_ping', handle: ping },
  { method: 'GET', path: '/version', handle: version },
  { method: 'GET', path: '/info', handle: info },
];
