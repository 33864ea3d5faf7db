// Further processes in running containers (exec): each has a guard of its own and joins the namespaces, cgroup and security
// settings of its container. Execs are not on record: a daemon that starts again finds their containers, not them.
import { mkdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fullMessageOf, HolmError, hasCode } from '../base/error.ts';
import { createId } from '../base/id.ts';
import { log } from '../base/log.ts';
import { joinSteps, openSteps } from '../cgroups/group.ts';
import { groupOfProcess } from '../cgroups/hierarchy.ts';
import { type Control, type End, openControl, readExit } from '../kernel/guard.ts';
import { Registers, type Start } from '../kernel/steps.ts';
import { enterNamespaces, type Namespaces, openNamespaces, type Peer } from '../namespaces/namespaces.ts';
import { becomeRootInside } from '../namespaces/user.ts';
import type { Container, Exec, ExecConfig, Size } from './container.ts';
import type { Containers } from './containers.ts';
import { processOf } from './default-spec.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { exitCodeOf } from './exit-code.ts';
import { cgroupOf, execDirectory, type Facilities, guestDirectory } from './facilities.ts';
import { LateStream } from './late-stream.ts';
import { partExec } from './own-users.ts';
import { becomeProcess, openTerminal, prepareProcess } from './process-program.ts';
import { cgroupRegister } from './program.ts';
import { exitOf } from './running.ts';
import { joinGuard } from './runs.ts';
import { identityOf } from './starting.ts';

const keptMs = 300_000;

export interface ExecStartOptions {
  readonly detach: boolean;
  readonly terminal: boolean;
  readonly size?: Size;
  readonly framed: boolean;
}

export class Execs {
  readonly #facilities: Facilities;
  readonly #containers: Containers;
  readonly #execs = new Map<string, Exec>();
  readonly #controls = new Map<string, Promise<Control | undefined>>();
  readonly #ends = new Map<string, Promise<number>>();

