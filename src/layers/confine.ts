// The program that shuts a child of the keeper into one directory, so that nothing it does can reach outside.
import { CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, PR_SET_NO_NEW_PRIVS } from '../kernel/constants.ts';
import { type Program, step } from '../kernel/steps.ts';

// linux/capability.h
const capabilities = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  FSETID: 4,
  SYS_ADMIN: 21,
  MKNOD: 27,
  SETFCAP: 31,
} as const;
const version3 = 0x20080522;

/** Steps after which `directory` is all of the file system that the child sees, and its capabilities are those of archive work. */
export function confine(directory: string): Program {
  const title = `"${directory}"`;
  return [
    step('unshare', [CLONE_NEWNS], `make a mount namespace for ${title}`, {
      why: 'the mounts below are nobody else’s',
    }),
    step('mount', [null, '/', null, MS_REC | MS_PRIVATE, null], 'make the mounts private', {
      why: 'nothing of this is passed on to the host',
    }),
    step('mount', [directory, directory, null, MS_BIND, null], `mount ${title} on itself`, {
      why: 'pivot_root wants a mount',
    }),
    step('chdir', [directory], `enter ${title}`),
    step('pivot_root', ['.', '.'], `make ${title} the root directory`),
    step('umount2', ['.', MNT_DETACH], 'let go of the host’s root directory', { why: 'no archive can reach it' }),
    step('chdir', ['/'], `enter the new root directory ${title}`),
    ...dropArchiveCapabilities(),
  ];
}

/** Steps after which the child keeps just the capabilities of archive work. */
export function dropArchiveCapabilities(): Program {
  return [
    step('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], 'give up new privileges'),
    step('capset', [capabilityHeader(), capabilitySet()], 'drop capabilities', {
      why: 'ownership, devices and extended attributes are all that an archive needs',
    }),
  ];
}

/** struct __user_cap_header_struct of the calling process. */
function capabilityHeader(): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(version3, 0);
  return bytes;
}

/** Two struct __user_cap_data_struct: effective, permitted, inheritable of the low and the high 32. */
function capabilitySet(): Uint8Array {
  const bytes = Buffer.alloc(24);
  const low = Object.values(capabilities).reduce<number>((mask, bit) => (mask | (1 << bit)) >>> 0, 0);
  bytes.writeUInt32LE(low, 0);
  bytes.writeUInt32LE(low, 4);
  return bytes;
}
