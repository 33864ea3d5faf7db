// The console device (virtio 1.2, section 5.3) with several named ports. Flow is held back both ways: output of a port whose
// host is slow stays in the guest's ring, and input that the guest has no buffer for is not accepted.
import type { Done } from '../block-backend.ts';
import type { DeviceState } from '../device.ts';
import { consoleEvent, controlMessage, parseControl } from './console-control.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

/** Feature bits (section 5.3.3). */
const VIRTIO_CONSOLE_F_SIZE = 0;
const VIRTIO_CONSOLE_F_MULTIPORT = 1;
const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

const controlReceive = 2;
const controlTransmit = 3;
const queueSize = 128;
/** Linux sends at most 64 KB at a time. */
const maxOutputBytes = 0x10_0000;

/** The host's end of a port. */
export interface ConsolePort {
  /** The name in the guest: /dev/virtio-ports/NAME. */
  readonly name: string;
  /** Whether the guest makes it a terminal (hvc0, hvc1 and so on). */
  readonly terminal: boolean;
  /** Takes what the guest wrote; the bytes are its own. Nothing more comes while a returned promise is pending. */
  write(bytes: Uint8Array): Done;
  /** The guest's end was opened or closed. */
  opened?(open: boolean): void;
  /** After `send` could not take all: there is room again. */
  ready?(): void;
}

export interface ConsoleOptions {
  /** Port 0 is the console of drivers that know one port only; at most 16. */
  readonly ports: readonly ConsolePort[];
  /** Linux took rows before columns in a resize until 6.15; the specification says columns first. */
  readonly rowsFirst?: boolean;
}

/** What the driver is still to be told of a port, in this order. */
const dues = ['add', 'console', 'size', 'name', 'open'] as const;
type Due = (typeof dues)[number];

interface PortState {
  /** The guest's end. */
  open: boolean;
  /** The host's end. */
  connected: boolean;
  due: Set<Due>;
  /** A write of the host under way. */
  busy: boolean;
  /** `send` could not take all. */
  refused: boolean;
}

export class Console implements VirtioDevice {
  readonly name = 'console';
  readonly id: number = virtioId.console;
  readonly features: readonly number[] = [
    VIRTIO_CONSOLE_F_SIZE,
    VIRTIO_CONSOLE_F_MULTIPORT,
    VIRTIO_CONSOLE_F_EMERG_WRITE,
  ];
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array = new Uint8Array(12);
  readonly #ports: readonly ConsolePort[];
  readonly #states: readonly PortState[];
  readonly #rowsFirst: boolean;
  #transport!: VirtioTransport;

  constructor({ ports, rowsFirst }: ConsoleOptions) {
    if (ports.length === 0 || ports.length > 16)
      throw new RangeError(`A console has 1 to 16 ports, not ${ports.length}`);
    this.#ports = ports;
    this.#rowsFirst = rowsFirst ?? false;
    this.#states = ports.map(() => ({ open: false, connected: true, due: new Set(), busy: false, refused: false }));
    // Two queues for port 0, two for control, two for each other port.
    this.queueSizes = new Array<number>(2 + ports.length * 2).fill(queueSize);
    const view = this.#view;
    view.setUint16(0, 80, true);
    view.setUint16(2, 24, true);
    view.setUint32(4, ports.length, true);
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** Gives the guest input of a port; returns how many bytes it has room for, 0 while nobody there has the port open. */
  send(port: number, bytes: Uint8Array): number {
    const state = this.#state(port);
    let sent = 0;
    if (this.#transport.running && (state.open || !this.#multiport)) {
      const queue = this.#transport.queue(receiveQueue(port));
      while (sent < bytes.length) {
        const chain = queue.pop();
        if (chain === undefined) break;
        const part = chain.write(0, bytes.subarray(sent));
        queue.push(chain, part);
        sent += part;
      }
      queue.signal();
    }
    state.refused = sent < bytes.length;
    return sent;
  }

  /** Tells the guest the size of its terminals. */
  resize(columns: number, rows: number): void {
    this.#view.setUint16(0, columns, true);
    this.#view.setUint16(2, rows, true);
    for (const [port, state] of this.#states.entries()) if (this.#ports[port]!.terminal) state.due.add('size');
    this.#transport.configChanged();
    this.#tell();
  }

  /** Says whether the host's end of a port is open; it is from the start. */
  connect(port: number, connected: boolean): void {
    const state = this.#state(port);
    if (state.connected === connected) return;
    state.connected = connected;
    state.due.add('open');
    this.#tell();
  }

  notify(index: number): void {
    if (index === controlTransmit) this.#control();
    else if (index === controlReceive) this.#tell();
    else {
      const port = index < 2 ? 0 : (index >> 1) - 1;
      if ((index & 1) === 1) this.#output(port);
      else this.#room(port);
    }
  }

  writeConfig(offset: number, _bytes: number, value: number): void {
    // emerg_wr: a character at once, before any queue is there.
    if (offset === 8) void this.#ports[0]!.write(Uint8Array.of(value & 0xff));
  }

  reset(): void {
    for (const [port, state] of this.#states.entries()) {
      if (state.open) this.#ports[port]!.opened?.(false);
      state.open = false;
      state.due.clear();
    }
  }

  save(): DeviceState {
    return { ports: this.#states.map(({ open, due, refused }) => ({ open, due: [...due], refused })) };
  }

  load(state: DeviceState): void {
    const ports = state.ports as { open: boolean; due: Due[]; refused: boolean }[];
    for (const [port, mine] of this.#states.entries()) {
      const { open, due, refused } = ports[port]!;
      mine.open = open;
      mine.due = new Set(due);
      mine.refused = refused;
      if (open) this.#ports[port]!.opened?.(true);
    }
  }

  get #multiport(): boolean {
    return this.#transport.has(VIRTIO_CONSOLE_F_MULTIPORT);
  }

  get #view(): DataView {
    return new DataView(this.config.buffer);
  }

  #state(port: number): PortState {
    const state = this.#states[port];
    if (state === undefined) throw new RangeError(`The console has no port ${port}`);
    return state;
  }

