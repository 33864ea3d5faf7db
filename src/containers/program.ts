// From what a container needs (GuestSpec) to what the kernel is asked (Start). This is the order that matters: cgroup,
// namespaces, root, mounts, network, pivot, terminal, and last the giving up of privileges. Pure: nothing is asked here.
import { HolmError } from '../base/error.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_REC,
  O_CLOEXEC,
  O_WRONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../kernel/constants.ts';
import {
  type Program,
  type Register,
  Registers,
  register,
  remember,
  type Start,
  type Step,
  step,
} from '../kernel/steps.ts';
import {
  type BindMount,
  closeStep,
  isolateMounts,
  type Mount,
  mountAttributes,
  mountFilesystem,
  openBindSource,
  openLaidOut,
  openPeerSource,
  type PeerMount,
  placeBind,
  refuseProc,
} from '../mounts/mount.ts';
import { mountOverlay, openHow, openRoot } from '../mounts/overlay.ts';
import { pivotRoot } from '../mounts/pivot.ts';
import {
  cloneFlags,
  enterNamespaces,
  joinsPids,
  openNamespaces,
  pidfdOf,
  userRegister,
} from '../namespaces/namespaces.ts';
import { makeTimeNamespace } from '../namespaces/time.ts';
import { becomeRootInside } from '../namespaces/user.ts';
import { maskSteps } from '../security/masks.ts';
import { bindDevices, makeDevices } from './device-nodes.ts';
import type { GuestSpec } from './guest-spec.ts';
import { awaitLayout, bindsOf, layOut, openLayout, partProcess } from './own-users.ts';
import { becomeProcess, openTerminal, prepareProcess } from './process-program.ts';

/** What the guard is told beside the programs. */
export type GuardSettings = Omit<Start, 'cloneFlags' | 'before' | 'after' | 'stage' | 'cgroup' | 'terminal'>;

/** The register that holds the v2 cgroup's directory, filled by the steps that make the cgroup. */
export const cgroupRegister: Register = { register: 29 };

/** The whole start of a container. */
export function programOf(spec: GuestSpec, guard: GuardSettings): Start {
  const { process, after } = partOf(spec);
  const user = userRegister(spec.namespaces);
  return {
    ...guard,
    ...(process.terminal === undefined ? {} : { terminal: process.terminal }),
    cloneFlags: cloneFlags(spec.namespaces),
    cgroup: cgroupRegister,
    ...(user === undefined ? {} : { user }),
    before: [...spec.cgroup.create, ...openNamespaces(spec.namespaces)],
    after: [...after, ...spec.network.after],
    stage: [
      ...preparationOf({ ...spec, process }),
      ...completionOf({ ...spec, process }, guard.stdin !== 'none', joinsPids(spec.namespaces)),
    ],
  };
}

/** What the guard does for a guest with a user namespace other than the host's, and the process without it. */
function partOf({
  ownUsers,
  process,
  root,
  mounts,
  namespaces,
}: GuestSpec): Pick<GuestSpec, 'process'> & { after: Program } {
  if (ownUsers === undefined) return { process, after: [] };
  if (!('overlay' in root)) throw new HolmError('unsupported', 'Cannot map the owners of a root that is no overlay');
  const part = partProcess(process, ownUsers.mapping);
  const laidOut = layOut(ownUsers, root.overlay, mounts, namespaces.user === 'new');
  return { process: part.process, after: [...part.after, ...laidOut] };
}

/** The first part of a start: all that does not depend on the process that will run. Its streams are pipes. */
export function preparedProgramOf(spec: GuestSpec, guard: GuardSettings): Start {
  const { terminal: _, ...start } = programOf(spec, guard);
  return { ...start, stdin: 'open', stage: preparationOf(spec) };
}

/** The rest of a start that was prepared. */
export function remainderOf(spec: RemainderSpec, guard: GuardSettings): Start {
  return {
    ...guard,
    ...(spec.process.terminal === undefined ? {} : { terminal: spec.process.terminal }),
    cloneFlags: 0,
    before: [],
    after: [],
    stage: [...(guard.stdin === 'none' ? readNothing() : []), ...completionOf(spec, guard.stdin !== 'none', false)],
  };
}

