// From what a container needs (GuestSpec) to what the kernel is asked (Start). This is the order that matters: cgroup,
// namespaces, root, mounts, network, pivot, terminal, and last the giving up of privileges. Pure: nothing is asked here.
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
import { type Program, type Register, Registers, register, type Start, step } from '../kernel/steps.ts';
import {
  type BindMount,
  closeStep,
  isolateMounts,
  type Mount,
  mountAttributes,
  mountFilesystem,
  openBindSource,
  placeBind,
} from '../mounts/mount.ts';
import { mountOverlay, openHow, openRoot } from '../mounts/overlay.ts';
import { pivotRoot } from '../mounts/pivot.ts';
import { cloneFlags, enterNamespaces, openNamespaces } from '../namespaces/namespaces.ts';
import { maskSteps } from '../security/masks.ts';
import { makeDevices } from './device-nodes.ts';
import type { GuestSpec } from './guest-spec.ts';
import { becomeProcess, openTerminal, prepareProcess } from './process-program.ts';

/** What the guard is told beside the programs. */
export type GuardSettings = Omit<Start, 'cloneFlags' | 'before' | 'after' | 'stage' | 'cgroup' | 'terminal'>;

/** The register that holds the v2 cgroup's directory, filled by the steps that make the cgroup. */
export const cgroupRegister: Register = { register: 29 };

/** The whole start of a container. */
export function programOf(spec: GuestSpec, guard: GuardSettings): Start {
  return {
    ...guard,
    ...(spec.process.terminal === undefined ? {} : { terminal: spec.process.terminal }),
    cloneFlags: cloneFlags(spec.namespaces),
    cgroup: cgroupRegister,
    before: [...spec.cgroup.create, ...openNamespaces(spec.namespaces)],
    after: spec.network.after,
    stage: [...preparationOf(spec), ...completionOf(spec)],
  };
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
    stage: [...(guard.stdin === 'none' ? readNothing() : []), ...completionOf(spec)],
  };
}

type RemainderSpec = Pick<GuestSpec, 'id' | 'hostname' | 'domainname' | 'process'>;

const root = register(0);

/** The stage's work up to the change of root. Leaves the root's descriptor in register 0. */
function preparationOf(spec: GuestSpec): Program {
  const registers = new Registers(1);
  return [
    step('umask', [0], 'clear the umask', { why: 'files get just the modes that are asked for' }),
    ...spec.cgroup.join,
    ...prepareProcess(spec.process),
    ...enterNamespaces(spec.namespaces),
    ...writeSysctls(spec.sysctls),
    ...buildRoot(spec, root, registers),
    step('await_guard', [], 'wait for the guard', { why: 'the guard puts the network’s end into this namespace' }),
    ...spec.network.stage,
    ...pivotRoot(root),
  ];
}

/** The stage's work inside the new root, up to its program. */
function completionOf(spec: RemainderSpec): Program {
  const registers = new Registers(1);
  return [
    ...setNames(spec),
    ...(spec.process.terminal === undefined ? [] : openConsole(root, spec.process.terminal, registers)),
    ...becomeProcess(spec.process, { root, registers, sessionName: spec.id }),
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
function buildRoot(spec: GuestSpec, root: Register, registers: Registers): Program {
  const early = new Map(spec.mounts.filter(isShared).map((bind) => [bind, registers.acquire()]));
  return [
    ...[...early].flatMap(([bind, source]) => openBindSource(bind, source, registers)),
    isolateMounts(spec.rootPropagation),
    ...('overlay' in spec.root ? mountOverlay(spec.root.overlay, root) : bindRoot(spec.root.directory, root)),
    ...spec.mounts.flatMap((mount) => placeMount(mount, root, early.get(mount as BindMount), registers)),
    ...makeDevices(root, spec.devices, spec.links, registers),
    ...maskSteps(root, spec.maskedPaths, spec.readonlyPaths, registers),
    ...(spec.readOnlyRoot ? makeReadOnly(root) : []),
  ];
}

/** A shared mount must be taken before this namespace's mounts stop being the host's peers. */
function isShared(mount: Mount): mount is BindMount {
  return mount.kind === 'bind' && (mount.propagation === 'shared' || mount.propagation === 'rshared');
}

function placeMount(mount: Mount, root: Register, early: Register | undefined, registers: Registers): Program {
  if (mount.kind === 'filesystem') return mountFilesystem(root, mount, registers);
  if (early !== undefined) return placeBind(root, mount, early, registers);
  const source = registers.acquire();
  const steps = [...openBindSource(mount, source, registers), ...placeBind(root, mount, source, registers)];
  registers.release(source);
  return steps;
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
