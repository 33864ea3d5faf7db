// Paths of /proc and /sys that a guest must not read (masked) or write (read-only), as steps. The rule that keeps symbolic
// links harmless (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881): a path is resolved once, beneath the root, without any
// link, to a descriptor; mounts go from descriptor to descriptor. What does not exist is passed over.
import { readdirSync, statSync } from 'node:fs';
import { HolmError } from '../base/error.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  errno,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../kernel/constants.ts';
import { onlyIf, type Program, type Register, type Registers, type Step, step } from '../kernel/steps.ts';

/** Docker's default masked paths (moby daemon/pkg/oci/defaults.go), with the thermal files of every CPU of this host. */
export function defaultMaskedPaths(cpuDirectory = '/sys/devices/system/cpu'): string[] {
  return [
    '/proc/asound',
    '/proc/acpi',
    '/proc/interrupts',
    '/proc/kcore',
    '/proc/keys',
    '/proc/latency_stats',
    '/proc/timer_list',
    '/proc/timer_stats',
    '/proc/sched_debug',
    '/proc/scsi',
    '/sys/firmware',
    '/sys/devices/virtual/powercap',
    ...thermalPaths(cpuDirectory),
  ];
}

/** Docker's default read-only paths. */
export const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

function thermalPaths(directory: string): string[] {
  const cpus = readdirSync(directory).filter((name) => /^cpu\d+$/.test(name));
  return cpus
    .map((name) => `${directory}/${name}/thermal_throttle`)
    .filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
}

/** Throws unless /dev/null of this mount namespace is what it should be; holmd asks once, before it masks with it. */
export function checkNullDevice(path = '/dev/null'): void {
  const { mode, rdev } = statSync(path);
  // S_IFCHR, and makedev(1, 3).
  if ((mode & 0o170000) !== 0o020000 || rdev !== 0x103) {
    throw new HolmError('unsupported', `Cannot mask paths with "${path}": it is not the character device 1:3`);
  }
}

/**
 * Masks and write-protects paths beneath `root`, a descriptor of the guest's root directory with /proc and /sys mounted. To
 * be carried out in the guest's mount namespace while the host's /dev/null is still to be seen: before the old root goes.
 */
export function maskSteps(
  root: Register,
  masked: readonly string[],
  readonly: readonly string[],
  registers: Registers,
): Program {
  const [target, mount, context, nothing] = [0, 0, 0, 0].map(() => registers.acquire()) as [
    Register,
    Register,
    Register,
    Register,
  ];
  const program = readonly.flatMap((path) => writeProtect(root, path, target, mount));
  if (masked.length > 0) {
    program.push(
      step(
        'openat2',
        [AT_FDCWD, '/dev/null', how(O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS), howBytes],
        'open "/dev/null"',
        {
          result: nothing,
          why: 'lies over the masked files',
        },
      ),
      ...masked.flatMap((path) => mask(root, path, target, mount, context, nothing)),
      close(nothing),
    );
  }
  for (const register of [nothing, context, mount, target]) registers.release(register);
  return program;
}

/** A directory gets an empty read-only tmpfs, anything else /dev/null; ENOTDIR tells them apart. */
function mask(
  root: Register,
  path: string,
  target: Register,
  mount: Register,
  context: Register,
  nothing: Register,
): Program {
  const overDirectory = [
    step('fsopen', ['tmpfs', FSOPEN_CLOEXEC], `mask "${path}"`, { result: context }),
    step('fsconfig', [context, FSCONFIG_SET_FLAG, 'ro', null, 0], `mask "${path}"`),
    step('fsconfig', [context, FSCONFIG_CMD_CREATE, null, null, 0], `mask "${path}"`),
    step('fsmount', [context, FSMOUNT_CLOEXEC, emptyAttributes], `mask "${path}"`, { result: mount }),
    ...place(mount, target, `mask "${path}"`),
  ];
  const overFile = [
    step('open_tree', [nothing, '', AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], `mask "${path}"`, {
      result: mount,
    }),
    ...place(mount, target, `mask "${path}"`),
  ];
  const otherwise = onlyIf(openBeneath(root, path, 'any', target), overFile);
  return [
    ...onlyIf(openBeneath(root, path, 'directory', target), [
      ...overDirectory,
      { ...close(context), skipOnSuccess: otherwise.length },
    ]),
    ...otherwise,
  ];
}

/** A clone of what is mounted there, made read-only before it is seen, goes over it. */
function writeProtect(root: Register, path: string, target: Register, mount: Register): Program {
  const what = `make "${path}" read-only`;
  const recursive = AT_EMPTY_PATH | AT_RECURSIVE;
  return onlyIf(openBeneath(root, path, 'any', target), [
    step('open_tree', [target, '', recursive | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], what, { result: mount }),
    step('mount_setattr', [mount, '', recursive, readOnlyAttributes, readOnlyAttributes.length], what),
    ...place(mount, target, what),
  ]);
}

function openBeneath(root: Register, path: string, kind: 'directory' | 'any', target: Register): Step {
  return step(
    'openat2',
    [root, path, kind === 'directory' ? asDirectory : asAnything, howBytes],
    `open "${path}" beneath the root`,
    { result: target, tolerate: [errno.ENOENT, errno.ENOTDIR], why: 'no link is followed on the way' },
  );
}

/** Puts a detached mount on a target, and closes both. */
function place(mount: Register, target: Register, what: string): Program {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return [step('move_mount', [mount, '', target, '', flags], what), close(mount), close(target)];
}

function close(fd: Register): Step {
  return step('close', [fd], 'close a descriptor');
}

/** struct open_how: flags, mode, resolve. */
const howBytes = 24;
function how(flags: number, resolve: number): Uint8Array {
  const bytes = Buffer.alloc(howBytes);
  bytes.writeBigUInt64LE(BigInt(flags), 0);
  bytes.writeBigUInt64LE(BigInt(resolve), 16);
  return bytes;
}

const withoutLinks = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
const asAnything = how(O_PATH | O_CLOEXEC, withoutLinks);
const asDirectory = how(O_PATH | O_DIRECTORY | O_CLOEXEC, withoutLinks);

const emptyAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
const readOnlyAttributes: Uint8Array = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? MOUNT_ATTR_RDONLY : 0));
