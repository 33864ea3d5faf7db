// The device thread's side of the address map: which device answers at which window, and what is to be done when the bell
// rings. Register accesses of one hart come in its order; doorbells come in any order, as with real hardware.
import { HolmError } from '../base/error.ts';
import type { Layout } from '../memory/layout.ts';
import { virtioSlot, type Window } from './address-map.ts';
import { answerBell } from './bell.ts';
import type { Device, DeviceState } from './device.ts';
import { answer, type MailboxRequest, takeRequest } from './mailbox.ts';
import type { Plic } from './plic.ts';
import type { SerialLine } from './serial-line.ts';
import type { VirtioMmio } from './virtio/mmio.ts';
import type { VirtioPort } from './virtio/port.ts';

export interface BusOptions {
  readonly buffer: SharedArrayBuffer;
  readonly layout: Layout;
  readonly plic: Plic;
  readonly port: VirtioPort;
  readonly serial: SerialLine;
  /** Told when a device threw at a register access: a mistake of ours, the hart reads 0. */
  readonly failed?: (device: string, error: unknown) => void;
}

interface Place extends Window {
  readonly device: Device;
}

export class Bus {
  readonly #words: Int32Array;
  readonly #harts: number;
  readonly #plic: Plic;
  readonly #port: VirtioPort;
  readonly #serial: SerialLine;
  readonly #failed: (device: string, error: unknown) => void;
  readonly #places: Place[] = [];
  readonly #slots = new Map<number, VirtioMmio>();

  constructor({ buffer, layout, plic, port, serial, failed }: BusOptions) {
    this.#words = new Int32Array(buffer);
    this.#harts = layout.harts;
    this.#plic = plic;
    this.#port = port;
    this.#serial = serial;
    this.#failed = failed ?? (() => {});
  }

  /** Lets `device` answer at `window`, which must not meet another device's. */
  attach(device: Device, { start, bytes }: Window): void {
    const clash = this.#places.find((place) => start < place.start + place.bytes && place.start < start + bytes);
    if (clash) throw new RangeError(`Cannot attach "${device.name}": its window meets that of "${clash.device.name}"`);
    this.#places.push({ device, start, bytes });
  }

  attachVirtio(transport: VirtioMmio): void {
    this.attach(transport, virtioSlot(transport.slot));
    this.#slots.set(transport.slot, transport);
  }

  /** Serves harts until `signal` is aborted. */
  serve(signal: AbortSignal): Promise<void> {
    return answerBell(this.#words, () => this.drain(), signal);
  }

  /** Does all that harts asked for by now. */
  drain(): void {
    for (let hart = 0; hart < this.#harts; hart++) {
      const request = takeRequest(this.#words, hart);
      if (request !== undefined) this.#access(request);
    }
    for (let slots = this.#port.takeSlots(); slots !== 0; slots &= slots - 1) {
      const slot = 31 - Math.clz32(slots & -slots);
      const queues = this.#port.takeQueues(slot);
      this.#slots.get(slot)?.notify(queues);
    }
    this.#serial.drain();
  }

  /** The state of all devices; harts must have stopped before, so that none waits for an answer. */
  save(): DeviceState {
    return {
      plic: this.#plic.save(),
      serial: this.#serial.save(),
      devices: Object.fromEntries(this.#places.map(({ start, device }) => [hex(start), device.save()])),
    };
  }

  /** Puts a state into the same devices at the same windows. Throws 'corrupt' if it is that of others. */
  load(state: DeviceState): void {
    const devices = state.devices as { readonly [window: string]: DeviceState };
    const places = new Map(this.#places.map((place) => [hex(place.start), place]));
    if (Object.keys(devices).length !== places.size || Object.keys(devices).some((window) => !places.has(window))) {
      throw new HolmError('corrupt', 'Cannot load the state of a machine: it is of one with other devices');
    }
    for (const [window, its] of Object.entries(devices)) places.get(window)?.device.load(its);
    this.#serial.load(state.serial as DeviceState);
    // Last: it knows which of the lines that were just set had been claimed.
    this.#plic.load(state.plic as DeviceState);
  }

  #access(request: MailboxRequest): void {
    const { address, hart, bytes } = request;
    const place = this.#places.find(({ start, bytes: length }) => address >= start && address - start < length);
    let value = 0;
    try {
      if (request.write) {
        const done = place?.device.write(address - place.start, bytes, request.value);
        if (done !== undefined) {
          const reply = (): void => answer(this.#words, hart, 0);
          done.then(reply, (error: unknown) => {
            this.#failed(place!.device.name, error);
            reply();
          });
          return;
        }
      } else if (place !== undefined) value = place.device.read(address - place.start, bytes);
    } catch (error) {
      this.#failed(place!.device.name, error);
    }
    answer(this.#words, hart, value);
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
