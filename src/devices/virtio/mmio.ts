// The transport of every virtio device: registers over MMIO, version 2 (virtio 1.2, section 4.2). It owns the handshake, the
// queues and the state that all devices share; whatever goes wrong in a device ends as DEVICE_NEEDS_RESET, never above.

import type { GuestMemory } from '../../memory/guest-memory.ts';
import { OutsideRam } from '../../memory/guest-memory.ts';
import type { AccessBytes, Device, DeviceState } from '../device.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  type VirtioDevice,
  type VirtioTransport,
} from './device.ts';
import { configChange, usedBuffer, type VirtioPort } from './port.ts';
import { type QueueOwner, Virtqueue } from './queue.ts';
import { register, status } from './registers.ts';

const magic = 0x7472_6976;
const vendor = 0x6d6c_6f68;

export interface MmioOptions {
  readonly device: VirtioDevice;
  readonly slot: number;
  readonly memory: GuestMemory;
  readonly port: VirtioPort;
  /** Told, once a break, why the device needs a reset. */
  readonly broke?: (device: string, why: string) => void;
}

export class VirtioMmio implements Device, VirtioTransport, QueueOwner {
  readonly name: string;
  readonly slot: number;
  readonly memory: GuestMemory;
  readonly #device: VirtioDevice;
  readonly #port: VirtioPort;
  readonly #broke: (device: string, why: string) => void;
  readonly #queues: readonly Virtqueue[];
  readonly #offered: readonly [number, number];
  #accepted: [number, number] = [0, 0];
  #deviceFeaturesSel = 0;
  #driverFeaturesSel = 0;
  #queueSel = 0;
  #status = 0;
  #generation = 0;

  constructor({ device, slot, memory, port, broke }: MmioOptions) {
    this.name = device.name;
    this.slot = slot;
    this.memory = memory;
    this.#device = device;
    this.#port = port;
    this.#broke = broke ?? (() => {});
    this.#offered = featureWords([...device.features, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1]);
    this.#queues = device.queueSizes.map((size, index) => new Virtqueue(memory, index, size, this));
    port.present(slot);
    device.attach(this);
  }

