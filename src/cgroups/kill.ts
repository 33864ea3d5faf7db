// The end of a group: which processes it has, killing all of them, waiting for a freeze, removing the directories. Done by
// holmd itself with plain file operations: none of it is on the way to a start.
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { HolmError, hasCode } from '../base/error.ts';
import { freezerOf } from './group.ts';
import { checkPath, directoriesOf, type Hierarchies, locate } from './hierarchy.ts';

/** The processes of a group and of all groups below it, lowest first; none if it is gone. */
export function processes(hierarchies: Hierarchies, path: string): number[] {
  const pids = new Set<number>();
  // All hierarchies have the same; but a process that could not be joined everywhere must not be missed.
  for (const directory of directoriesOf(hierarchies, path)) {
    for (const group of groupsBelow(directory)) {
      for (const line of read(`${group}/cgroup.procs`).split('\n')) if (line !== '') pids.add(Number(line));
    }
  }
  pids.delete(0);
  return [...pids].sort((a, b) => a - b);
}

/** Kills every process of a group and waits until they are gone; throws `timeout` if some do not go. */
export async function killCgroup(hierarchies: Hierarchies, path: string, timeoutMs = 10_000): Promise<void> {
  checkPath(path);
  const { unified } = hierarchies;
  const killed = unified !== undefined && tryWrite(`${unified.mount}/${path}/cgroup.kill`, '1');
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    let left = processes(hierarchies, path);
    if (left.length === 0) return;
    if (!killed || pauseMs > 4) {
      // Frozen, none can fork away between the reading and the kill, and no number can be another's.
      setFrozen(hierarchies, path, true);
      left = processes(hierarchies, path);
      for (const pid of left) kill(pid);
      setFrozen(hierarchies, path, false);
    }
    if (performance.now() > deadline) {
      throw new HolmError('timeout', `Cannot kill cgroup "${path}": ${left.length} processes do not end`);
    }
    await setTimeout(pauseMs);
  }
}

/** Waits until all processes of a group stand still after freezeSteps; throws `timeout` if they do not. */
export async function waitFrozen(hierarchies: Hierarchies, path: string, timeoutMs = 10_000): Promise<void> {
  const { directory, freezer } = freezerOf(hierarchies, path);
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; !isFrozen(hierarchies, path); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (performance.now() > deadline) {
      throw new HolmError('timeout', `Cannot pause cgroup "${path}": its processes do not stand still`);
    }
    await setTimeout(pauseMs);
    // v1 gives up on what forks meanwhile: asking again goes on.
    if (freezer.controller !== undefined) tryWrite(`${directory}/${freezer.file}`, freezer.frozen);
  }
}

export function isFrozen(hierarchies: Hierarchies, path: string): boolean {
  const { directory, freezer } = freezerOf(hierarchies, path);
  return freezer.isFrozen.test(read(`${directory}/${freezer.stateFile}`));
}

/** Removes a group and all groups below it, waiting for its last processes to be reaped. What is gone already is no error. */
export async function removeCgroup(hierarchies: Hierarchies, path: string, timeoutMs = 10_000): Promise<void> {
  checkPath(path);
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const busy = directoriesOf(hierarchies, path).filter((directory) => !removeTree(directory));
    if (busy.length === 0) return;
    if (performance.now() > deadline) throw new HolmError('timeout', `Cannot remove cgroup "${busy[0]}": it is busy`);
    await setTimeout(pauseMs);
  }
}

/** The names of the groups below a parent, in any hierarchy: for recovery. */
export function listGroups(hierarchies: Hierarchies, parent: string): string[] {
  return [...new Set(directoriesOf(hierarchies, parent).flatMap(subdirectories))].sort();
}

function removeTree(directory: string): boolean {
  if (removeDirectory(directory)) return true;
  for (const name of subdirectories(directory)) if (!removeTree(`${directory}/${name}`)) return false;
  return removeDirectory(directory);
}

function removeDirectory(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    if (hasCode(error, 'EBUSY') || hasCode(error, 'ENOTEMPTY')) return false;
    throw error;
  }
}

function setFrozen(hierarchies: Hierarchies, path: string, frozen: boolean): void {
  const found = locate(hierarchies, { v1: 'freezer' }, path);
  if (found !== undefined) tryWrite(`${found.directory}/freezer.state`, frozen ? 'FROZEN' : 'THAWED');
  if (hierarchies.unified !== undefined) {
    tryWrite(`${hierarchies.unified.mount}/${path}/cgroup.freeze`, frozen ? '1' : '0');
  }
}

function groupsBelow(directory: string): string[] {
  return [directory, ...subdirectories(directory).flatMap((name) => groupsBelow(`${directory}/${name}`))];
}

function subdirectories(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENODEV')) return [];
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

function tryWrite(path: string, value: string): boolean {
  try {
    writeFileSync(path, value, { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
