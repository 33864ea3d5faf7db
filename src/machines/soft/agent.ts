// The port by which a guest is asked to power off and told the size of its console: a service in the guest reads lines from
// /dev/virtio-ports/org.holm.agent (src/images/machine/guest-agent.ts). A guest without it cannot be asked.
import type { Console, ConsolePort } from '../../devices/virtio/console.ts';

export const agentPortName = 'org.holm.agent';

export class Agent {
  #console: Console | undefined;
  #listens = false;
  #size: { rows: number; columns: number } | undefined;

  readonly port: ConsolePort = {
    name: agentPortName,
    terminal: false,
    // Nothing that the guest says changes what the host does.
    write: () => undefined,
    opened: (open) => {
      this.#listens = open;
      this.#tellSize();
    },
  };

  connect(console: Console): void {
    this.#console = console;
    console.connect(0, true);
  }

  /** Asks the guest to power off; false when nobody listens. */
  askPowerOff(): boolean {
    return this.#say('poweroff\n');
  }

  /** Tells the guest how large the terminal is, now and whenever it begins to listen. */
  setSize(rows: number, columns: number): void {
    if (rows > 0 && columns > 0) this.#size = { rows, columns };
    this.#tellSize();
  }

  #tellSize(): void {
    if (this.#size) this.#say(`size ${this.#size.rows} ${this.#size.columns}\n`);
  }

  #say(text: string): boolean {
    if (!this.#listens || this.#console === undefined) return false;
    const line = new TextEncoder().encode(text);
    return this.#console.send(0, line) === line.length;
  }
}