  get running(): boolean {
    return (this.#status & (status.DRIVER_OK | status.DEVICE_NEEDS_RESET | status.FAILED)) === status.DRIVER_OK;
  }

  get eventIndex(): boolean {
    return this.has(VIRTIO_F_EVENT_IDX);
  }

  interrupt(): void {
    this.#port.interrupt(this.slot, usedBuffer);
  }

  queue(index: number): Virtqueue {
    const queue = this.#queues[index];
    if (queue === undefined) throw new RangeError(`${this.name} has no queue ${index}`);
    return queue;
  }

  has(feature: number): boolean {
    return ((this.#accepted[feature >> 5] ?? 0) & (1 << (feature & 31))) !== 0;
  }

  again(index: number): void {
    this.#port.ring(this.slot, 1 << index);
  }

  configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    if (this.running) this.#port.interrupt(this.slot, configChange);
  }

  fail(why: string): void {
    if ((this.#status & status.DEVICE_NEEDS_RESET) !== 0) return;
    const told = (this.#status & status.DRIVER_OK) !== 0;
    this.#status |= status.DEVICE_NEEDS_RESET;
    if (told) this.#port.interrupt(this.slot, configChange);
    this.#broke(this.name, why);
  }

  /** Hands notifications to the device: bit q of `queues` is queue q. */
  notify(queues: number): void {
    for (const queue of this.#queues) {
      if ((queues & (1 << queue.index)) === 0 || !queue.ready || !this.running) continue;
      const more = queue.turn(() => this.#guard(() => this.#device.notify(queue.index)));
      queue.signal();
      if (more) this.again(queue.index);
    }
  }

  read(offset: number, bytes: AccessBytes): number {
    if (offset >= register.Config) return this.#readConfig(offset - register.Config, bytes);
    if (bytes !== 4) return 0;
    switch (offset) {
      case register.MagicValue:
        return magic;
      case register.Version:
        return 2;
      case register.DeviceID:
        return this.#device.id;
      case register.VendorID:
        return vendor;
      case register.DeviceFeatures:
        return this.#offered[this.#deviceFeaturesSel] ?? 0;
      case register.QueueNumMax:
        return this.#queues[this.#queueSel]?.maxSize ?? 0;
      case register.QueueReady:
        return this.#queues[this.#queueSel]?.ready ? 1 : 0;
      case register.InterruptStatus:
        return this.#port.status(this.slot);
      case register.Status:
        return this.#status;
      // There is no shared memory region: length and base of all ones.
      case register.SHMLenLow:
      case register.SHMLenHigh:
      case register.SHMBaseLow:
      case register.SHMBaseHigh:
        return 0xffff_ffff;
      case register.ConfigGeneration:
        return this.#generation;
      default:
        return 0;
    }
  }

  /** The promise of a reset is kept when no request of the driver is under way any more. */
  write(offset: number, bytes: AccessBytes, value: number): void | Promise<void> {
    if (offset >= register.Config) {
      const at = offset - register.Config;
      if (at + bytes <= this.#device.config.length) {
        this.#guard(() => this.#device.writeConfig?.(at, bytes, value));
      }
      return;
    }
    if (bytes !== 4) return;
    switch (offset) {
      case register.DeviceFeaturesSel:
        this.#deviceFeaturesSel = value;
        break;
      case register.DriverFeatures:
        if ((this.#status & status.FEATURES_OK) === 0 && this.#driverFeaturesSel < 2) {
          this.#accepted[this.#driverFeaturesSel] = value | 0;
        }
        break;
      case register.DriverFeaturesSel:
        this.#driverFeaturesSel = value;
        break;
      case register.QueueSel:
        this.#queueSel = value;
        break;
      case register.Status:
        return this.#writeStatus(value & 0xff);
      default:
        this.#writeQueue(offset, value);
    }
  }

  save(): DeviceState {
    return {
      status: this.#status,
      accepted: [...this.#accepted],
      selected: [this.#deviceFeaturesSel, this.#driverFeaturesSel, this.#queueSel],
      generation: this.#generation,
      interruptStatus: this.#port.status(this.slot),
      config: this.#device.config.slice(),
      queues: this.#queues.map((queue) => queue.save()),
      device: this.#device.save(),
    };
  }

  load(state: DeviceState): void {
    this.#port.reset(this.slot);
    this.#status = state.status as number;
    this.#accepted = [...(state.accepted as [number, number])];
    [this.#deviceFeaturesSel, this.#driverFeaturesSel, this.#queueSel] = state.selected as [number, number, number];
    this.#generation = state.generation as number;
    this.#device.config.set(state.config as Uint8Array);
    const queues = state.queues as DeviceState[];
    for (const queue of this.#queues) queue.load(queues[queue.index]!);
    this.#device.load(state.device as DeviceState);
    this.#port.interrupt(this.slot, state.interruptStatus as number);
    if (!this.running) return;
    this.#device.start?.();
    for (const queue of this.#queues) if (queue.ready) this.again(queue.index);
  }

  #writeStatus(value: number): void | Promise<void> {
    if (value === 0) return this.#reset();
    const before = this.#status;
    // A driver only ever adds bits.
    let added = value & ~before & ~status.DEVICE_NEEDS_RESET;
    if ((added & status.FEATURES_OK) !== 0 && !this.#featuresFit()) added &= ~status.FEATURES_OK;
    this.#status |= added;
    if ((added & status.DRIVER_OK) !== 0 && this.running) this.#guard(() => this.#device.start?.());
  }

  #reset(): void | Promise<void> {
    for (const queue of this.#queues) queue.reset();
    this.#status = 0;
    this.#accepted = [0, 0];
    this.#queueSel = 0;
    this.#port.reset(this.slot);
    return this.#device.reset();
  }

  #featuresFit(): boolean {
    const fits = this.#accepted.every((word, i) => (word & ~this.#offered[i as 0 | 1]) === 0);
    return fits && this.has(VIRTIO_F_VERSION_1);
  }

  #writeQueue(offset: number, value: number): void {
    const queue = this.#queues[this.#queueSel];
    if (queue === undefined) return;
    if (offset === register.QueueReady) {
      if ((value & 1) === 1 && !queue.ready) queue.setReady(true);
      else if ((value & 1) === 0) queue.setReady(false);
      return;
    }
    // Settled while the queue is ready.
    if (queue.ready) return;
    switch (offset) {
      case register.QueueNum:
        queue.size = value;
        break;
      case register.QueueDescLow:
        queue.descriptors = withLow(queue.descriptors, value);
        break;
      case register.QueueDescHigh:
        queue.descriptors = withHigh(queue.descriptors, value);
        break;
      case register.QueueDriverLow:
        queue.available = withLow(queue.available, value);
        break;
      case register.QueueDriverHigh:
        queue.available = withHigh(queue.available, value);
        break;
      case register.QueueDeviceLow:
        queue.used = withLow(queue.used, value);
        break;
      case register.QueueDeviceHigh:
        queue.used = withHigh(queue.used, value);
        break;
    }
  }

  #readConfig(offset: number, bytes: number): number {
    const { config } = this.#device;
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (config[offset + i] ?? 0);
    return value;
  }

  /** A device's mistake, or a guest's that the device did not foresee, ends with this device. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error instanceof OutsideRam ? error.message : `${error}`);
    }
  }
}

function featureWords(features: readonly number[]): readonly [number, number] {
  const words: [number, number] = [0, 0];
  for (const feature of features) words[feature >> 5 ? 1 : 0] |= 1 << (feature & 31);
  return [words[0] >>> 0, words[1] >>> 0];
}

function withLow(address: number, low: number): number {
  return Math.floor(address / 2 ** 32) * 2 ** 32 + low;
}

function withHigh(address: number, high: number): number {
  return (address % 2 ** 32) + high * 2 ** 32;
}
