// A virtio device's interrupt status and doorbell (virtio 1.2, section 4.2.2), in shared memory: the two registers that
// matter for speed. Both sides use this, a hart through HartPort and the device thread through the transport.
import type { Layout } from '../../memory/layout.ts';
import { virtio, virtioSlot } from '../address-map.ts';
import { ringBell } from '../bell.ts';
import type { Plic } from '../plic.ts';
import { virtioWords } from '../shared-map.ts';
import { register } from './registers.ts';

/** Bits of InterruptStatus. */
export const usedBuffer = 1;
export const configChange = 2;

export class VirtioPort {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #plic: Plic;

  constructor(buffer: ArrayBufferLike, layout: Layout, plic: Plic) {
    this.#words = new Int32Array(buffer);
    this.#base = layout.devices;
    this.#plic = plic;
  }

  has(slot: number): boolean {
    return (Atomics.load(this.#words, this.#at(virtioWords.present)) & (1 << slot)) !== 0;
  }

  /** A register of the window of all slots; `undefined` if the device thread must be asked. */
  read(offset: number, bytes: number): number | undefined {
    if (offset % virtio.bytes !== register.InterruptStatus || bytes !== 4) return undefined;
    return Atomics.load(this.#words, this.#status(Math.floor(offset / virtio.bytes)));
  }

  /** Returns whether it was done here. */
  write(offset: number, bytes: number, value: number): boolean {
    if (bytes !== 4) return false;
    const at = offset % virtio.bytes;
    const slot = Math.floor(offset / virtio.bytes);
    if (at === register.QueueNotify) {
      if (value >= 0 && value < 32) this.ring(slot, 1 << value);
      return true;
    }
    if (at !== register.InterruptACK) return false;
    Atomics.and(this.#words, this.#status(slot), ~value);
    this.#update(slot);
    return true;
  }

  /** Notifies queues of a slot, a bit each, and wakes the device thread unless it is yet to look. */
  ring(slot: number, queues: number): void {
    const before = Atomics.or(this.#words, this.#doorbell(slot), queues);
    if ((before & queues) === queues) return;
    Atomics.or(this.#words, this.#at(virtioWords.rung), 1 << slot);
    ringBell(this.#words);
  }

  /** Slots with something in their doorbell, a bit each; takes them. */
  takeSlots(): number {
    return Atomics.exchange(this.#words, this.#at(virtioWords.rung), 0);
  }

  /** Queues of a slot that were notified, a bit each; takes them. */
  takeQueues(slot: number): number {
    return Atomics.exchange(this.#words, this.#doorbell(slot), 0);
  }

  /** Decodes a slot from now on. */
  present(slot: number): void {
    Atomics.or(this.#words, this.#at(virtioWords.present), 1 << slot);
  }

  status(slot: number): number {
    return Atomics.load(this.#words, this.#status(slot));
  }

  /** Sets bits of InterruptStatus and raises the slot's interrupt. */
  interrupt(slot: number, bits: number): void {
    Atomics.or(this.#words, this.#status(slot), bits);
    this.#update(slot);
  }

  /** Clears the interrupt status, the interrupt and the doorbell. */
  reset(slot: number): void {
    Atomics.store(this.#words, this.#status(slot), 0);
    Atomics.store(this.#words, this.#doorbell(slot), 0);
    this.#update(slot);
  }

  #update(slot: number): void {
    const status = this.#status(slot);
    for (;;) {
      const wanted = Atomics.load(this.#words, status) !== 0;
      this.#plic.setLevel(virtioSlot(slot).interrupt, wanted);
      if ((Atomics.load(this.#words, status) !== 0) === wanted) return;
    }
  }

  #at(word: number): number {
    return (this.#base + word) >> 2;
  }

  #status(slot: number): number {
    return this.#at(virtioWords.interruptStatus + slot * 4);
  }

  #doorbell(slot: number): number {
    return this.#at(virtioWords.doorbells + slot * 4);
  }
}
