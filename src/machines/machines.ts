// The life of machines: create, start, stop, remove. A machine's process is a container that nobody sees but us; its record
// carries the run (state, exit, log, cgroup), ours the rest. One writer a machine: all that changes one holds its lock.
import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../base/digest.ts';
import { fullMessageOf } from '../base/error.ts';
import type { Id } from '../base/id.ts';
import { log } from '../base/log.ts';
import type { Container, Size } from '../containers/container.ts';
import type { StopOptions } from '../containers/requests.ts';
import { machineLabels } from '../images/machine/machine-files.ts';
import { checkDisks } from './check.ts';
import { ConfiguredDisks } from './configured-disks.ts';
import { createMachine } from './creation.ts';
import { directoryOf, type MachineFacilities, processNameOf } from './facilities.ts';
import { checkMove, endReasonOf, type Machine, type MachineConfig, type MachineState, type Move } from './machine.ts';
import { MachineRecords } from './machine-records.ts';
import { disksOf, machineLabel } from './soft/confinement.ts';

export class Machines {
  readonly #facilities: MachineFacilities;
  readonly #records: MachineRecords;
  readonly #configured: ConfiguredDisks;

  constructor(facilities: MachineFacilities, database: DatabaseSync) {
    this.#facilities = facilities;
    this.#records = new MachineRecords(database);
    this.#configured = new ConfiguredDisks(
      `${facilities.stateDirectory}/configured-disks`,
      `${facilities.cacheDirectory}/configured-disks`,
    );
  }

  list(): readonly Machine[] {
    return this.#records.list();
  }

  get(reference: string): Machine {
    return this.#records.get(reference);
  }

  /** The machines made from an image. */
  usersOf(imageId: Digest): readonly { id: Id; isRunning: boolean }[] {
    return this.list()
      .filter((machine) => machine.imageId === imageId)
      .map((machine) => ({ id: machine.id, isRunning: this.stateOf(machine).is === 'running' }));
  }

  stateOf(machine: Machine): MachineState {
    const state = this.#processOf(machine)?.state ?? { is: 'creating' };
    switch (state.is) {
      case 'creating':
      case 'removing':
        return { is: 'creating' };
      case 'created':
        return { is: 'created' };
      case 'running':
      case 'paused':
        return { is: state.is, startedAt: state.startedAt, pid: state.pid };
      case 'exited': {
        const { startedAt, finishedAt, code, error, outOfMemory } = state;
        return { is: 'ended', startedAt, finishedAt, code, error, why: endReasonOf(code, outOfMemory) };
      }
    }
  }

  /** Where the ports of a machine are reached: the address of its process; empty while it does not run or has no network. */
  addressOf(machine: Machine): string {
    return this.#processOf(machine)?.endpoints[0]?.address ?? '';
  }

  /** Makes a machine, or leaves nothing. `onProgress` tells what takes long: an image's first machine takes minutes. */
  async create(
    config: MachineConfig,
    askedName: string | undefined,
    signal: AbortSignal,
    onProgress: (what: string) => void,
  ): Promise<Machine> {
    const [facilities, records, configured] = [this.#facilities, this.#records, this.#configured];
    const erase = (machine: Machine): Promise<void> => this.#erase(machine);
    return await createMachine({ facilities, records, configured, erase, signal, onProgress }, config, askedName);
  }

  async start(reference: string, options: { size?: Size } = {}): Promise<void> {
    await this.#move(reference, 'start', async (machine, process) => {
      const { own, lower } = disksOf(process);
      checkDisks(machine.name, own, machine.config.diskBytes, lower);
      await this.#facilities.containers.start(process.id, options);
    });
  }

  /** Asks the guest to power off, and ends it when it takes too long. */
  async stop(reference: string, options: StopOptions): Promise<void> {
    await this.#move(reference, 'stop', (_, process) => this.#facilities.containers.stop(process.id, options));
  }

  async kill(reference: string): Promise<void> {
    await this.#move(reference, 'kill', (_, process) => this.#facilities.containers.kill(process.id, 'SIGKILL'));
  }

  /** The container whose streams are the machine's console. */
  console(reference: string): string {
    const machine = this.get(reference);
    checkMove(machine.name, this.stateOf(machine), 'console');
    return machine.containerId!;
  }

  async remove(reference: string, options: { force: boolean }): Promise<void> {
    const { id } = this.get(reference);
    const check = (): Machine => {
      const machine = this.get(id);
      const state = this.stateOf(machine);
      const isUp = state.is === 'running' || state.is === 'paused';
      if (!(options.force && isUp)) checkMove(machine.name, state, 'remove');
      return machine;
    };
    check();
    await this.#facilities.locks.hold(id, async () => {
      const machine = check();
      await this.#erase(machine);
      this.#facilities.tell(machine, 'destroy');
    });
    await this.collect();
  }

  /** Undoes what a crash left half made. */
  async recover(): Promise<void> {
    for (const machine of this.list()) {
      if (machine.isForImage === undefined && this.#processOf(machine) !== undefined) continue;
      await this.#erase(machine).catch((error) =>
        log('error', 'Cannot remove a machine that was half made', { id: machine.id, error: fullMessageOf(error) }),
      );
    }
    await this.collect();
  }

  /** Removes the disks of images that are gone and that no machine reads. */
  async collect(): Promise<void> {
    const images = this.#facilities.images.list().filter(({ defaults }) => machineLabels.kernel in defaults.labels);
    const wanted = [
      ...images.flatMap(({ layers }) => layers.at(-1)?.chainId ?? []),
      ...this.list().map(({ chainId }) => chainId),
    ];
    this.#configured.retain(wanted);
    await this.#facilities.disks.retain(wanted);
  }

  async #move(
    reference: string,
    move: Move & ('start' | 'stop' | 'kill'),
    work: (machine: Machine, process: Container) => Promise<void>,
  ): Promise<void> {
    const { id } = this.get(reference);
    const check = (): Machine => {
      const machine = this.get(id);
      checkMove(machine.name, this.stateOf(machine), move);
      return machine;
    };
    // Also before: a machine that is being made holds the lock for long.
    check();
    await this.#facilities.locks.hold(id, async () => {
      const machine = check();
      await work(machine, this.#processOf(machine)!);
      this.#facilities.tell(machine, move);
    });
  }

  #processOf({ containerId }: Machine): Container | undefined {
    return containerId === undefined ? undefined : this.#facilities.containers.find(containerId);
  }

  /** Removes all of a machine, whatever of it there is, the record last. */
  async #erase(machine: Machine): Promise<void> {
    const { containers } = this.#facilities;
    const process = containers.find(machine.containerId ?? processNameOf(machine));
    // A name is anybody's: only the label says that it is ours.
    if (process?.labels[machineLabel] === machine.id) {
      await containers.remove(process.id, { force: true, volumes: true });
    }
    rmSync(directoryOf(this.#facilities, machine), { recursive: true, force: true });
    this.#records.remove(machine.id);
  }
}
