// The guard's part of a guest with a user namespace other than the host's: all that only the host's root may do. It writes the
// maps, mounts the root with mapped owners inside the guest's mount namespace (files keep their owners on the disk), lays
// out the sources of binds there, and sets what a process in a user namespace may not set itself. The guest's first process waits.
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWNS,
  errno,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  PR_SET_SECUREBITS,
  SECBIT_NO_SETUID_FIXUP,
} from '../kernel/constants.ts';
import {
  guestPid,
  guestPidfd,
  guestStreams,
  type Program,
  type Register,
  Registers,
  type Step,
  step,
} from '../kernel/steps.ts';
import { type BindMount, closeStep, type Mount, openBindSource } from '../mounts/mount.ts';
import { mountOverlay, type Overlay, openHow, openRoot } from '../mounts/overlay.ts';
import { mapOwners } from '../mounts/owners.ts';
import { type IdMapping, outsideOf } from '../namespaces/id-maps.ts';
import { openUserNamespace, writeMaps } from '../namespaces/user.ts';
import { oomScoreSteps, rlimitSteps } from '../security/rlimits.ts';
import type { GuestProcess, OwnUsers } from './guest-spec.ts';
import { giveStreams } from './process-program.ts';

/** The name of the root beneath the staging directory; the sources of binds are called by their place among them. */
export const rootName = 'root';

const attach = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

/** The binds of a guest in the order in which they are laid out. */
export function bindsOf(mounts: readonly Mount[]): BindMount[] {
  return mounts.filter((mount) => mount.kind === 'bind');
}

/** Steps for the guard: maps the ids of a new user namespace, mounts the root, lays out the binds. */
export function layOut(users: OwnUsers, overlay: Overlay, mounts: readonly Mount[], isNew: boolean): Program {
  const registers = new Registers();
  const [namespace, home, directory] = [registers.acquire(), registers.acquire(), registers.acquire()];
  const binds = bindsOf(mounts);
  const withTree = (bind: BindMount) => ({ bind, tree: registers.acquire() });
  const layers = users.layerDirectories.map(layerBind).map(withTree);
  // Without the mounts below it a tree can only be taken on the host: in a guest's copy of the mounts they hold together.
  const single = binds.filter((bind) => !bind.recursive && bind.subpath === undefined).map(withTree);
  const takeEarly = [...layers, ...single].flatMap(({ bind, tree }) => takeTree(bind, namespace, tree, registers));
  const target = registers.acquire();
  return [
    ...(isNew ? writeMaps(users.mapping) : []),
    openUserNamespace(namespace),
    open('/proc/self/ns/mnt', O_RDONLY, home),
    open('.', O_PATH | O_DIRECTORY, directory),
    ...takeEarly,
    step('setns', [guestPidfd, CLONE_NEWNS], 'enter the guest’s mount namespace', {
      why: 'what is mounted for the guest must not appear on the host',
    }),
    ...layOutBinds(users.staging, binds, new Map(single.map(({ bind, tree }) => [bind, tree])), namespace, registers),
    // Last: what lies below is mapped from then on, and cannot be mapped again.
    ...layers.flatMap(({ bind, tree }) => [
      open(bind.source, O_PATH | O_DIRECTORY, target),
      step('move_mount', [tree, '', target, '', attach], `mount "${bind.source}" with mapped owners`),
      closeStep(target),
      closeStep(tree),
    ]),
    ...asGuestRoot(users.mapping, [...mountOverlay(overlay, target), closeStep(target)]),
    step('setns', [home, CLONE_NEWNS], 'return to the host’s mount namespace'),
    step('fchdir', [directory], 'return to the guest’s directory'),
    ...[namespace, home, directory].map(closeStep),
  ];
}

function layOutBinds(
  directory: string,
  binds: readonly BindMount[],
  taken: ReadonlyMap<BindMount, Register>,
  namespace: Register,
  registers: Registers,
): Program {
  const [staging, target, tree] = [registers.acquire(), registers.acquire(), registers.acquire()];
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const program = [
    step('mount', ['tmpfs', directory, 'tmpfs', flags, 'mode=755,size=1m'], `mount "${directory}"`, {
      why: 'where the guest’s first process finds its root and the sources of its binds',
    }),
    openRoot(directory, staging),
    step('mkdirat', [staging, rootName, 0o755], 'make the mount point of the root'),
    ...binds.flatMap((bind, at) => {
      const early = taken.get(bind);
      const source = early ?? tree;
      return [
        ...(early === undefined ? takeTree(bind, namespace, tree, registers) : []),
        step('make_path', [staging, String(at), 0o755, bind.isFile ? 1 : 0], `make a place for "${bind.source}"`, {
          result: target,
        }),
        step('move_mount', [source, '', target, '', attach], `lay out "${bind.source}" for the guest`),
        closeStep(target),
        closeStep(source),
      ];
    }),
    closeStep(staging),
  ];
  for (const one of [staging, target, tree]) registers.release(one);
  return program;
}

