// What a container is: what was asked for (ContainerConfig), how things stand (ContainerState), and both as one record.
// Units stand in the names. Docker's JSON is the api's business, the OCI configuration spec.ts's.
import type { Digest } from '../base/digest.ts';
import type { Id } from '../base/id.ts';
import type { GroupUsage, Limits } from '../cgroups/controller.ts';
import type { Healthcheck } from '../images/image.ts';
import type { IdMapping } from '../namespaces/id-maps.ts';
import type { TimeOffsets } from '../namespaces/time.ts';
import type { InterfaceUsage } from '../networks/interface-usage.ts';
import type { Endpoint } from '../networks/network.ts';

export type MountRequest =
  | {
      readonly kind: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly propagation: Propagation;
      /** Keep the host's owners where the container has a user namespace of its own. */
      readonly ownersKept?: boolean;
      /** Make a missing source directory, as docker's -v does and --mount does not. */
      readonly createSource: boolean;
      readonly nonRecursive: boolean;
    }
  | {
      readonly kind: 'volume';
      /** Name of the volume; empty for an anonymous one. */
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** Do not copy the image's content into a new volume. */
      readonly noCopy: boolean;
      readonly labels: Readonly<Record<string, string>>;
      readonly driver: string;
      readonly driverOptions: Readonly<Record<string, string>>;
      readonly subpath?: string;
    }
  | {
      readonly kind: 'tmpfs';
      readonly target: string;
      readonly sizeBytes?: number;
      /** Octal permission bits. */
      readonly mode?: number;
      /** Further mount options, such as "noexec" or "uid=1000". */
      readonly options: readonly string[];
    };
export type Propagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';

/** Where a namespace comes from; `container` names another container. */
export type NamespaceMode =
  | { readonly from: 'new' }
  | { readonly from: 'host' }
  | { readonly from: 'container'; readonly container: string };

/** Whose users and groups a container has; `auto` is a range of ids that no other container has. */
export type UserMode =
  | { readonly from: 'host' | 'auto' }
  | { readonly from: 'maps'; readonly mapping: IdMapping }
  | { readonly from: 'container'; readonly container: string };

/** Which clocks a container has, beside the time of day, which is the same for all. */
export type TimeMode =
  | ({ readonly from: 'new' } & TimeOffsets)
  | { readonly from: 'host' }
  | { readonly from: 'container'; readonly container: string };

export type NetworkMode =
  | { readonly from: 'network'; readonly network: string }
  | { readonly from: 'none' }
  | { readonly from: 'host' }
  | { readonly from: 'container'; readonly container: string };

export interface DeviceRequest {
  readonly hostPath: string;
  readonly guestPath: string;
  /** Some of "rwm". */
  readonly access: string;
}

