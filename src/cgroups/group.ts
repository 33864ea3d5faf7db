// A guest's cgroup as steps: make it in every hierarchy with its limits, join it, change it, freeze it, remove it. Only what
// lies below the given path is touched; but on v2 the controllers are switched on along the way down to it.
import {
  AT_FDCWD,
  errno,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../kernel/constants.ts';
import { onlyIf, orElse, type Program, type Register, type Step, step } from '../kernel/steps.ts';
import type { Controller, DeviceNumber, Limits, Write } from './controller.ts';
import { cpu } from './cpu.ts';
import { cpuset } from './cpuset.ts';
import { type DeviceAccess, deviceProgram, deviceWrites } from './devices.ts';
import { type Freezer, freezerV1, freezerV2 } from './freezer.ts';
import { checkPath, directoriesOf, type Hierarchies, locate } from './hierarchy.ts';
import { io, numberOfDevice } from './io.ts';
import { memory } from './memory.ts';
import { pids } from './pids.ts';

export const controllers: readonly Controller[] = [cpu, cpuset, memory, pids, io];

const AT_REMOVEDIR = 0x200;

export interface GroupOptions {
  /** Which devices may be used; absent: as the parent group says. */
  readonly devices?: DeviceAccess;
  /** Gets a descriptor of the v2 directory, for CLONE_INTO_CGROUP; stays -1 where there is no v2 hierarchy. */
  readonly directory?: Register;
  readonly deviceNumber?: DeviceNumber;
}

/** Makes holm's own directory ready for groups, whatever an earlier run left; once at the start of the daemon. */
export function parentSteps(hierarchies: Hierarchies, parent: string): Program {
  checkPath(parent);
  return levelsOf(parent).flatMap((level) => {
    const { made, prepared } = levelSteps(hierarchies, level);
    return [...made, ...prepared];
  });
}

/** Makes a group, and the directories above it if they are missing, and sets its limits. */
export function createSteps(
  hierarchies: Hierarchies,
  path: string,
  limits: Limits,
  { devices, directory, deviceNumber = numberOfDevice }: GroupOptions = {},
): Program {
  checkPath(path);
  const parents = levelsOf(path).slice(0, -1);
  const program: Step[] = parents.flatMap((level) => {
    const { made, prepared } = levelSteps(hierarchies, level);
    // Only the first who makes it prepares it; it is the last directory of `made` that tells.
    return [...made.slice(0, -1), ...onlyIf(made.at(-1)!, prepared)];
  });
  for (const group of directoriesOf(hierarchies, path)) program.push(makeDirectory(group));
  program.push(...limitSteps(hierarchies, path, limits, {}, deviceNumber));
  if (hierarchies.unified !== undefined && directory !== undefined) {
    program.push(openDirectory(`${hierarchies.unified.mount}/${path}`, directory));
  }
  if (devices !== undefined) program.push(...deviceSteps(hierarchies, path, devices, directory));
  return program;
}

/** Opens the v2 directory of a group that exists, for CLONE_INTO_CGROUP; nothing where there is no v2 hierarchy. */
export function openSteps({ unified }: Hierarchies, path: string, directory: Register): Program {
  checkPath(path);
  return unified === undefined ? [] : [openDirectory(`${unified.mount}/${path}`, directory)];
}

/** Changes the limits of a group from `before`. */
export function updateSteps(
  hierarchies: Hierarchies,
  path: string,
  before: Limits,
  limits: Limits,
  deviceNumber: DeviceNumber = numberOfDevice,
): Program {
  checkPath(path);
  return limitSteps(hierarchies, path, limits, before, deviceNumber);
}

/**
 * Moves the calling process, which must have one thread, into the v1 groups, while the host's /sys/fs/cgroup is in sight.
 * "0" into tasks takes a twentieth of the time of a pid into cgroup.procs. The v2 group is joined by CLONE_INTO_CGROUP;
 * with `unified` by a write too.
 */
export function joinSteps(
  hierarchies: Hierarchies,
  path: string,
  { unified = false }: { unified?: boolean } = {},
): Program {
  checkPath(path);
  const join = (directory: string, file: string): Step =>
    write(
      directory,
      { file, value: '0', what: '' },
      'join the cgroup',
      'all it starts is counted and limited together',
    );
  return [
    ...hierarchies.v1.map(({ mount }) => join(`${mount}/${path}`, 'tasks')),
    ...(unified && hierarchies.unified !== undefined
      ? [join(`${hierarchies.unified.mount}/${path}`, 'cgroup.procs')]
      : []),
  ];
}

/** Removes a group that has no process and no group below; EBUSY for a moment after the last process ended. */
export function removeSteps(hierarchies: Hierarchies, path: string): Program {
  checkPath(path);
  return directoriesOf(hierarchies, path).map((directory) =>
    step('unlinkat', [AT_FDCWD, directory, AT_REMOVEDIR], `remove cgroup "${path}"`, { tolerate: [errno.ENOENT] }),
  );
}

export function freezeSteps(hierarchies: Hierarchies, path: string): Program {
  const { directory, freezer } = freezerOf(hierarchies, path);
  return [write(directory, { file: freezer.file, value: freezer.frozen, what: '' }, 'pause all processes')];
}

export function thawSteps(hierarchies: Hierarchies, path: string): Program {
  const { directory, freezer } = freezerOf(hierarchies, path);
  return [write(directory, { file: freezer.file, value: freezer.thawed, what: '' }, 'resume all processes')];
}

/** The freezer of a group: v2's where it is, v1's else. */
export function freezerOf(hierarchies: Hierarchies, path: string): { directory: string; freezer: Freezer } {
  checkPath(path);
  if (hierarchies.unified !== undefined)
    return { directory: `${hierarchies.unified.mount}/${path}`, freezer: freezerV2 };
  const found = locate(hierarchies, { v1: 'freezer' }, path);
  return { directory: found?.directory ?? `/sys/fs/cgroup/freezer/${path}`, freezer: freezerV1 };
}

/** "a/b/c" gives a, a/b, a/b/c. */
function levelsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}

