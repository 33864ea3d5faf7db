// What one run of a container needs of the kernel, every name resolved and every default filled in: the input of program.ts.
// It comes from holm's own configuration (default-spec.ts) or from an OCI bundle (oci.ts).
import type { Program } from '../kernel/steps.ts';
import type { Mount } from '../mounts/mount.ts';
import type { Overlay } from '../mounts/overlay.ts';
import type { IdMapping } from '../namespaces/id-maps.ts';
import type { Namespaces } from '../namespaces/namespaces.ts';
import type { TimeOffsets } from '../namespaces/time.ts';
import type { CapabilitySets } from '../security/capabilities.ts';
import type { SeccompFilter } from '../security/seccomp.ts';
import type { Rlimit, Size } from './container.ts';

export interface GuestProcess {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly umask?: number;
  readonly terminal?: Size;
  readonly rlimits: readonly Rlimit[];
  readonly oomScoreAdjust?: number;
  readonly noNewPrivileges: boolean;
  readonly capabilities: CapabilitySets;
  /** What the engine itself may give: its bounding set. */
  readonly availableCapabilities: bigint;
  readonly seccomp: SeccompFilter | undefined;
  readonly appArmorProfile?: string;
}

export interface DeviceNode {
  readonly path: string;
  readonly type: 'char' | 'block' | 'fifo';
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Where the host has it, for a guest that may make none. */
  readonly source?: string;
}

/** A user namespace other than the host's, and where the guard lays out what the guest's first process finds ready in it. */
export interface OwnUsers {
  readonly mapping: IdMapping;
  /** A directory of the host: over it come, in the guest's mounts only, "root" and the sources of its binds. */
  readonly staging: string;
  /** Directories of the layers, whose owners are mapped. */
  readonly layerDirectories: readonly string[];
}

export interface GuestSpec {
  readonly id: string;
  /** The root file system: an overlay of layers, or a directory of the host. */
  readonly root: { readonly overlay: Overlay } | { readonly directory: string };
  readonly readOnlyRoot: boolean;
  readonly rootPropagation: 'slave' | 'private';
  /** In the order of mounting. */
  readonly mounts: readonly Mount[];
  readonly devices: readonly DeviceNode[];
  /** Symbolic links in /dev: name and what it points to. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly namespaces: Namespaces;
  /** With a new user namespace, or one that it shares with another guest. */
  readonly ownUsers?: OwnUsers;
  /** With a new time namespace. */
  readonly timeOffsets?: TimeOffsets;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly sysctls: Readonly<Record<string, string>>;
  /** The steps that make the guest's cgroups with their limits, and those by which the stage joins what the clone could not. */
  readonly cgroup: { readonly create: Program; readonly join: Program };
  readonly process: GuestProcess;
  /** The guard's part of joining networks, and the stage's (inside the network namespace). */
  readonly network: { readonly after: Program; readonly stage: Program };
}
