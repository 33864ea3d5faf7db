// A container as Docker's JSON: the row of a list and the answer of inspect. One shape for all API versions; what a
// version dropped or added is decided here by `minor` and the table in api-version.ts.
import { formatTime } from '../base/clock.ts';
import type { Container } from '../containers/container.ts';
import type { Endpoint } from '../networks/network.ts';
import { changedIn } from './api-version.ts';
import type { Health } from './backend.ts';
import { isRunning, stateJson, stateWordOf, statusOf } from './container-state.ts';
import { hasKeys, healthcheckJson, hostConfigJson, idMappingsJson, networkModeText } from './host-config-json.ts';

type Json = Record<string, unknown>;

export interface Sizes {
  readonly writableBytes: number;
  readonly rootBytes: number;
}

/** What a row of a list says for as long as this snapshot of the container holds. */
function lastingSummary(container: Container, minor: number): Json {
  const { config } = container;
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    ImageID: container.imageId,
    Command: commandText(container),
    Created: Number(container.createdAt / 1_000_000_000n),
    Ports: isRunning(container) ? exposedPorts(container) : [],
    Labels: container.labels,
    State: stateWordOf(container),
    HostConfig: {
      NetworkMode: networkModeText(config.network),
      ...(minor >= changedIn.annotationsInLists && hasKeys(config.annotations) && { Annotations: config.annotations }),
    },
    NetworkSettings: { Networks: networksJson(container) },
    Mounts: mountsJson(container),
  };
}

/** What a row of a list says that is not in the container's record. */
export interface SummaryFacts {
  /** What its image is called now. */
  readonly image: string;
  readonly health: Health | undefined;
  readonly sizes?: Sizes | undefined;
}

/** What changes by itself. */
function passingSummary(container: Container, { image, health, sizes }: SummaryFacts, minor: number): Json {
  return {
    Image: image,
    Status: statusOf(container, health),
    ...(minor >= changedIn.healthInLists && {
      Health: { Status: health?.status ?? 'none', FailingStreak: health?.failingStreak ?? 0 },
    }),
    ...(sizes && { SizeRw: sizes.writableBytes, SizeRootFs: sizes.rootBytes }),
  };
}

/** A row of GET /containers/json. */
export function summaryJson(container: Container, facts: SummaryFacts, minor: number): Json {
  return { ...lastingSummary(container, minor), ...passingSummary(container, facts, minor) };
}

/** A row as text: its lasting part, and all of it with the facts that it was made of. */
interface KeptSummary {
  readonly isNew: boolean;
  readonly text: string;
  readonly facts: string;
  readonly whole: string;
}

// Lists of hundreds are asked for each second by some clients.
const keptSummaries = new WeakMap<Container, KeptSummary>();

/** The same row as text. */
export function summaryText(container: Container, facts: SummaryFacts, minor: number): string {
  const isNew = minor >= changedIn.annotationsInLists;
  const known = keptSummaries.get(container);
  const kept = known?.isNew === isNew ? known : undefined;
  const { image, health, sizes } = facts;
  const passing = `${minor} ${image} ${statusOf(container, health)} ${health?.failingStreak}`;
  if (kept?.facts === passing && sizes === undefined) return kept.whole;
  const text = kept?.text ?? JSON.stringify(lastingSummary(container, minor)).slice(0, -1);
  const whole = `${text},${JSON.stringify(passingSummary(container, facts, minor)).slice(1)}`;
  if (sizes === undefined) keptSummaries.set(container, { isNew, text, facts: passing, whole });
  return whole;
}

/** Program and arguments as one line, arguments with blanks quoted. */
function commandText({ argv }: Container): string {
  const [program = '', ...rest] = argv;
  return rest.length === 0 ? program : `${program} ${rest.map(quoteArgument).join(' ')}`;
}

function quoteArgument(argument: string): string {
  return argument.includes(' ') ? `'${argument}'` : argument;
}

function exposedPorts({ config }: Container): readonly Json[] {
  return config.exposedPorts.flatMap((port) => {
    const [number, protocol = 'tcp'] = port.split('/');
    return /^\d+$/.test(number!) ? [{ PrivatePort: Number(number), Type: protocol }] : [];
  });
}

function mountsJson({ mountPoints }: Container): readonly Json[] {
  return mountPoints.map((mount) => ({
    Type: mount.kind,
    ...(mount.name !== undefined && { Name: mount.name }),
    Source: mount.source,
    Destination: mount.target,
    ...(mount.driver !== undefined && { Driver: mount.driver }),
    Mode: mount.kind === 'volume' ? 'z' : mount.readOnly ? 'ro' : '',
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  }));
}