  #output(port: number): void {
    const state = this.#state(port);
    const queue = this.#transport.queue(transmitQueue(port));
    while (!state.busy) {
      const chain = queue.pop();
      if (chain === undefined) return;
      if (chain.readableBytes > maxOutputBytes) {
        this.#transport.fail(`output of ${chain.readableBytes} bytes at once`);
        return;
      }
      const bytes = chain.read(0, chain.readableBytes);
      queue.push(chain, 0);
      const done = bytes.length > 0 ? this.#ports[port]!.write(bytes) : undefined;
      if (done === undefined) continue;
      state.busy = true;
      const next = (): void => {
        state.busy = false;
        this.#transport.again(queue.index);
      };
      // An end that failed is the host's to close; the guest goes on.
      done.then(next, next);
    }
  }

  /** The guest gave buffers for input. */
  #room(port: number): void {
    const state = this.#state(port);
    if (!state.refused || !this.#transport.queue(receiveQueue(port)).pending) return;
    state.refused = false;
    this.#ports[port]!.ready?.();
  }

  #control(): void {
    const queue = this.#transport.queue(controlTransmit);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const message = parseControl(chain.read(0, 8));
      queue.push(chain, 0);
      if (message !== undefined) this.#heard(message.port, message.event, message.value);
    }
    this.#tell();
  }

  #heard(port: number, event: number, value: number): void {
    if (event === consoleEvent.deviceReady) {
      if (value === 1) for (const each of this.#states) each.due.add('add');
      return;
    }
    const state = this.#states[port];
    // A port that there is not, or that the driver could not set up, is no reason to stop.
    if (state === undefined) return;
    if (event === consoleEvent.portReady && value === 1) {
      if (this.#ports[port]!.terminal) state.due.add('console').add('size');
      state.due.add('name').add('open');
    } else if (event === consoleEvent.portOpen && state.open !== (value === 1)) {
      state.open = value === 1;
      this.#ports[port]!.opened?.(state.open);
      if (state.open && state.refused) {
        state.refused = false;
        this.#ports[port]!.ready?.();
      }
    }
  }

  /** Sends what is due, as far as the driver gave buffers. At most five messages a port are ever due. */
  #tell(): void {
    if (!this.#transport.running || !this.#multiport) return;
    const queue = this.#transport.queue(controlReceive);
    for (const [port, state] of this.#states.entries()) {
      for (const due of dues) {
        if (!state.due.has(due)) continue;
        const chain = queue.pop();
        if (chain === undefined) {
          queue.signal();
          return;
        }
        state.due.delete(due);
        queue.push(chain, chain.write(0, this.#message(port, due)));
      }
    }
    queue.signal();
  }

  #message(port: number, due: Due): Uint8Array {
    const { name } = this.#ports[port]!;
    switch (due) {
      case 'add':
        return controlMessage(port, consoleEvent.portAdd, 1);
      case 'console':
        return controlMessage(port, consoleEvent.consolePort, 1);
      case 'size': {
        const size = this.config.slice(0, 4);
        return controlMessage(port, consoleEvent.resize, 0, this.#rowsFirst ? swapped(size) : size);
      }
      case 'name':
        return controlMessage(port, consoleEvent.portName, 1, new TextEncoder().encode(name));
      case 'open':
        return controlMessage(port, consoleEvent.portOpen, this.#state(port).connected ? 1 : 0);
    }
  }
}

function receiveQueue(port: number): number {
  return port === 0 ? 0 : port * 2 + 2;
}

function transmitQueue(port: number): number {
  return receiveQueue(port) + 1;
}

function swapped(size: Uint8Array): Uint8Array {
  return Uint8Array.of(size[2]!, size[3]!, size[0]!, size[1]!);
}
