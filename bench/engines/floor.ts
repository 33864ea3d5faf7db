// The kernel's floor as a child process: compiles floor.c, prepares what it works on, and has it live one life at a time.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { output } from '../../scripts/command.ts';
import { detectHierarchies } from '../../src/cgroups/hierarchy.ts';
import { defaultCapabilities } from '../../src/security/capabilities.ts';
import { compileSeccomp, hostSeccompTarget } from '../../src/security/seccomp.ts';
import { defaultProfile } from '../../src/security/seccomp-profile.ts';
import { EngineGroup } from '../engine-group.ts';
import { enclosed, type Place } from './engine.ts';

const sources = ['floor.c', 'floor-parts.c'].map((name) => join(import.meta.dirname, '..', name));

export class Floor implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** `rootfs` is the directory of an unpacked image; it is only read. */
  static async open(place: Place, rootfs: string): Promise<Floor> {
    const directory = join(place.directory, 'floor');
    const work = join(directory, 'work');
    mkdirSync(work, { recursive: true });
    const program = join(directory, 'floor');
    await output([process.env.CC ?? 'cc', '-O2', '-static', '-Wall', '-Wextra', '-Werror', ...sources, '-o', program]);
    const filter = compileSeccomp(defaultProfile, hostSeccompTarget(defaultCapabilities));
    writeFileSync(join(directory, 'filter'), filter?.filter ?? new Uint8Array());
    const group = new EngineGroup(`${place.cgroup}/floor`);
    const [unified, ...hierarchies] = makeGroups(group.guests);
    const argv = enclosed(
      [program, rootfs, work, join(directory, 'filter'), unified ?? '-', ...hierarchies],
      group.joinFile,
      '',
    );
    return new Floor(spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** Milliseconds of one container's life: with an overlay and a veth, or in a directory with nothing but loopback. */
  async life(kind: 'bridge' | 'bundle'): Promise<number> {
    this.#child.stdin?.write(`${kind}\n`);
    const answer = await this.#answers.next();
    if (answer.done) throw new Error('The floor ended; what it could not do stands above');
    return Number(answer.value) / 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await ended;
  }
}

// The directories above the groups: v2's or "-", then "controllers=directory" for each v1 hierarchy.
function makeGroups(path: string): string[] {
  const { unified, v1, cpuset } = detectHierarchies();
  const levels = path.split('/').map((_, at, parts) => parts.slice(0, at + 1).join('/'));
  for (const { mount, controllers } of v1) {
    for (const level of levels) {
      mkdirSync(join(mount, level), { recursive: true });
      if (!controllers.includes('cpuset') || cpuset === undefined) continue;
      writeFileSync(join(mount, level, 'cpuset.cpus'), cpuset.cpus);
      writeFileSync(join(mount, level, 'cpuset.mems'), cpuset.mems);
      writeFileSync(join(mount, level, 'cgroup.clone_children'), '1');
    }
  }
  if (unified !== undefined) mkdirSync(join(unified.mount, path), { recursive: true });
  return [
    unified === undefined ? '-' : join(unified.mount, path),
    ...v1.map(({ mount, controllers }) => `${controllers.join(',')}=${join(mount, path)}`),
  ];
}
