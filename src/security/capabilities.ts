// Capabilities (capabilities(7)): their numbers, what docker gives by default, what a user adds and drops, and the steps
// that leave a guest with exactly that. Sets are bit sets by number. The order of the steps matters, see capabilitySteps.
import { readFileSync } from 'node:fs';
import { HolmError } from '../base/error.ts';
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_KEEPCAPS,
} from '../kernel/constants.ts';
import { type Program, step } from '../kernel/steps.ts';

/** linux/capability.h: a capability's number is its place. */
export const capabilityNames: readonly string[] = `
  CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
  NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
  SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
  MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
  .trim()
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

const numbers = new Map(capabilityNames.map((name, number) => [name, number]));

/** What docker gives a container that asks for nothing (moby daemon/pkg/oci/caps/defaults.go). */
export const defaultCapabilities: bigint = capabilitySet([
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]);

/** The five sets of a process, by capability number. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** The bit set of the given names, in any spelling that docker takes; throws `invalid` on an unknown one. */
export function capabilitySet(names: readonly string[]): bigint {
  let set = 0n;
  for (const name of names) set |= 1n << BigInt(capabilityNumber(name));
  return set;
}

/** The names in a set, "CAP_CHOWN" first. */
export function namesOf(set: bigint): string[] {
  return capabilityNames.filter((_, number) => has(set, number));
}

/** The number of a capability by its name: any case, CAP_ may be left out. */
function capabilityNumber(name: string): number {
  const full = normalize(name);
  const number = numbers.get(full);
  if (number === undefined) throw new HolmError('invalid', `unknown capability: "${full}"`);
  return number;
}

/** The capabilities that this process may give: its bounding set, which root can lack bits of (proc(5), CapBnd). */
export function readHostCapabilities(status: string = readFileSync('/proc/self/status', 'utf8')): bigint {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status);
  if (match === null) throw new HolmError('internal', 'Cannot read the capabilities of this process: no CapBnd line');
  return BigInt(`0x${match[1]}`);
}

/** All capabilities of this kernel: what the first process of a user namespace has there (capabilities(7), cap_last_cap). */
export function readEveryCapability(last: string = readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')): bigint {
  return (1n << (BigInt(last.trim()) + 1n)) - 1n;
}

export interface CapabilityRequest {
  /** As the user wrote them; "ALL" is all. */
  readonly added: readonly string[];
  readonly dropped: readonly string[];
  readonly privileged: boolean;
  /** readHostCapabilities(). */
  readonly available: bigint;
}

/**
 * The capabilities of a container, as docker counts them: all that the host has if privileged; all but the dropped with
 * "add ALL"; only the added with "drop ALL"; else the defaults, without the dropped, with the added. Throws `invalid` on an
 * unknown name, and on one added by name that the host cannot give; defaults it cannot give are left out.
 */
export function effectiveCapabilities(request: CapabilityRequest): bigint {
  const { available } = request;
  if (request.privileged) return available;
  const added = parseNames(request.added);
  const dropped = parseNames(request.dropped);
  const missing = namesOf(added.set & ~available & ~(added.all ? dropped.set : 0n))[0];
  if (missing !== undefined) {
    throw new HolmError(
      'invalid',
      `capability not supported by your kernel or not available in the current environment: "${missing}"`,
    );
  }
  if (added.all) return available & ~dropped.set;
  if (dropped.all) return added.set;
  return ((defaultCapabilities & ~dropped.set) | added.set) & available;
}

/** The five sets for a container's process: only root gets effective ones; nothing is inheritable (CVE-2022-24769). */
export function processCapabilities(capabilities: bigint, uid: number): CapabilitySets {
  const held = uid === 0 ? capabilities : 0n;
  return { bounding: capabilities, effective: held, permitted: held, inheritable: 0n, ambient: 0n };
}

/** The steps around a change of user, in their order. */
export interface CapabilitySteps {
  /** While still root, before setresuid. */
  readonly before: Program;
  /** After setgroups, setresgid and setresuid. */
  readonly after: Program;
}

/**
 * The steps that leave a process with the given sets. The bounding set is cut first, as that needs CAP_SETPCAP; setresuid
 * takes permitted and effective away from anyone but root, unless KEEPCAPS is set; capset and the ambient set come last.
 */
export function capabilitySteps(sets: CapabilitySets, uid: number, available: bigint): CapabilitySteps {
  const keep = uid !== 0 && (sets.permitted | sets.effective | sets.inheritable) !== 0n;
  const dropped = capabilityNames.flatMap((name, number) =>
    has(available, number) && !has(sets.bounding, number) ? [{ name, number }] : [],
  );
  const before = dropped.map(({ name, number }) =>
    step('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], `drop ${name}`, { why: 'nothing the guest runs may regain it' }),
  );
  if (keep) {
    before.push(
      step('prctl', [PR_SET_KEEPCAPS, 1, 0, 0, 0], 'keep capabilities', {
        why: 'the change of user would take away what was asked for',
      }),
    );
  }
  const after = [
    step('capset', [capsetHeader(), capsetData(sets)], 'set capabilities', {
      why: sets.permitted === 0n ? 'none' : namesOf(sets.permitted).join(' '),
    }),
    step('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], 'clear ambient capabilities'),
    ...capabilityNames.flatMap((name, number) =>
      has(sets.ambient, number)
        ? [step('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], `raise ${name} as ambient`)]
        : [],
    ),
  ];
  return { before, after };
}

/** struct __user_cap_header_struct, _LINUX_CAPABILITY_VERSION_3, the calling process. */
function capsetHeader(): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(0x20080522, 0);
  return bytes;
}

/** Two struct __user_cap_data_struct: effective, permitted, inheritable; the low 32 bits first. */
function capsetData(sets: CapabilitySets): Uint8Array {
  const bytes = Buffer.alloc(24);
  [sets.effective, sets.permitted, sets.inheritable].forEach((set, at) => {
    bytes.writeUInt32LE(Number(set & 0xffffffffn), at * 4);
    bytes.writeUInt32LE(Number((set >> 32n) & 0xffffffffn), 12 + at * 4);
  });
  return bytes;
}

function parseNames(names: readonly string[]): { all: boolean; set: bigint } {
  const single = names.filter((name) => normalize(name) !== 'CAP_ALL');
  return { all: single.length < names.length, set: capabilitySet(single) };
}

function normalize(name: string): string {
  const upper = name.trim().toUpperCase();
  return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}

function has(set: bigint, number: number): boolean {
  return ((set >> BigInt(number)) & 1n) === 1n;
}