type RemainderSpec = Pick<GuestSpec, 'id' | 'hostname' | 'domainname' | 'process'>;

const root = register(0);

/** The stage's work up to the change of root. Leaves the root's descriptor in register 0. */
function preparationOf(spec: GuestSpec): Program {
  const registers = new Registers(1);
  const staging = registers.acquire();
  const { ownUsers, timeOffsets } = spec;
  return [
    ...(ownUsers === undefined ? [] : [awaitLayout()]),
    step('umask', [0], 'clear the umask', { why: 'files get just the modes that are asked for' }),
    ...spec.cgroup.join,
    ...prepareProcess(spec.process),
    ...(ownUsers === undefined ? [] : openLayout(ownUsers, staging, root)),
    ...enterNamespaces(spec.namespaces),
    ...(timeOffsets === undefined ? [] : makeTimeNamespace(timeOffsets, registers)),
    ...(ownUsers === undefined ? writeSysctls(spec.sysctls) : becomeRootWith(spec.sysctls)),
    ...buildRoot(spec, root, staging, registers),
    ...(ownUsers === undefined ? [awaitNetwork()] : []),
    ...spec.network.stage,
    ...pivotRoot(root),
  ];
}

function awaitNetwork(): Step {
  return step('await_guard', [], 'wait for the guard', { why: 'the guard puts the network’s end into this namespace' });
}

/** The kernel takes most settings of a user namespace from its own root, but the domain name only from the host's user 0. */
function becomeRootWith(sysctls: Readonly<Record<string, string>>): Program {
  const { 'kernel.domainname': domain, ...others } = sysctls;
  return [
    ...writeSysctls(domain === undefined ? {} : { 'kernel.domainname': domain }),
    ...becomeRootInside(),
    ...writeSysctls(others),
  ];
}

/** The stage's work inside the new root, up to its program. */
function completionOf(spec: RemainderSpec, stdin: boolean, handsOver: boolean): Program {
  const registers = new Registers(1);
  return [
    ...setNames(spec),
    ...(spec.process.terminal === undefined ? [] : openConsole(root, spec.process.terminal, registers)),
    ...becomeProcess(spec.process, { root, registers, sessionName: spec.id, stdin, handsOver }),
  ];
}

/** Standard input that is not wanted is /dev/null: the guest's own, as the host's is out of reach. */
function readNothing(): Program {
  const nothing = register(1);
  return [
    step('openat2', [AT_FDCWD, '/dev/null', openHow(O_CLOEXEC), 24], 'open "/dev/null"', { result: nothing }),
    step('dup3', [nothing, 0, 0], 'make it standard input'),
    closeStep(nothing),
  ];
}

/** Everything about files: the root, what is mounted in it, its devices, what is hidden of it. */
function buildRoot(spec: GuestSpec, root: Register, staging: Register, registers: Registers): Program {
  const { ownUsers } = spec;
  const early = new Map(
    ownUsers === undefined ? spec.mounts.filter(isShared).map((bind) => [bind, registers.acquire()]) : [],
  );
  const binds = bindsOf(spec.mounts);
  const openSource = (mount: BindMount | PeerMount, source: Register): Program => {
    if (mount.kind === 'peer') return openPeerSource(mount, pidfdOf(spec.namespaces, mount.pid), source, registers);
    if (ownUsers === undefined) return openBindSource(mount, source, registers);
    return [openLaidOut(staging, String(binds.indexOf(mount)), mount.source, source)];
  };
  const place = (mount: Mount): Program => {
    if (mount.kind === 'filesystem') {
      const key = `mount ${JSON.stringify([root, registers.state, mount])}`;
      return remember(lasting, key, () => mountFilesystem(root, mount, registers));
    }
    const taken = early.get(mount as BindMount);
    if (taken !== undefined) return placeBind(root, mount as BindMount, taken, registers);
    const source = registers.acquire();
    const steps = [...openSource(mount, source), ...placeBind(root, asBind(mount), source, registers)];
    registers.release(source);
    return steps;
  };
  return [
    ...[...early].flatMap(([bind, source]) => openBindSource(bind, source, registers)),
    isolateMounts(spec.rootPropagation),
    ...(ownUsers === undefined ? mountRoot(spec.root, root) : [holdRoot(root)]),
    ...spec.mounts.flatMap(place),
    ...(ownUsers === undefined ? [] : bindDevices(root, spec.devices, registers)),
    ...finishRoot(ownUsers === undefined ? spec : { ...spec, devices: [] }, root, registers),
  ];
}