/** A detached tree of the host, its owners mapped unless it keeps them. */
function takeTree(bind: BindMount, users: Register, tree: Register, registers: Registers): Program {
  const mapped = bind.ownersKept === true ? [] : mapOwners(tree, users, bind.source, bind.recursive);
  return [...openBindSource(bind, tree, registers), ...mapped];
}

function layerBind(path: string): BindMount {
  const fixed = { isFile: false, recursive: false, readOnly: false, propagation: 'private' } as const;
  return { kind: 'bind', source: path, target: path, ...fixed, why: 'layers of the root' };
}

/**
 * overlayfs makes files with the rights and the ids of the one who mounted it. The host's user 0 has no place in layers with
 * mapped owners, the guest's root has; the capabilities stay the host's, for whiteouts and trusted attributes.
 */
function asGuestRoot({ uids, gids }: IdMapping, program: Program): Program {
  const [uid, gid] = [outsideOf(uids, 0)!, outsideOf(gids, 0)!];
  return [
    step('prctl', [PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0], 'keep capabilities as another user'),
    step('setresgid', [-1, gid, -1], `act as group ${gid}`),
    step('setresuid', [-1, uid, -1], `act as user ${uid}`, { why: 'files that overlayfs makes get an owner inside' }),
    ...program,
    step('setresuid', [-1, 0, -1], 'act as user 0 again'),
    step('setresgid', [-1, 0, -1], 'act as group 0 again'),
    step('prctl', [PR_SET_SECUREBITS, 0, 0, 0, 0], 'no longer keep capabilities'),
  ];
}

function open(path: string, flags: number, result: Register): Step {
  const how = openHow(flags | O_CLOEXEC);
  return step('openat2', [AT_FDCWD, path, how, how.length], `open "${path}"`, { result });
}

/**
 * Parts a process: what only the host's root may do for it, while it is still the host's user 0 and waits, and the rest. Its
 * pipes become its user's, who could not open /dev/stdout else.
 */
export function partProcess(
  process: GuestProcess,
  { uids, gids }: IdMapping,
): { after: Program; process: GuestProcess } {
  const { oomScoreAdjust, ...rest } = process;
  const [uid, gid] = [outsideOf(uids, process.uid)!, outsideOf(gids, 0)!];
  const after = [
    ...guestStreams.map((stream) =>
      step('fchownat', [stream, '', uid, gid, AT_EMPTY_PATH], 'give a standard stream its owner', {
        tolerate: [errno.EBADF],
      }),
    ),
    ...(oomScoreAdjust === undefined ? [] : oomScoreSteps(oomScoreAdjust, oomScoreAdjust !== 0, guestPid)),
    ...rlimitSteps(process.rlimits, true, guestPid),
  ];
  return { after, process: { ...rest, rlimits: [] } };
}

/**
 * The same for an exec: its first process does it itself, while it is still the host's root. `stdin` says whether its standard
 * input is a pipe as well.
 */
export function partExec(
  process: GuestProcess,
  { uids, gids }: IdMapping,
  stdin: boolean,
): { prepare: Program; process: GuestProcess } {
  const [uid, gid] = [outsideOf(uids, process.uid)!, outsideOf(gids, 0)!];
  return {
    prepare: [
      // A terminal is opened later, inside; until then 0 is the host's /dev/null.
      ...(process.terminal === undefined ? giveStreams(process, stdin, uid, gid) : []),
      ...rlimitSteps(process.rlimits, true),
    ],
    process: { ...process, rlimits: [] },
  };
}

/** Step for the guest's first process, before all others: until then it is nobody, and nothing of its root is there. */
export function awaitLayout(): Step {
  return step('await_guard', [], 'wait for the guard', { why: 'it maps the ids and lays out the root and the binds' });
}

/** Opens what the guard has laid out, while still user 0 of the host: no other may enter all directories on the way. */
export function openLayout(users: OwnUsers, staging: Register, root: Register): Program {
  return [openRoot(users.staging, staging), openRoot(`${users.staging}/${rootName}`, root)];
}
