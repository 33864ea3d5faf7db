// What remains of a guest's first process to be confined, one step each: no new privileges, its own session keyring, its
// AppArmor profile.
import { AT_FDCWD, errno, O_WRONLY, PR_SET_NO_NEW_PRIVS } from '../kernel/constants.ts';
import { orElse, type Program, step } from '../kernel/steps.ts';

const KEYCTL_JOIN_SESSION_KEYRING = 1;

export function noNewPrivilegesSteps(): Program {
  return [
    step('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], 'give up new privileges', {
      why: 'set-user-id programs and file capabilities have no effect',
    }),
  ];
}

/** Joins the session keyring of that name, made if there is none, so that the host's is not in reach (keyrings(7)). */
export function keyringSteps(id: string): Program {
  return [
    step('keyctl', [KEYCTL_JOIN_SESSION_KEYRING, `_ses.${id}`, 0, 0, 0], 'join a session keyring', {
      tolerate: [errno.ENOSYS],
      why: "the host's keys stay out of reach",
    }),
  ];
}

/** From the next execve on, the process has the given AppArmor profile. While the host's /proc is still in sight. */
export function appArmorSteps(profile: string): Program {
  const write = (path: string) =>
    step(
      'write_file',
      [AT_FDCWD, path, Buffer.from(`exec ${profile}`), O_WRONLY],
      `apply AppArmor profile "${profile}"`,
    );
  return orElse({ ...write('/proc/self/attr/apparmor/exec'), tolerate: [errno.ENOENT] }, [
    write('/proc/self/attr/exec'),
  ]);
}
