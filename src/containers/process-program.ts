// The last part of every start and exec: from a privileged stage to the process that was asked for. The order is runc's:
// session, directory, then (with no-new-privileges) capabilities before seccomp, otherwise seccomp first, as it needs a privilege.
import { AT_EMPTY_PATH, errno, PR_SET_DUMPABLE } from '../kernel/constants.ts';
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
    step('prctl', [PR_SET_DUMPABLE, 0, 0, 0, 0], 'be hidden from other processes of the guest', {
      why: 'until its own program runs, nobody inside may trace it (CVE-2016-9962)',
    }),
    ...(process.oomScoreAdjust === undefined ? [] : oomScoreSteps(process.oomScoreAdjust, true)),
    ...(process.appArmorProfile === undefined ? [] : appArmorSteps(process.appArmorProfile)),
  ];
}

/** Becomes the process. `root` (of a new container) is where a missing working directory is made. */
export function becomeProcess(
  process: GuestProcess,
  options: { root?: Register; registers: Registers; sessionName: string },
): Program {
  return [
    ...rlimitSteps(process.rlimits, true),
    ...(process.terminal === undefined ? [step('setsid', [], 'begin a session')] : []),
    ...keyringSteps(options.sessionName),
    ...giveStdio(process),
    ...enterDirectory(process.workingDirectory, options.root, options.registers),
    ...giveUpPrivileges(process),
    step(
      'exec',
      [executablePaths(process.argv[0]!, process.environment), process.argv, process.environment],
      `execute "${process.argv[0]}"`,
    ),
  ];
}

const unfiltered = {};

function giveUpPrivileges(process: GuestProcess): Program {
  const { noNewPrivileges, uid, gid, groups, umask, capabilities, availableCapabilities: available } = process;
  const sets = Object.values(capabilities);
  const key = [noNewPrivileges, uid, gid, groups, umask, ...sets, available].join(' ');
  return remember(process.seccomp ?? unfiltered, key, () => {
    const seccomp = seccompSteps(process.seccomp);
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
    ];
  });
}

/** Another user must be able to open /dev/stdout: the pipes or the terminal become its own. 0 may be the host's /dev/null. */
function giveStdio(process: GuestProcess): Program {
  if (process.uid === 0) return [];
  const descriptors = process.terminal === undefined ? [1, 2] : [0];
  return descriptors.map((fd) =>
    step('fchownat', [fd, '', process.uid, -1, AT_EMPTY_PATH], 'give standard output its owner', { tolerate: 'any' }),
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