const lasting = {};

function mountRoot(from: GuestSpec['root'], root: Register): Program {
  return 'overlay' in from ? [...mountOverlay(from.overlay, root), holdRoot(root)] : bindRoot(from.directory, root);
}

/** When an overlay goes, overlayfs syncs the whole file system that its upper layer lies on. */
function holdRoot(root: Register): Step {
  return step('hold', [root], 'have the guard hold the root', {
    why: 'it is unmounted once the guest’s end was told: nobody who waits for that waits for the disk',
  });
}

/** The part of a root that is the same for nearly all containers. */
function finishRoot(spec: GuestSpec, root: Register, registers: Registers): Program {
  const { devices, links, maskedPaths, readonlyPaths, readOnlyRoot } = spec;
  const decisive = [root, registers.state, devices, links, maskedPaths, readonlyPaths, readOnlyRoot];
  return remember(lasting, `root ${JSON.stringify(decisive)}`, () => [
    ...makeDevices(root, devices, links, registers),
    ...maskSteps(root, maskedPaths, readonlyPaths, registers),
    ...(readOnlyRoot ? makeReadOnly(root) : []),
  ]);
}

/** A shared mount must be taken before this namespace's mounts stop being the host's peers. */
function isShared(mount: Mount): mount is BindMount {
  return mount.kind === 'bind' && (mount.propagation === 'shared' || mount.propagation === 'rshared');
}

function asBind(mount: BindMount | PeerMount): Parameters<typeof placeBind>[1] {
  if (mount.kind === 'bind') return mount;
  return { ...mount, kind: 'bind', isFile: false, recursive: false, readOnly: false, propagation: 'rprivate' };
}

function bindRoot(directory: string, root: Register): Program {
  return [
    step('mount', [directory, directory, null, MS_BIND | MS_REC, null], `bind "${directory}" on itself`, {
      why: 'pivot_root takes only a mount',
    }),
    openRoot(directory, root),
  ];
}

function makeReadOnly(root: Register): Program {
  const attributes = mountAttributes(MOUNT_ATTR_RDONLY, 0);
  return [step('mount_setattr', [root, '', AT_EMPTY_PATH, attributes, attributes.length], 'make the root read-only')];
}

/** The tables of /proc/sys are those of the writer's namespaces, so they are written through the host's own procfs. */
function writeSysctls(sysctls: Readonly<Record<string, string>>): Program {
  return Object.entries(sysctls).map(([name, value]) =>
    step(
      'write_file',
      [AT_FDCWD, `/proc/sys/${name.replaceAll('.', '/')}`, Buffer.from(value), O_WRONLY],
      `set sysctl "${name}" to "${value}"`,
    ),
  );
}

function setNames(spec: RemainderSpec): Program {
  const named = (call: 'sethostname' | 'setdomainname', name: string | undefined): Program =>
    name === undefined || name === ''
      ? []
      : [step(call, [name, Buffer.byteLength(name)], `set the ${call.slice(3)} "${name}"`)];
  return [...named('sethostname', spec.hostname), ...named('setdomainname', spec.domainname)];
}

/** A terminal of the guest's own devpts; /dev/console is its peer, as a system expects. */
function openConsole(root: Register, size: { rows: number; columns: number }, registers: Registers): Program {
  const peer = registers.acquire();
  const tree = registers.acquire();
  const target = registers.acquire();
  for (const register of [peer, tree, target]) registers.release(register);
  return [
    ...openTerminal(size, peer),
    step('make_path', [root, '/dev/console', 0o600, 1], 'make the mount point "/dev/console"', { result: target }),
    refuseProc('/dev/console', target),
    step('open_tree', [peer, '', AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], 'bind the terminal', {
      result: tree,
    }),
    step(
      'move_mount',
      [tree, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      'mount "/dev/console"',
    ),
    closeStep(tree),
    closeStep(target),
    closeStep(peer),
  ];
}