export interface Rlimit {
  /** Without RLIMIT_, lower case: "nofile". */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface PortRequest {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly guestPort: number;
  readonly hostAddress?: string;
  readonly hostPort?: number;
}

export type RestartPolicy =
  | { readonly name: 'no' | 'always' | 'unless-stopped' }
  | { readonly name: 'on-failure'; readonly most: number };

export interface LogRequest {
  readonly driver: 'json-file' | 'none';
  readonly maxBytes?: number;
  readonly maxFiles?: number;
  /** As asked, for inspect. */
  readonly options: Readonly<Record<string, string>>;
}

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** What was asked for. The image's own settings are merged in when it is created (config.ts). */
export interface ContainerConfig {
  /** As the user wrote it. */
  readonly image: string;
  readonly platform?: string;
  readonly hostname: string;
  readonly domainname: string;
  readonly user: string;
  readonly workingDirectory: string;
  readonly environment: readonly string[];
  /** undefined: the image's. Empty: none. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly terminal: boolean;
  readonly stdinOpen: boolean;
  readonly stdinOnce: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly terminalSize?: Size;
  readonly stopSignal?: string;
  readonly stopTimeoutSeconds?: number;
  readonly exposedPorts: readonly string[];
  /** Mount points of anonymous volumes. */
  readonly volumes: readonly string[];
  readonly healthcheck?: Healthcheck;
  readonly mounts: readonly MountRequest[];
  readonly volumesFrom: readonly string[];
  readonly resources: Limits;
  readonly devices: readonly DeviceRequest[];
  readonly deviceCgroupRules: readonly string[];
  readonly rlimits: readonly Rlimit[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly oomScoreAdjust?: number;
  readonly shmBytes: number;
  readonly privileged: boolean;
  readonly capabilitiesAdded: readonly string[];
  readonly capabilitiesDropped: readonly string[];
  /** As docker writes them: "no-new-privileges", "seccomp=…", "systempaths=unconfined", "apparmor=…", "label=…". */
  readonly securityOptions: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly additionalGroups: readonly string[];
  readonly init: boolean;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly namespaces: {
    readonly pid: NamespaceMode;
    readonly ipc: NamespaceMode | { readonly from: 'none' };
    readonly uts: NamespaceMode;
    readonly cgroup: NamespaceMode;
    /** Absent: as the daemon is configured. */
    readonly user?: UserMode;
    /** Absent: the host's. */
    readonly time?: TimeMode;
  };
  readonly network: NetworkMode;
  /** Asked MAC address, or empty. */
  readonly macAddress: string;
  readonly networkAliases: readonly string[];
  readonly dnsServers: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** "name:address". */
  readonly extraHosts: readonly string[];
  readonly ports: readonly PortRequest[];
  readonly publishAll: boolean;
  readonly log: LogRequest;
  readonly restart: RestartPolicy;
  readonly autoRemove: boolean;
  readonly cgroupParent: string;
  readonly runtime: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** How things stand. Each state carries just what that state has. Times are nanoseconds since 1970. */
export type ContainerState =
  /** Not whole yet: its volumes are being made. Undone when the daemon starts. */
  | { readonly is: 'creating' }
  | { readonly is: 'created' }
  | { readonly is: 'running' | 'paused'; readonly pid: number; readonly startedAt: bigint }
  | {
      readonly is: 'exited';
      readonly startedAt: bigint;
      readonly finishedAt: bigint;
      readonly code: number;
      readonly outOfMemory: boolean;
      /** Why it could not start, or empty. */
      readonly error: string;
    }
  | { readonly is: 'removing' };

/** A mount as it was decided at create. */
export interface MountPoint {
  readonly kind: 'bind' | 'volume' | 'tmpfs';
  readonly name?: string;
  readonly source: string;
  /** A path within the volume that alone is mounted. */
  readonly subpath?: string;
  readonly target: string;
  readonly driver?: string;
  readonly readOnly: boolean;
  /** Its files keep the host's owners where the container has a user namespace of its own. */
  readonly ownersKept?: boolean;
  readonly propagation: string;
}

/** A container as others see it: a snapshot, not live. */
export interface Container {
  readonly id: Id;
  /** Without the leading slash. */
  readonly name: string;
  readonly createdAt: bigint;
  readonly imageId: Digest;
  readonly config: ContainerConfig;
  /** The program and its arguments after merging with the image: argv. */
  readonly argv: readonly string[];
  /** How many of argv are the entrypoint's. */
  readonly entrypointLength: number;
  /** Environment, user, directory after merging. */
  readonly environment: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mountPoints: readonly MountPoint[];
  /** Which ids it has on the host; absent: the host's own. Chosen when it is created. */
  readonly idMapping?: IdMapping;
  readonly endpoints: readonly Endpoint[];
  readonly state: ContainerState;
  readonly restartCount: number;
  /** Ended by stop or kill, so no policy starts it again. */
  readonly stoppedByUser: boolean;
  readonly execIds: readonly string[];
  readonly logPath: string;
  readonly hostnamePath: string;
  readonly hostsPath: string;
  readonly resolvConfPath: string;
  readonly upperDirectory: string;
  readonly lowerDirectories: readonly string[];
  readonly workDirectory: string;
}

/** Whether it has a guest that lives. */
export function isUp(container: Container): container is Container & { state: { is: 'running' | 'paused' } } {
  return container.state.is === 'running' || container.state.is === 'paused';
}

export interface ExecConfig {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  readonly terminal: boolean;
  readonly privileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  /** As docker writes it: "ctrl-p,ctrl-q"; empty for the default. */
  readonly detachKeys: string;
}

export interface Exec {
  readonly id: Id;
  readonly containerId: Id;
  readonly config: ExecConfig;
  readonly state:
    | { readonly is: 'created' }
    | { readonly is: 'running'; readonly pid: number }
    | { readonly is: 'exited'; readonly code: number; readonly pid: number };
}

/** What a guest used so far, and its limits. */
export interface Usage extends GroupUsage {
  /** By interface name inside. */
  readonly networks: Readonly<Record<string, InterfaceUsage>>;
}
