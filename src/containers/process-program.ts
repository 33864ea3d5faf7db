// The last part of every start and exec: from a privileged stage to the process that was asked for. The order is runc's:
// session, directory, then (with no-new-privileges) capabilities before seccomp, otherwise seccomp first, as it needs a privilege.
import { AT_EMPTY_PATH, errno } from '../kernel/constants.ts';
import { type Program, type Register, type Registers, remember, step } from '../kernel/steps.ts';
import { closeStep } from '../mounts/mount.ts';
import { capabilitySteps } from '../security/capabilities.ts';
import { appArmorSteps, keyringSteps, noNewPrivilegesSteps } from '../security/process.ts';
import { oomScoreSteps, rlimitSteps } from '../security/rlimits.ts';
import { seccompSteps } from '../security/seccomp.ts';
import { executablePaths } from './config.ts';
import type { Size } from './container.ts';
import type { GuestProcess } from './guest-spec.ts';

const closeRangeCloexec = 4;

/** What is written through the host's own procfs, so before the root changes (CVE-2025-52881). */
export function prepareProcess(process: GuestProcess): Program {
  return [
    ...(process.oomScoreAdjust === undefined
      ? []
      : oomScoreSteps(process.oomScoreAdjust, process.oomScoreAdjust !== 0)),
    ...(process.appArmorProfile === undefined ? [] : appArmorSteps(process.appArmorProfile)),
  ];
}

export interface BecomeOptions {
  /** Of a new container: where a missing working directory is made. */
  readonly root?: Register;
  readonly registers: Registers;
  readonly sessionName: string;
  /** Whether standard input is the guard's pipe, and not /dev/null. */
  readonly stdin: boolean;
  /** Whether a child goes on that is born into the pid namespace that was joined. */
  readonly handsOver: boolean;
}

/** Becomes the process. */
export function becomeProcess(process: GuestProcess, options: BecomeOptions): Program {
  return [
    ...rlimitSteps(process.rlimits, true),
    ...(process.terminal === undefined ? [step('setsid', [], 'begin a session')] : []),
    ...keyringSteps(options.sessionName),
    ...(process.uid === 0 ? [] : giveStreams(process, options.stdin, process.uid, -1)),
    ...enterDirectory(process.workingDirectory, options.root, options.registers),
    ...giveUpPrivileges(process, options.handsOver),
    step(
      'exec',
      [executablePaths(process.argv[0]!, process.environment), process.argv, process.environment],
      `execute "${process.argv[0]}"`,
    ),
  ];
}

const unfiltered = {};

/**
 * A guest with CAP_SYS_PTRACE can trace what is born into its pid namespace, so that comes last. Where the seccomp filter
 * forbids it, the filter must follow, and without no-new-privileges that takes the privileges along.
 */
function giveUpPrivileges(process: GuestProcess, handsOver: boolean): Program {
  const { noNewPrivileges, uid, gid, groups, umask, capabilities, availableCapabilities: available } = process;
  const sets = Object.values(capabilities);
  const key = [noNewPrivileges, uid, gid, groups, umask, ...sets, available, handsOver].join(' ');
  return remember(process.seccomp ?? unfiltered, key, () => {
    const handOver = step('hand_over', [], 'go on within the pid namespace', {
      why: 'a child is born into it, with nothing of the host that the processes there could look into',
    });
    const isLast = process.seccomp?.allowsHandOver !== false;
    const seccomp = [...(handsOver && !isLast ? [handOver] : []), ...seccompSteps(process.seccomp)];
    const { before, after } = capabilitySteps(capabilities, uid, available);
    return [
      ...(noNewPrivileges ? noNewPrivilegesSteps() : seccomp),
      ...before,
      step('setgroups', [groups.length, encodeIds(groups)], 'set the supplementary groups'),
      step('setresgid', [gid, gid, gid], `become group ${gid}`),
      step('setresuid', [uid, uid, uid], `become user ${uid}`),
      ...after,
      ...(noNewPrivileges ? seccomp : []),
      step('umask', [umask ?? 0o022], 'set the umask'),
      step('close_range', [3, 0xffffffff, closeRangeCloexec], 'close all other descriptors at execve', {
        why: 'nothing of the engine leaks into the guest (CVE-2024-21626)',
      }),
      ...(handsOver && isLast ? [handOver] : []),
    ];
  });
}

/**
 * Another user must be able to open /dev/stdin and /dev/stdout: the pipes or the terminal become its own. Without `stdin` 0 is
 * the host's /dev/null.
 */
export function giveStreams({ terminal }: GuestProcess, stdin: boolean, uid: number, gid: number): Program {
  const pipes = stdin ? [0, 1, 2] : [1, 2];
  return (terminal === undefined ? pipes : [0]).map((fd) =>
    step('fchownat', [fd, '', uid, gid, AT_EMPTY_PATH], 'give a standard stream its owner', { tolerate: 'any' }),
  );
}

function enterDirectory(path: string, root: Register | undefined, registers: Registers): Program {
  const made = registers.acquire();
  registers.release(made);
  return [
    ...(root === undefined
      ? []
      : [
          step('make_path', [root, path, 0o755, 0], `make the working directory "${path}"`, {
            result: made,
            tolerate: [errno.EEXIST, errno.EROFS, errno.EACCES],
            skipOnFailure: 1,
          }),
          closeStep(made),
        ]),
    step('chdir', [path], `enter the working directory "${path}"`),
    step('check_cwd', [], `enter the working directory "${path}"`, {
      why: 'it must lie within the root (CVE-2024-21626)',
    }),
  ];
}

function encodeIds(ids: readonly number[]): Uint8Array | null {
  return ids.length === 0 ? null : new Uint8Array(Uint32Array.from(ids).buffer);
}

/** A terminal of the devpts that the process sees, as its standard streams. */
export function openTerminal(size: Size | undefined, peer: Register): Program {
  if (size === undefined) return [];
  return [step('open_terminal', ['/dev/pts/ptmx', size.rows, size.columns], 'open a terminal', { result: peer })];
}
