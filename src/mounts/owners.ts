// Mounts that show files with other owners than the disk has (idmapped mounts, mount_setattr(2)): what user 0 owns on the disk
// is the guest's root's inside, and what that makes is user 0's on the disk. Only a mount that is not attached yet can be mapped,
// and only the file system's own root may do it.
import { AT_EMPTY_PATH, AT_RECURSIVE, errno, MOUNT_ATTR_IDMAP } from '../kernel/constants.ts';
import { orElse, type Patched, type Program, type Register, type Step, step } from '../kernel/steps.ts';

/** struct mount_attr (linux/mount.h): attr_set, attr_clr, propagation, userns_fd. */
function mapAttributes(users: Register): Patched {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(BigInt(MOUNT_ATTR_IDMAP), 0);
  return { bytes, patches: [{ offset: 24, register: users }] };
}

/**
 * Maps the owners of a detached tree by the maps of a user namespace. Of a recursive tree with a mount that cannot be
 * mapped (procfs, an older network file system) only the outermost is: what lies below belongs to nobody inside.
 */
export function mapOwners(tree: Register, users: Register, path: string, recursive: boolean): Program {
  const map = (flags: number): Step => {
    const attributes = mapAttributes(users);
    return step(
      'mount_setattr',
      [tree, '', flags, attributes, attributes.bytes.length],
      `map the owners of "${path}"`,
      {
        why: 'its files keep their owners on the disk; user 0 is root inside',
      },
    );
  };
  if (!recursive) return [map(AT_EMPTY_PATH)];
  return orElse({ ...map(AT_EMPTY_PATH | AT_RECURSIVE), tolerate: [errno.EINVAL] }, [map(AT_EMPTY_PATH)]);
}
