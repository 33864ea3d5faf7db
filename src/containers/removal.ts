// What a container leaves on disk, and its removal. The usual container has written nothing: a few calls of the keeper
// remove it; only what has content goes the slow way.
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { log } from '../base/log.ts';
import { removeSteps } from '../cgroups/group.ts';
import { killCgroup, listGroups, removeCgroup } from '../cgroups/kill.ts';
import { AT_FDCWD, errno } from '../kernel/constants.ts';
import { openControl } from '../kernel/guard.ts';
import { type Program, type Register, register, step } from '../kernel/steps.ts';
import type { Container } from './container.ts';
import { cgroupOf, containerDirectory, type Facilities, guestDirectory } from './facilities.ts';

const AT_REMOVEDIR = 0x200;

/** Removes what a run leaves outside of its namespaces: its cgroups and its run directory. Safe to repeat. */
export async function removeRun(facilities: Facilities, container: Container, directory: string): Promise<void> {
  const { kernel, hierarchies } = facilities;
  const cgroup = cgroupOf(facilities, container);
  const groups = removeSteps(hierarchies, cgroup).map((one, at) => ({
    ...one,
    tolerate: 'any' as const,
    result: register(at),
  }));
  const outcome = await kernel.run([
    ...groups,
    ...removeFiles([`${directory}/exit`, `${directory}/guard.sock`]),
    removeDirectory(directory, register(groups.length)),
  ]);
  const isGone = (at: number) => [0, -errno.ENOENT].includes(outcome.register(register(at)));
  if (!groups.every((_, at) => isGone(at))) {
    // What outlived the guest's first process, in a shared pid namespace or without its guard, ends with it.
    await killCgroup(hierarchies, cgroup);
    await removeCgroup(hierarchies, cgroup);
  }
  if (!isGone(groups.length)) await rm(directory, { recursive: true, force: true });
}

/** Removes a container's own directory. Safe to repeat. */
export async function removeFilesOf(facilities: Facilities, container: Container): Promise<void> {
  const directory = containerDirectory(facilities, container.id);
  await facilities.kernel.run([
    ...removeFiles(
      ['hostname', 'hosts', 'resolv.conf', `${container.id}-json.log`].map((name) => `${directory}/${name}`),
    ),
    ...['upper', 'work/index', 'work/work', 'work', ''].map((name) => removeDirectory(`${directory}/${name}`)),
  ]);
  if (existsSync(directory)) await rm(directory, { recursive: true, force: true });
}

/** Removes what belongs to no container on record: slots and execs of a daemon that was killed. Running execs are left. */
export async function sweep(facilities: Facilities, ids: ReadonlySet<string>): Promise<void> {
  const { hierarchies, cgroupParent, stateDirectory } = facilities;
  const directories = new Set([...ids].map((id) => guestDirectory(facilities, id)));
  for (const directory of namesIn(`${facilities.runDirectory}/guests`))
    if (!directories.has(directory)) await sweepGuard(directory);
  for (const directory of namesIn(`${facilities.runDirectory}/execs`)) await sweepGuard(directory);
  for (const name of listGroups(hierarchies, cgroupParent)) {
    if (!ids.has(name))
      await removeCgroup(hierarchies, `${cgroupParent}/${name}`).catch((error) =>
        log('warn', 'Cannot remove a cgroup', { name, error }),
      );
  }
  for (const directory of namesIn(`${stateDirectory}/containers`)) {
    if (!ids.has(basename(directory))) await rm(directory, { recursive: true, force: true });
  }
}

/** Removes a guard's directory unless one lives there. */
async function sweepGuard(directory: string): Promise<void> {
  const control = await openControl(directory);
  control?.close();
  if (control === undefined) await rm(directory, { recursive: true, force: true });
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).map((name) => `${directory}/${name}`) : [];
}

function removeFiles(paths: readonly string[]): Program {
  return paths.map((path) =>
    step('unlinkat', [AT_FDCWD, path, 0], `remove "${path}"`, { tolerate: [errno.ENOENT, errno.ENOTDIR] }),
  );
}

function removeDirectory(path: string, result?: Register): Program[number] {
  return step('unlinkat', [AT_FDCWD, path, AT_REMOVEDIR], `remove "${path}"`, {
    tolerate: 'any',
    ...(result === undefined ? {} : { result }),
  });
}
