// What every virtio device is (virtio 1.2, section 2), whatever it does: the transport (mmio.ts) knows only this.
// A device takes requests from its queues and answers them; it never raises an interrupt itself and never trusts a length.
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { DeviceState } from '../device.ts';
import type { Virtqueue } from './queue.ts';

/** Device identifiers (virtio 1.2, section 5). */
export const virtioId = {
  network: 1,
  block: 2,
  console: 3,
  entropy: 4,
  balloon: 5,
  transport9p: 9,
  socket: 19,
  fileSystem: 26,
} as const;

/** Feature bits of the transport and of queues (virtio 1.2, section 6); mmio.ts offers all of them for every device. */
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;

export interface VirtioDevice {
  readonly name: string;
  /** One of `virtioId`. */
  readonly id: number;
  /** Numbers of the feature bits that this device offers, without the transport's. */
  readonly features: readonly number[];
  /** The largest size of each queue, a power of two at most 1024; as many queues as numbers. */
  readonly queueSizes: readonly number[];
  /** The device's configuration as the driver reads it, little-endian (section 2.5); its length never changes. */
  readonly config: Uint8Array;
  /** Called once, before anything else. */
  attach(transport: VirtioTransport): void;
  /** The driver is ready (DRIVER_OK): features and queues are settled. Also called after `load` if it was. */
  start?(): void;
  /**
   * The driver may have put requests into queue `index`. Pop until `undefined`, or stop sooner and pop later: what is not
   * popped stays in the ring. The transport calls `signal()` of that queue afterwards.
   */
  notify(index: number): void;
  /** The driver wrote to the configuration; only fields that the specification lets it write may change. */
  writeConfig?(offset: number, bytes: number, value: number): void;
  /**
   * Forgets the driver: back to the state after `attach`. Chains popped before are dead: pushing them does nothing. If work
   * under way still writes to guest memory, a promise of its end: the driver's reset is done only then.
   */
  reset(): void | Promise<void>;
  /**
   * The device's own state: without configuration of the host (backends, names), queues or features, which the transport keeps.
   * Chains popped but not pushed are popped once more after `load`, so such a request must bear being done twice.
   */
  save(): DeviceState;
  /** Called before the queues are notified again; every ready queue is then notified once. */
  load(state: DeviceState): void;
}

/** What a device sees of the transport that carries it. */
export interface VirtioTransport {
  /** Whether the driver said DRIVER_OK, and nothing broke since. */
  readonly running: boolean;
  readonly memory: GuestMemory;
  /** Queue `index`; exists always, `pop` gives nothing while the driver has not made it ready. */
  queue(index: number): Virtqueue;
  /** Whether the driver accepted feature bit `feature`. */
  has(feature: number): boolean;
  /** Has the device's `notify(index)` called once more, soon: for work that was put off. */
  again(index: number): void;
  /** `config` was changed by the device: the generation counts up and the driver gets a configuration interrupt. */
  configChanged(): void;
  /** The driver broke the protocol: sets DEVICE_NEEDS_RESET; queues give nothing until the reset. */
  fail(why: string): void;
}
