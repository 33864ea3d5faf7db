// What a hart's accesses outside of RAM go through, on the hart's own thread. The interrupt controller, the serial port and
// a virtio device's doorbell and interrupt status are served here, in shared memory; the rest is asked of the device thread.
import type { Layout } from '../memory/layout.ts';
import { Signals } from '../memory/signals.ts';
import { plic, rtc, syscon, uart, virtio, type Window } from './address-map.ts';
import type { AccessBytes } from './device.ts';
import { ask } from './mailbox.ts';
import { Plic } from './plic.ts';
import { Uart } from './uart.ts';
import { VirtioPort } from './virtio/port.ts';

/** The windows that the device thread serves alone. */
const asked: readonly Window[] = [rtc, syscon];

export class HartPort {
  readonly #words: Int32Array;
  readonly #hart: number;
  readonly #plic: Plic;
  readonly #uart: Uart;
  readonly #virtio: VirtioPort;

  constructor(buffer: SharedArrayBuffer, layout: Layout, hart: number) {
    this.#words = new Int32Array(buffer);
    this.#hart = hart;
    this.#plic = new Plic(buffer, layout, new Signals(buffer, layout));
    this.#uart = new Uart(buffer, layout, this.#plic);
    this.#virtio = new VirtioPort(buffer, layout, this.#plic);
  }

  /** Whether a device's window holds these bytes; an access to anything else outside of RAM faults. */
  has(address: number, bytes: number): boolean {
    if (within(virtio.start, virtio.bytes * virtio.slots, address, bytes)) {
      return this.#virtio.has(Math.floor((address - virtio.start) / virtio.bytes));
    }
    if (within(uart.start, uart.bytes, address, bytes)) return true;
    // The interrupt controller knows aligned words only.
    if (within(plic.start, plic.bytes, address, bytes)) return bytes >= 4 && address % 4 === 0;
    return asked.some((window) => within(window.start, window.bytes, address, bytes));
  }

  /** Reads at most four bytes where `has` holds, as an unsigned number. Eight bytes are two accesses, low half first. */
  read(address: number, bytes: AccessBytes): number {
    const offset = address - virtio.start;
    if (offset >= 0 && offset < virtio.bytes * virtio.slots) {
      return this.#virtio.read(offset, bytes) ?? this.#ask(false, address, bytes, 0);
    }
    if (address >= uart.start && address < uart.start + uart.bytes) return this.#uart.read(address - uart.start);
    if (address >= plic.start && address < plic.start + plic.bytes) return this.#plic.read(address - plic.start);
    return this.#ask(false, address, bytes, 0);
  }

  write(address: number, bytes: AccessBytes, value: number): void {
    const offset = address - virtio.start;
    if (offset >= 0 && offset < virtio.bytes * virtio.slots) {
      if (!this.#virtio.write(offset, bytes, value)) this.#ask(true, address, bytes, value);
    } else if (address >= uart.start && address < uart.start + uart.bytes) {
      this.#uart.write(address - uart.start, value & 0xff);
    } else if (address >= plic.start && address < plic.start + plic.bytes) {
      this.#plic.write(address - plic.start, value);
    } else this.#ask(true, address, bytes, value);
  }

  #ask(isWrite: boolean, address: number, bytes: AccessBytes, value: number): number {
    return ask(this.#words, this.#hart, isWrite, address, bytes, value);
  }
}

function within(start: number, length: number, address: number, bytes: number): boolean {
  return address >= start && address + bytes <= start + length;
}
