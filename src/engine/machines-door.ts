// Machines as the doors see them: their records together with how they stand.
import type { Size } from '../containers/container.ts';
import type { StopOptions } from '../containers/requests.ts';
import type { Machine, MachineConfig, MachineState } from '../machines/machine.ts';
import type { Machines } from '../machines/machines.ts';

/** A machine at this moment. */
export interface MachineView extends Machine {
  readonly state: MachineState;
  /** Where its ports are reached; empty while it does not run. */
  readonly address: string;
}

export class MachinesDoor {
  readonly #machines: Machines;

  constructor(machines: Machines) {
    this.#machines = machines;
  }

  create(
    config: MachineConfig,
    name: string | undefined,
    onProgress: (what: string) => void,
    signal: AbortSignal,
  ): Promise<Machine> {
    return this.#machines.create(config, name, signal, onProgress);
  }
  list(): readonly MachineView[] {
    return this.#machines.list().map((machine) => this.#view(machine));
  }
  get(reference: string): MachineView {
    return this.#view(this.#machines.get(reference));
  }
  start(reference: string, options: { size?: Size } = {}): Promise<void> {
    return this.#machines.start(reference, options);
  }
  stop(reference: string, options: StopOptions): Promise<void> {
    return this.#machines.stop(reference, options);
  }
  kill(reference: string): Promise<void> {
    return this.#machines.kill(reference);
  }
  /** The container whose streams are the console. */
  console(reference: string): string {
    return this.#machines.console(reference);
  }
  remove(reference: string, options: { force: boolean }): Promise<void> {
    return this.#machines.remove(reference, options);
  }

  #view(machine: Machine): MachineView {
    return { ...machine, state: this.#machines.stateOf(machine), address: this.#machines.addressOf(machine) };
  }
}
