// Further processes in running containers (exec): each has a guard of its own and joins the namespaces, cgroup and security
// settings of its container. Execs are not on record: a daemon that starts again finds their containers, not them.
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fullMessageOf, HolmError } from '../base/error.ts';
import { createId, type Id } from '../base/id.ts';
import { log } from '../base/log.ts';
import { joinSteps, openSteps } from '../cgroups/group.ts';
import { groupOfProcess } from '../cgroups/hierarchy.ts';
import { type Control, openControl, readExit } from '../kernel/guard.ts';
import { Registers, type Start } from '../kernel/steps.ts';
import { enterNamespaces, type Namespaces, openNamespaces } from '../namespaces/namespaces.ts';
import type { Container, Exec, ExecConfig, Size } from './container.ts';
import type { Containers } from './containers.ts';
import { processOf } from './default-spec.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { exitCodeOf } from './exit-code.ts';
import { cgroupOf, execDirectory, type Facilities } from './facilities.ts';
import { LateStream } from './late-stream.ts';
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
    this.#execs.set(id, { id, containerId: container.id, config, state: { is: 'created' } });
    this.#tellContainer(container.id, id, 'exec_create');
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
      const { pid } = await this.#facilities.kernel.start(this.#startOf(container, exec, options, directory));
      this.#execs.set(id, { ...exec, state: { is: 'running', pid } });
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
    const control = openControl(directory);
    this.#controls.set(id, control);
    await joined;
    this.#tellContainer(container.id, id, 'exec_start');
    exitOf(control, () => readExit(directory))
      .then((exit) => this.#recordEnd(id, exit.code, directory))
      .catch((error) => log('error', 'Cannot follow an exec', { id, error: fullMessageOf(error) }));
    return stream;
  }

  #recordEnd(id: string, code: number, directory: string): void {
    const exec = this.get(id);
    const pid = exec.state.is === 'running' ? exec.state.pid : 0;
    this.#execs.set(id, { ...exec, state: { is: 'exited', code, pid } });
    this.#controls.delete(id);
    this.#tellContainer(exec.containerId, id, 'exec_die', { exitCode: String(code) });
    rm(directory, { recursive: true, force: true }).catch((error) =>
      log('warn', 'Cannot remove the directory of an exec', { id, error: fullMessageOf(error) }),
    );
    // Clients ask for the exit code after the end; nobody asks minutes later.
    setTimeout(() => this.#execs.delete(id), keptMs).unref();
  }

  async resize(id: string, size: Size): Promise<void> {
    this.get(id);
    (await this.#controls.get(id))?.resize(size.rows, size.columns);
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
    const process = processOf(sized, { identity, availableCapabilities }, config);
    const cgroup = cgroupOf(this.#facilities, container);
    const joined = joinedNamespaces(pid);
    const registers = new Registers();
    const needsStdin = config.attachStdin && !options.detach;
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
        ...enterNamespaces(joined),
        ...openTerminal(process.terminal, registers.acquire()),
        ...becomeProcess(process, { registers, sessionName: container.id }),
      ],
    };
  }

  #tellContainer(containerId: Id, execID: string, action: string, attributes: Record<string, string> = {}): void {
    const container = this.#containers.records.findById(containerId);
    if (container !== undefined) this.#facilities.tell(container, action, { execID, ...attributes });
  }
}

/** All namespaces of a process but the user's, which is the engine's own and cannot be joined again. */
function joinedNamespaces(pid: number): Namespaces {
  const joined = { pid };
  return {
    mount: joined,
    pid: joined,
    network: joined,
    ipc: joined,
    uts: joined,
    user: 'host',
    cgroup: joined,
    time: 'host',
  };
}
