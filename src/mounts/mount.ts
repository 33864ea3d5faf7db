// Mounts inside a guest's root, as steps. The rule that keeps symbolic links harmless (CVE-2021-30465): a target is first
// resolved beneath the root to a descriptor (make_path), and what is mounted goes onto that descriptor, never onto a path.
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  CLONE_NEWNS,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  O_CLOEXEC,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../kernel/constants.ts';
import { type Program, type Register, type Registers, type Step, step, type Text } from '../kernel/steps.ts';
import { openHow, openRoot } from './overlay.ts';

const directory = 0;
const file = 1;

/** A new file system of the given type on `target` beneath the root. */
export interface FilesystemMount {
  readonly kind: 'filesystem';
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** MS_ flags. */
  readonly flags: number;
  /** The file system's own options. */
  readonly data?: string;
  /** Permission bits of the target if it must be made. */
  readonly mode?: number;
  /** A mount that a user asked for: it must not cover a part of /proc, not even through a link. */
  readonly isAsked?: boolean;
  readonly why: string;
}

/** A tree of the host on `target` beneath the root. */
export interface BindMount {
  readonly kind: 'bind';
  readonly source: string;
  /** A path within the source that alone is mounted. */
  readonly subpath?: string;
  readonly target: string;
  readonly isFile: boolean;
  readonly recursive: boolean;
  readonly readOnly: boolean;
  /** A mount that a user asked for: it must not cover a part of /proc, not even through a link. */
  readonly isAsked?: boolean;
  readonly propagation: BindPropagation;
  /** Its files keep the owners of the host, also for a guest with a user namespace of its own. */
  readonly ownersKept?: boolean;
  readonly why: string;
}

/** What another process has mounted on a path, on `target` beneath the root. */
export interface PeerMount {
  readonly kind: 'peer';
  readonly pid: number;
  readonly source: string;
  readonly target: string;
  readonly why: string;
}
/** What putting a tree on its target needs to know. */
type PlacedField = 'kind' | 'target' | 'isFile' | 'recursive' | 'readOnly' | 'isAsked' | 'propagation' | 'why';
export type BindPropagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';
export type Mount = FilesystemMount | BindMount | PeerMount;

const propagationFlags: Record<BindPropagation, number> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE,
  shared: MS_SHARED,
  rshared: MS_SHARED,
  slave: MS_SLAVE,
  rslave: MS_SLAVE,
};

/** The path of a descriptor, for calls that take only paths. */
export function pathOf(fd: Register, suffix = ''): Text {
  return { prefix: '/proc/self/fd/', register: fd, suffix };
}

/** Mounts a new file system on a target beneath `root`. */
export function mountFilesystem(root: Register, mount: FilesystemMount, registers: Registers): Program {
  const target = registers.acquire();
  registers.release(target);
  return [
    makeTarget(root, mount.target, directory, mount.mode ?? 0o755, target),
    ...spareProc(mount, target),
    step(
      'mount',
      [mount.source, pathOf(target), mount.type, mount.flags, mount.data ?? null],
      `mount "${mount.target}"`,
      {
        why: mount.why,
      },
    ),
    closeStep(target),
  ];
}