const noEndpoint: Json = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  MacAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

function networksJson(container: Container): Json {
  const networks: Json = {};
  for (const endpoint of container.endpoints) networks[endpoint.networkName] = endpointJson(endpoint);
  const { network } = container.config;
  // Docker names the network of every container, also while it has no address in it.
  if (container.endpoints.length === 0 && network.from !== 'container')
    networks[network.from === 'network' ? network.network : network.from] = noEndpoint;
  return networks;
}

function endpointJson(endpoint: Endpoint): Json {
  return {
    ...noEndpoint,
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.endpointId,
    Gateway: endpoint.gateway,
    IPAddress: endpoint.address,
    IPPrefixLen: endpoint.prefixLength,
    MacAddress: endpoint.macAddress,
  };
}

function networkSettingsJson(container: Container, minor: number): Json {
  const bridge = container.endpoints.find((endpoint) => endpoint.networkName === 'bridge');
  const runs = container.state.is === 'running' || container.state.is === 'paused';
  const ports = runs ? Object.fromEntries(container.config.exposedPorts.map((port) => [port, null])) : {};
  return {
    SandboxID: '',
    SandboxKey: runs && 'pid' in container.state ? `/proc/${container.state.pid}/ns/net` : '',
    Ports: ports,
    ...(minor < changedIn.noTopLevelAddresses && {
      Bridge: '',
      HairpinMode: false,
      LinkLocalIPv6Address: '',
      LinkLocalIPv6PrefixLen: 0,
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      EndpointID: bridge?.endpointId ?? '',
      Gateway: bridge?.gateway ?? '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      IPAddress: bridge?.address ?? '',
      IPPrefixLen: bridge?.prefixLength ?? 0,
      IPv6Gateway: '',
      MacAddress: bridge?.macAddress ?? '',
    }),
    Networks: networksJson(container),
  };
}

function configJson(container: Container, minor: number): Json {
  const { config, argv, entrypointLength } = container;
  return {
    Hostname: container.hostname,
    Domainname: config.domainname,
    User: container.user,
    AttachStdin: config.attachStdin,
    AttachStdout: config.attachStdout,
    AttachStderr: config.attachStderr,
    ...(config.exposedPorts.length > 0 && { ExposedPorts: setJson(config.exposedPorts) }),
    Tty: config.terminal,
    OpenStdin: config.stdinOpen,
    StdinOnce: config.stdinOnce,
    Env: container.environment,
    Cmd: argv.length === entrypointLength ? null : argv.slice(entrypointLength),
    ...(config.healthcheck && { Healthcheck: healthcheckJson(config.healthcheck) }),
    Image: config.image,
    Volumes: config.volumes.length > 0 ? setJson(config.volumes) : null,
    WorkingDir: container.workingDirectory,
    Entrypoint: entrypointLength === 0 ? null : argv.slice(0, entrypointLength),
    ...(minor < changedIn.noTopLevelAddresses && config.macAddress !== '' && { MacAddress: config.macAddress }),
    OnBuild: null,
    Labels: container.labels,
    ...(config.stopSignal !== undefined && { StopSignal: config.stopSignal }),
    ...(config.stopTimeoutSeconds !== undefined && { StopTimeout: config.stopTimeoutSeconds }),
  };
}

function setJson(keys: readonly string[]): Json {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

/** The answer of GET /containers/{name}/json. */
export function inspectJson(
  container: Container,
  health: Health | undefined,
  sizes: Sizes | undefined,
  minor: number,
): Json {
  return {
    Id: container.id,
    Created: formatTime(container.createdAt),
    Path: container.argv[0] ?? '',
    Args: container.argv.slice(1),
    State: stateJson(container, health),
    Image: container.imageId,
    ResolvConfPath: container.resolvConfPath,
    HostnamePath: container.hostnamePath,
    HostsPath: container.hostsPath,
    LogPath: container.logPath,
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: container.execIds.length === 0 ? null : container.execIds,
    HostConfig: hostConfigJson(container.config),
    GraphDriver: {
      Name: 'overlay2',
      Data: {
        LowerDir: container.lowerDirectories.join(':'),
        UpperDir: container.upperDirectory,
        WorkDir: container.workDirectory,
      },
    },
    ...(sizes && { SizeRw: sizes.writableBytes, SizeRootFs: sizes.rootBytes }),
    ...(container.idMapping && { IDMappings: idMappingsJson(container.idMapping) }),
    Mounts: mountsJson(container),
    Config: configJson(container, minor),
    NetworkSettings: networkSettingsJson(container, minor),
  };
}