  constructor(facilities: Facilities, containers: Containers) {
    this.#facilities = facilities;
    this.#containers = containers;
  }

  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw new HolmError('notFound', `No such exec instance: ${id}`);
    return exec;
  }

  create(reference: string, config: ExecConfig): string {
    const container = this.#runningContainer(reference);
    if (config.argv.length === 0 || config.argv[0] === '') throw new HolmError('invalid', 'No exec command specified');
    parseDetachKeys(config.detachKeys);
    const id = createId();
    const exec: Exec = { id, containerId: container.id, config, state: { is: 'created' } };
    this.#execs.set(id, exec);
    this.#tellContainer(exec, `exec_create: ${commandLine(exec)}`);
    return id;
  }

  /** Starts the process; gives its streams unless detached. */
  async start(id: string, options: ExecStartOptions): Promise<LateStream | undefined> {
    const exec = this.get(id);
    if (exec.state.is !== 'created') {
      const how = exec.state.is === 'running' ? 'is already running' : 'has already run';
      throw new HolmError('conflict', `Error: Exec command ${id} ${how}`);
    }
    const container = this.#runningContainer(exec.containerId);
    const { config } = exec;
    const directory = execDirectory(this.#facilities, id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      const { pid, end } = await this.#facilities.kernel.start(this.#startOf(container, exec, options, directory));
      this.#execs.set(id, { ...exec, state: { is: 'running', pid } });
      this.#tellContainer(exec, `exec_start: ${commandLine(exec)}`);
      this.#follow(id, end, directory);
    } catch (error) {
      this.#execs.set(id, { ...exec, state: { is: 'exited', code: exitCodeOf(error, 126), pid: 0 } });
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    const stream = options.detach
      ? undefined
      : new LateStream(config.terminal ? parseDetachKeys(config.detachKeys) : undefined);
    const wanted = {
      stdin: config.attachStdin,
      stdout: config.attachStdout,
      stderr: config.attachStderr,
      framed: options.framed,
      detachKeys: config.detachKeys,
    };
    const joined = stream === undefined ? undefined : joinGuard(directory, wanted, stream);
    await joined;
    return stream;
  }

  #follow(id: string, told: Promise<End | undefined>, directory: string): void {
    const end = exitOf(told, () => readExit(directory)).then(({ code }) => this.#recordEnd(id, code, directory));
    this.#ends.set(id, end);
    end.catch((error) => log('error', 'Cannot follow an exec', { id, error: fullMessageOf(error) }));
  }

  /** Connects when it is first asked for: most execs are never told anything. */
  #controlOf(id: string): Promise<Control | undefined> {
    const known = this.#controls.get(id);
    if (known !== undefined || this.#execs.get(id)?.state.is !== 'running') return known ?? Promise.resolve(undefined);
    const control = openControl(execDirectory(this.#facilities, id));
    this.#controls.set(id, control);
    return control;
  }

  /** Settles with the code of an exec that has been started. */
  ended(id: string): Promise<number> {
    const { state } = this.get(id);
    if (state.is === 'exited') return Promise.resolve(state.code);
    return this.#ends.get(id) ?? Promise.reject(new HolmError('wrongState', `Cannot await exec "${id}": not started`));
  }

  /** Kills the process of an exec and all in its process group: as leader of its session it is in no other. */
  kill(id: string): void {
    const state = this.#execs.get(id)?.state;
    if (state?.is !== 'running') return;
    try {
      // Its guard, which reaps it, has told of no end: the number is still its group's.
      process.kill(-state.pid, 'SIGKILL');
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }

  /** Drops an exec that nobody will ask for again; one that runs goes on. */
  forget(id: string): void {
    if (this.#execs.get(id)?.state.is !== 'running') this.#execs.delete(id);
  }

  #recordEnd(id: string, code: number, directory: string): number {
    const exec = this.get(id);
    const pid = exec.state.is === 'running' ? exec.state.pid : 0;
    this.#execs.set(id, { ...exec, state: { is: 'exited', code, pid } });
    this.#controls.delete(id);
    this.#ends.delete(id);
    this.#tellContainer(exec, 'exec_die', { exitCode: String(code) });
    removeDirectory(directory);
    // Clients ask for the exit code after the end; nobody asks minutes later.
    setTimeout(() => this.#execs.delete(id), keptMs).unref();
    return code;
  }

  async resize(id: string, size: Size): Promise<void> {
    this.get(id);
    (await this.#controlOf(id))?.resize(size.rows, size.columns);
  }

  /** Ids of a container's execs that run. */
  runningIn(containerId: string): string[] {
    return [...this.#execs.values()]
      .filter((exec) => exec.containerId === containerId && exec.state.is === 'running')
      .map(({ id }) => id);
  }

  #runningContainer(reference: string): Container & { state: { pid: number } } {
    const container = this.#containers.get(reference);
    if (container.state.is === 'paused') {
      throw new HolmError('conflict', `Container ${reference} is paused, unpause the container before exec`);
    }
    if (container.state.is !== 'running') throw new HolmError('conflict', `container ${container.id} is not running`);
    return { ...container, state: container.state };
  }

  #startOf(
    container: Container & { state: { pid: number } },
    exec: Exec,
    options: ExecStartOptions,
    directory: string,
  ): Start {
    const { hierarchies, availableCapabilities } = this.#facilities;
    const { config } = exec;
    const { pid } = container.state;
    const identity = identityOf(container, config.user || container.user);
    const sized =
      options.size === undefined
        ? container
        : { ...container, config: { ...container.config, terminalSize: options.size } };
    const whole = processOf(sized, { identity, availableCapabilities }, config);
    const { idMapping } = container;
    const cgroup = cgroupOf(this.#facilities, container);
    const joined = joinedNamespaces(container, { pid, guard: guestDirectory(this.#facilities, container.id) });
    const registers = new Registers();
    const needsStdin = config.attachStdin && !options.detach;
    const { process, prepare } =
      idMapping === undefined ? { process: whole, prepare: [] } : partExec(whole, idMapping, needsStdin);
    return {
      title: `holm-guard ${exec.id}`,
      directory,
      ...(process.terminal === undefined ? {} : { terminal: process.terminal }),
      stdin: needsStdin ? (config.terminal ? 'open' : 'once') : 'none',
      spillDirectory: directory,
      awaitClients: options.detach ? 0 : 1,
      exitFiles: [],
      cloneFlags: 0,
      cgroup: cgroupRegister,
      before: [
        ...openSteps(hierarchies, groupOfProcess(hierarchies, cgroup, pid), cgroupRegister),
        ...openNamespaces(joined),
      ],
      after: [],
      stage: [
        ...joinSteps(hierarchies, cgroup),
        ...prepareProcess(process),
        ...prepare,
        ...enterNamespaces(joined),
        ...(idMapping === undefined ? [] : becomeRootInside()),
        ...openTerminal(process.terminal, registers.acquire()),
        ...becomeProcess(process, { registers, sessionName: container.id, stdin: needsStdin, handsOver: true }),
      ],
    };
  }

  #tellContainer(exec: Exec, action: string, attributes: Record<string, string> = {}): void {
    const container = this.#containers.records.findById(exec.containerId);
    if (container !== undefined) this.#facilities.tell(container, action, { execID: exec.id, ...attributes });
  }
}

/** Its guard has left nothing in it but its exit: two calls in place of the many with which rm looks around. */
function removeDirectory(path: string): void {
  try {
    unlinkSync(`${path}/exit`);
    rmdirSync(path);
  } catch {
    rmSync(path, { recursive: true, force: true });
  }
}

/** As docker's events have it: a program alone is followed by a blank. */
function commandLine({ config }: Exec): string {
  const [program = '', ...rest] = config.argv;
  return `${program} ${rest.join(' ')}`;
}

/** All namespaces of a container's process; the host's user namespace is the engine's own and cannot be joined again. */
function joinedNamespaces({ config, idMapping }: Container, joined: Peer): Namespaces {
  const { time } = config.namespaces;
  return {
    mount: joined,
    pid: joined,
    network: joined,
    ipc: joined,
    uts: joined,
    user: idMapping === undefined ? 'host' : joined,
    cgroup: joined,
    time: time === undefined || time.from === 'host' ? 'host' : joined,
  };
}
