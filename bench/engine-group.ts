// The cgroup of one engine: DIRECTORY/engine holds the engine's own processes, DIRECTORY/guests its containers. Together they
// count every nanosecond of CPU that the engine causes in processes, also in those that have ended; and nothing gets away.
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { detectHierarchies, type Hierarchies } from '../src/cgroups/hierarchy.ts';

export class EngineGroup {
  /** Below the hierarchies' roots; where the engine is to put its containers. */
  readonly guests: string;
  /** A process that writes 0 here becomes part of the engine. */
  readonly joinFile: string;
  readonly #directory: string;
  readonly #version: 1 | 2;

  /** `path` is below the root of every hierarchy. */
  constructor(path: string, hierarchies: Hierarchies = detectHierarchies()) {
    const v1 = hierarchies.v1.find(({ controllers }) => controllers.includes('cpuacct'))?.mount;
    const mount = v1 ?? hierarchies.unified?.mount;
    if (mount === undefined) throw new Error('This host has no cgroup hierarchy that counts CPU time');
    this.#version = v1 === undefined ? 2 : 1;
    this.#directory = join(mount, path);
    this.guests = `${path}/guests`;
    this.joinFile = join(this.#directory, 'engine', this.#version === 1 ? 'tasks' : 'cgroup.procs');
    mkdirSync(join(this.#directory, 'engine'), { recursive: true });
  }

  /** CPU time of all processes that were ever in the group. */
  cpuNanos(): bigint {
    if (this.#version === 1) return BigInt(readFileSync(join(this.#directory, 'cpuacct.usage'), 'utf8').trim());
    const text = readFileSync(join(this.#directory, 'cpu.stat'), 'utf8');
    return BigInt(/^usage_usec (\d+)/m.exec(text)?.[1] ?? 0) * 1000n;
  }

  /** The pids of all processes in the group, guests included. */
  pids(): number[] {
    const files = readdirSync(this.#directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /(^|\/)cgroup\.procs$/.test(name),
    );
    return files.flatMap((name) => readPids(join(this.#directory, name)));
  }
}

function readPids(file: string): number[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return []; // The group has just gone.
  }
}

/** Removes a group and all below it from every hierarchy, also those that only others use; nothing may live in it any more. */
export function removeGroups(path: string): void {
  for (const root of cgroupRoots()) removeTree(join(root, path));
}

/** The roots of all hierarchies that are mounted (proc(5), mountinfo). */
export function cgroupRoots(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => / - cgroup2? /.test(line)).map((line) => line.split(' ')[4] ?? '');
}

function removeTree(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    }
    rmdirSync(directory);
  } catch {
    // It is gone already, or still has a process: the caller looks again.
  }
}
