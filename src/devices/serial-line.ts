// The device thread's end of the serial port (uart.ts): carries what the guest wrote to a sink, and bytes for the guest
// into the ring as far as there is room. A sink that is slow fills the ring, and then the hart waits: nothing is dropped.
import type { Layout } from '../memory/layout.ts';
import type { DeviceState } from './device.ts';
import { fifoBytes, uartWords } from './shared-map.ts';
import type { Uart } from './uart.ts';

export interface SerialSink {
  /** Takes bytes that the guest wrote; they are the sink's own. While a returned promise is pending nothing more comes. */
  write(bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** The guest made room after `receive` could not take all. */
  ready?(): void;
}

const registers = ['ier', 'lcr', 'mcr', 'fcr', 'scr', 'divisor', 'emptied', 'looped'] as const;

export class SerialLine {
  readonly name = 'serial';
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #uart: Uart;
  readonly #sink: SerialSink;
  /** A write of the sink under way. */
  #writing: Promise<void> | undefined;
  #refused = false;

  constructor(buffer: ArrayBufferLike, layout: Layout, uart: Uart, sink: SerialSink) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#base = layout.devices;
    this.#uart = uart;
    this.#sink = sink;
  }

  /** Takes what harts wrote to the sink; called at every bell. */
  drain(): void {
    if (this.#refused && this.#waiting('rx') < uartWords.rxBytes) {
      this.#refused = false;
      this.#sink.ready?.();
    }
    while (this.#writing === undefined) {
      const tail = this.#get(uartWords.txTail);
      // A guest that writes its registers from two harts at once may spoil its counters, but not more than that.
      const bytes = Math.min(this.#waiting('tx'), uartWords.txBytes);
      if (bytes <= 0) return;
      const done = this.#give(this.#copy('tx', tail, bytes));
      this.#set(uartWords.txTail, (tail + bytes) | 0);
      Atomics.notify(this.#words, this.#at(uartWords.txTail));
      // Had the ring no room before, the driver waits for the interrupt.
      if (((this.#get(uartWords.txHead) - tail) | 0) > uartWords.txBytes - fifoBytes) {
        this.#set(uartWords.emptied, 1);
        this.#uart.update();
      }
      if (done !== undefined) this.#await(done);
    }
  }

  /** Settles when the sink took all that the guest wrote, after the last of its harts has ended. */
  async settled(): Promise<void> {
    this.drain();
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Gives the guest bytes as if typed; returns how many found room. After fewer than all, `sink.ready` is called once. */
  receive(bytes: Uint8Array): number {
    const head = this.#get(uartWords.rxHead);
    const count = Math.min(bytes.length, uartWords.rxBytes - this.#waiting('rx'));
    for (let i = 0; i < count; i++) {
      this.#bytes[this.#base + uartWords.rx + ((head + i) & (uartWords.rxBytes - 1))] = bytes[i]!;
    }
    if (count > 0) {
      this.#set(uartWords.rxHead, (head + count) | 0);
      this.#uart.update();
    }
    this.#refused = count < bytes.length;
    return count;
  }

  /** Registers, and what is in both rings. */
  save(): DeviceState {
    return {
      registers: registers.map((register) => this.#get(uartWords[register])),
      tx: this.#copy('tx', this.#get(uartWords.txTail), Math.min(this.#waiting('tx'), uartWords.txBytes)),
      rx: this.#copy('rx', this.#get(uartWords.rxTail), Math.min(this.#waiting('rx'), uartWords.rxBytes)),
    };
  }

  load(state: DeviceState): void {
    const values = state.registers as number[];
    registers.forEach((register, i) => {
      this.#set(uartWords[register], values[i]!);
    });
    this.#fill('tx', state.tx as Uint8Array);
    this.#fill('rx', state.rx as Uint8Array);
    this.#uart.update();
  }

  /** A sink that fails loses what it was given, and the guest goes on: the sink's owner knows. */
  #give(bytes: Uint8Array<ArrayBuffer>): void | Promise<void> {
    try {
      return this.#sink.write(bytes);
    } catch {
      return;
    }
  }

  #await(done: Promise<void>): void {
    const next = (): void => {
      this.#writing = undefined;
      this.drain();
    };
    this.#writing = done.then(next, next);
  }

  #copy(ring: 'tx' | 'rx', tail: number, bytes: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(bytes);
    const size = ring === 'tx' ? uartWords.txBytes : uartWords.rxBytes;
    const start = this.#base + uartWords[ring];
    const from = tail & (size - 1);
    const first = Math.min(bytes, size - from);
    copy.set(this.#bytes.subarray(start + from, start + from + first));
    copy.set(this.#bytes.subarray(start, start + bytes - first), first);
    return copy;
  }

  #fill(ring: 'tx' | 'rx', bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#base + uartWords[ring]);
    this.#set(ring === 'tx' ? uartWords.txTail : uartWords.rxTail, 0);
    this.#set(ring === 'tx' ? uartWords.txHead : uartWords.rxHead, bytes.length);
  }

  #waiting(ring: 'tx' | 'rx'): number {
    if (ring === 'tx') return (this.#get(uartWords.txHead) - this.#get(uartWords.txTail)) | 0;
    return (this.#get(uartWords.rxHead) - this.#get(uartWords.rxTail)) | 0;
  }

  #at(word: number): number {
    return (this.#base + word) >> 2;
  }

  #get(word: number): number {
    return Atomics.load(this.#words, this.#at(word));
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, this.#at(word), value);
  }
}