/** The directories of one level above the groups, and what has to be said in them. */
function levelSteps(hierarchies: Hierarchies, level: string): { made: Program; prepared: Program } {
  const prepared: Step[] = [];
  const cpusets = locate(hierarchies, cpuset, level);
  if (cpusets?.version === 1 && hierarchies.cpuset !== undefined) {
    const { cpus, mems } = hierarchies.cpuset;
    const rows: [file: string, value: string][] = [
      ['cpuset.cpus', cpus],
      ['cpuset.mems', mems],
      ['cgroup.clone_children', '1'],
    ];
    prepared.push(
      ...rows.map(([file, value]) =>
        write(cpusets.directory, { file, value, what: '' }, `prepare cgroup "${level}"`, 'groups below copy the CPUs'),
      ),
    );
  }
  const { unified } = hierarchies;
  if (unified !== undefined) {
    const above = level.includes('/') ? `/${level.slice(0, level.lastIndexOf('/'))}` : '';
    for (const directory of [`${unified.mount}${above}`, `${unified.mount}/${level}`]) {
      for (const { v2 } of controllers) {
        if (v2 === undefined || !unified.controllers.includes(v2)) continue;
        const enable = { file: 'cgroup.subtree_control', value: `+${v2}`, what: '' };
        // Where it cannot be switched on, only a limit that needs it fails later, and names itself.
        prepared.push({ ...write(directory, enable, `switch on controller ${v2}`), tolerate: 'any' });
      }
    }
  }
  return { made: directoriesOf(hierarchies, level).map(makeDirectory), prepared };
}

function limitSteps(
  hierarchies: Hierarchies,
  path: string,
  limits: Limits,
  before: Limits,
  deviceNumber: DeviceNumber,
): Program {
  return controllers.flatMap((controller) => {
    const found = locate(hierarchies, controller, path);
    if (found === undefined) return [];
    const writes =
      found.version === 1
        ? controller.writesV1(limits, before, deviceNumber)
        : controller.writesV2(limits, before, deviceNumber);
    return writes.flatMap((one) => writeSteps(found.directory, one));
  });
}

function deviceSteps(
  hierarchies: Hierarchies,
  path: string,
  devices: DeviceAccess,
  directory: Register | undefined,
): Program {
  const v1 = locate(hierarchies, { v1: 'devices' }, path);
  if (v1 !== undefined) return deviceWrites(devices).flatMap((one) => writeSteps(v1.directory, one));
  return directory === undefined || hierarchies.unified === undefined ? [] : deviceProgram(devices, directory);
}

function writeSteps(directory: string, one: Write): Program {
  const test = write(directory, one, `set ${one.what}`);
  return one.instead === undefined ? [test] : orElse(test, writeSteps(directory, one.instead));
}

function write(directory: string, { file, value, tolerate }: Write, what: string, why?: string): Step {
  return step('write_file', [AT_FDCWD, `${directory}/${file}`, Buffer.from(value), O_WRONLY], what, {
    ...(why === undefined ? {} : { why }),
    ...(tolerate === undefined ? {} : { tolerate }),
  });
}

function makeDirectory(path: string): Step {
  return step('mkdirat', [AT_FDCWD, path, 0o755], `make cgroup "${path}"`, { tolerate: [errno.EEXIST] });
}

function openDirectory(path: string, result: Register): Step {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH | O_DIRECTORY | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS), 16);
  return step('openat2', [AT_FDCWD, path, how, how.length], `open cgroup "${path}"`, { result });
}
