// The serial port, a 16550A (National Semiconductor PC16550D data sheet): registers and rings in shared memory, so that a
// hart writes a character without asking the device thread, which carries the bytes away (serial-line.ts). Output is never
// lost: a hart that finds the ring full waits. The line has no speed: what is in the ring counts as sent.
import { control, type Layout } from '../memory/layout.ts';
import { uart } from './address-map.ts';
import { ringBell } from './bell.ts';
import type { Plic } from './plic.ts';
import { fifoBytes, uartWords } from './shared-map.ts';

/** Bits of IER, IIR, FCR, LCR, MCR and LSR. */
const IER_RDI = 0x01;
const IER_THRI = 0x02;
const IIR_NO_INT = 0x01;
const IIR_THRI = 0x02;
const IIR_RDI = 0x04;
const IIR_RX_TIMEOUT = 0x0c;
const IIR_FIFO = 0xc0;
const FCR_ENABLE = 0x01;
const FCR_CLEAR_RX = 0x02;
const LCR_DLAB = 0x80;
const MCR_LOOP = 0x10;
const LSR_DR = 0x01;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;
/** Carrier, data set ready and clear to send: somebody is always there. */
const msrConnected = 0xb0;

const triggers = [1, 4, 8, 14];
/** How long a hart waits for room before it looks whether the machine stops. */
const waitMs = 100;
/** How long a poll of LSR waits for room instead of spinning. */
const pollMs = 1;

export class Uart {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #plic: Plic;
  readonly #base: number;