/** Takes the source of a bind mount off the host, before the host's mounts become slaves, so that propagation can be kept. */
export function openBindSource(mount: BindMount, source: Register, registers: Registers): Program {
  const recursive = mount.recursive ? AT_RECURSIVE : 0;
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive;
  const options = { result: source, why: mount.why };
  if (mount.subpath === undefined) {
    return [step('open_tree', [AT_FDCWD, mount.source, flags], `bind "${mount.source}"`, options)];
  }
  // What lies in a volume was written by guests: no link in it may lead to the host's files.
  const [base, part] = [registers.acquire(), registers.acquire()];
  registers.release(base);
  registers.release(part);
  const how = openHow(O_PATH | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  return [
    openRoot(mount.source, base),
    step('openat2', [base, mount.subpath, how, how.length], `open "${mount.subpath}" of "${mount.source}"`, {
      result: part,
    }),
    step('open_tree', [part, '', flags | AT_EMPTY_PATH], `bind "${mount.subpath}" of "${mount.source}"`, options),
    closeStep(part),
    closeStep(base),
  ];
}

/** Takes a mount out of the mount namespace of the process behind `pidfd`; on return the root and directory are this one's. */
export function openPeerSource(mount: PeerMount, pidfd: Register, source: Register, registers: Registers): Program {
  const [own, found] = [registers.acquire(), registers.acquire()];
  registers.release(own);
  registers.release(found);
  const [ownHow, how] = [openHow(O_CLOEXEC), openHow(O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)];
  return [
    step('openat2', [AT_FDCWD, '/proc/self/ns/mnt', ownHow, ownHow.length], 'open the mount namespace', {
      result: own,
    }),
    step('setns', [pidfd, CLONE_NEWNS], `join the mount namespace of process ${mount.pid}`, { why: mount.why }),
    step('openat2', [AT_FDCWD, mount.source, how, how.length], `open its "${mount.source}"`, { result: found }),
    step('open_tree', [found, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], `bind its "${mount.source}"`, {
      result: source,
    }),
    step('setns', [own, CLONE_NEWNS], 'return to the mount namespace'),
    closeStep(found),
    closeStep(own),
  ];
}

/** A bind mount's source as the guard has laid it out for the guest. */
export function openLaidOut(staging: Register, name: string, what: string, source: Register): Step {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  return step('open_tree', [staging, name, flags], `bind "${what}"`, { result: source });
}

/** Puts a bind mount's source, opened before, on its target beneath `root`. */
export function placeBind(
  root: Register,
  mount: Pick<BindMount, PlacedField>,
  source: Register,
  registers: Registers,
): Program {
  const target = registers.acquire();
  registers.release(target);
  return [
    makeTarget(root, mount.target, mount.isFile ? file : directory, 0o755, target),
    ...spareProc(mount, target),
    ...setAttributes(mount, source),
    step(
      'move_mount',
      [source, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      `mount "${mount.target}"`,
      { why: mount.why },
    ),
    closeStep(target),
    closeStep(source),
  ];
}

/** struct mount_attr (linux/mount.h): attr_set, attr_clr, propagation, userns_fd. */
export function mountAttributes(set: number, propagation: number): Uint8Array {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(BigInt(set), 0);
  bytes.writeBigUInt64LE(BigInt(propagation), 16);
  return bytes;
}

function setAttributes(mount: Pick<BindMount, PlacedField>, source: Register): Step[] {
  const recursively = AT_EMPTY_PATH | (mount.recursive ? AT_RECURSIVE : 0);
  const propagation = propagationFlags[mount.propagation];
  const attributes = mountAttributes(mount.readOnly ? MOUNT_ATTR_RDONLY : 0, propagation);
  return [
    step(
      'mount_setattr',
      [source, '', recursively, attributes, attributes.length],
      `set the options of "${mount.target}"`,
      {
        why: `${mount.readOnly ? 'read-only, ' : ''}propagation ${mount.propagation}`,
      },
    ),
  ];
}

/** What is written to /proc for the guest must reach the kernel, and what is masked there must stay so (CVE-2025-52881). */
function spareProc(mount: { target: string; isAsked?: boolean }, target: Register): Step[] {
  return mount.isAsked === true ? [refuseProc(mount.target, target)] : [];
}

/** Fails if a target, opened before, lies inside /proc. */
export function refuseProc(path: string, target: Register): Step {
  return step('refuse_filesystem', [target, PROC_SUPER_MAGIC], `mount "${path}": it is inside /proc`, {
    why: 'a mount there would cover what the engine relies on',
  });
}

function makeTarget(root: Register, path: string, kind: number, mode: number, target: Register): Step {
  return step('make_path', [root, path, mode, kind], `make the mount point "${path}"`, { result: target });
}

export function closeStep(fd: Register): Step {
  return step('close', [fd], 'close a descriptor');
}

/** Makes the whole mount tree of this namespace a slave of the host's (or private): nothing mounted inside gets out. */
export function isolateMounts(propagation: 'slave' | 'private'): Step {
  return step(
    'mount',
    [null, '/', null, MS_REC | (propagation === 'slave' ? MS_SLAVE : MS_PRIVATE), null],
    'cut the mounts off from the host',
    { why: 'what is mounted for the guest must not appear on the host' },
  );
}