  constructor(buffer: ArrayBufferLike, layout: Layout, plic: Plic) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#base = layout.devices;
    this.#plic = plic;
  }

  /** Reads a register on a hart's thread. */
  read(offset: number): number {
    switch (offset) {
      case 0:
        return this.#dlab ? this.#get(uartWords.divisor) & 0xff : this.#receive();
      case 1:
        return this.#dlab ? this.#get(uartWords.divisor) >> 8 : this.#get(uartWords.ier);
      case 2:
        return this.#identify();
      case 3:
        return this.#get(uartWords.lcr);
      case 4:
        return this.#get(uartWords.mcr);
      case 5:
        return this.#lineStatus();
      case 6:
        return this.#modemStatus();
      case 7:
        return this.#get(uartWords.scr);
      default:
        return 0;
    }
  }

  /** Writes a register on a hart's thread; waits if it is a character and the ring is full. */
  write(offset: number, byte: number): void {
    switch (offset) {
      case 0:
        if (this.#dlab) this.#set(uartWords.divisor, (this.#get(uartWords.divisor) & 0xff00) | byte);
        else this.#transmit(byte);
        break;
      case 1:
        if (this.#dlab) this.#set(uartWords.divisor, (this.#get(uartWords.divisor) & 0xff) | (byte << 8));
        else this.#enable(byte & 0x0f);
        break;
      case 2:
        this.#set(uartWords.fcr, byte & (FCR_ENABLE | 0xc0));
        if ((byte & FCR_CLEAR_RX) !== 0) this.#set(uartWords.rxTail, this.#get(uartWords.rxHead));
        this.update();
        break;
      case 3:
        this.#set(uartWords.lcr, byte);
        break;
      case 4:
        this.#set(uartWords.mcr, byte & 0x1f);
        break;
      case 7:
        this.#set(uartWords.scr, byte);
        break;
    }
  }

  /** Sets the interrupt line to what the registers say; again, until they did not change meanwhile. */
  update(): void {
    for (;;) {
      const wanted = this.#cause() !== IIR_NO_INT;
      this.#plic.setLevel(uart.interrupt, wanted);
      if ((this.#cause() !== IIR_NO_INT) === wanted) return;
    }
  }

  get #dlab(): boolean {
    return (this.#get(uartWords.lcr) & LCR_DLAB) !== 0;
  }

  #enable(ier: number): void {
    const before = this.#get(uartWords.ier);
    this.#set(uartWords.ier, ier);
    // Enabling the interrupt tells of a transmitter that is empty already.
    if ((ier & ~before & IER_THRI) !== 0 && this.#room) this.#set(uartWords.emptied, 1);
    this.update();
  }

  #receive(): number {
    if ((this.#get(uartWords.mcr) & MCR_LOOP) !== 0) {
      const looped = this.#get(uartWords.looped);
      this.#set(uartWords.looped, 0);
      this.update();
      return looped & 0xff;
    }
    const tail = this.#get(uartWords.rxTail);
    if (this.#get(uartWords.rxHead) === tail) return 0;
    const byte = this.#bytes[this.#base + uartWords.rx + (tail & (uartWords.rxBytes - 1))]!;
    this.#set(uartWords.rxTail, (tail + 1) | 0);
    // The device thread may hold more than the ring had room for.
    if (((this.#get(uartWords.rxHead) - tail) | 0) === uartWords.rxBytes) ringBell(this.#words);
    this.update();
    return byte;
  }

  #transmit(byte: number): void {
    if ((this.#get(uartWords.mcr) & MCR_LOOP) !== 0) {
      this.#set(uartWords.looped, 0x100 | byte);
      this.update();
      return;
    }
    const head = this.#get(uartWords.txHead);
    while (((head - this.#get(uartWords.txTail)) | 0) >= uartWords.txBytes) {
      ringBell(this.#words);
      this.#waitForRoom(waitMs);
      // A machine that stops while nobody takes its output must not hang here.
      if (Atomics.load(this.#words, control.stop >> 2) !== 0) return;
    }
    this.#bytes[this.#base + uartWords.tx + (head & (uartWords.txBytes - 1))] = byte;
    this.#set(uartWords.txHead, (head + 1) | 0);
    // Only the first character wakes the device thread: it looks again after it took all.
    if (this.#get(uartWords.txTail) === head) ringBell(this.#words);
    if ((this.#get(uartWords.ier) & IER_THRI) === 0) return;
    this.#set(uartWords.emptied, this.#room ? 1 : 0);
    // The device thread may have made room between the look and the store.
    if (this.#room) this.#set(uartWords.emptied, 1);
    this.update();
  }

  /** IIR; reading it takes "transmitter empty" back if that is what it tells. */
  #identify(): number {
    const cause = this.#cause();
    const fifo = (this.#get(uartWords.fcr) & FCR_ENABLE) !== 0 ? IIR_FIFO : 0;
    if (cause === IIR_THRI) {
      this.#set(uartWords.emptied, 0);
      this.update();
    }
    return cause | fifo;
  }

  #cause(): number {
    const ier = this.#get(uartWords.ier);
    const received = this.#received;
    if ((ier & IER_RDI) !== 0 && received > 0) {
      const fcr = this.#get(uartWords.fcr);
      const trigger = (fcr & FCR_ENABLE) === 0 ? 1 : triggers[fcr >> 6]!;
      return received >= trigger ? IIR_RDI : IIR_RX_TIMEOUT;
    }
    if ((ier & IER_THRI) !== 0 && this.#get(uartWords.emptied) !== 0) return IIR_THRI;
    return IIR_NO_INT;
  }

  #lineStatus(): number {
    const ready = this.#received > 0 ? LSR_DR : 0;
    if (!this.#room) this.#waitForRoom(pollMs);
    return this.#room ? ready | LSR_THRE | LSR_TEMT : ready;
  }

  #modemStatus(): number {
    const mcr = this.#get(uartWords.mcr);
    if ((mcr & MCR_LOOP) === 0) return msrConnected;
    // The outputs come back as inputs: RTS as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD.
    return ((mcr & 0x02) << 3) | ((mcr & 0x01) << 5) | ((mcr & 0x0c) << 4);
  }

  get #received(): number {
    if ((this.#get(uartWords.mcr) & MCR_LOOP) !== 0) return this.#get(uartWords.looped) !== 0 ? 1 : 0;
    return (this.#get(uartWords.rxHead) - this.#get(uartWords.rxTail)) | 0;
  }

  get #room(): boolean {
    return ((this.#get(uartWords.txHead) - this.#get(uartWords.txTail)) | 0) <= uartWords.txBytes - fifoBytes;
  }

  #waitForRoom(ms: number): void {
    const at = (this.#base + uartWords.txTail) >> 2;
    const tail = Atomics.load(this.#words, at);
    if (((this.#get(uartWords.txHead) - tail) | 0) > uartWords.txBytes - fifoBytes)
      Atomics.wait(this.#words, at, tail, ms);
  }

  #get(word: number): number {
    return Atomics.load(this.#words, (this.#base + word) >> 2);
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, (this.#base + word) >> 2, value);
  }
}
