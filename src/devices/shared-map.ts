// The map of the devices' area of the shared memory (Layout.devices): what harts and the device thread both touch. Byte
// offsets from the area's start; every word is accessed with Atomics only, by whichever thread.

/** The interrupt controller's state (plic.ts): one word a source, a context. */
export const plicWords = { sources: 0x000, priorities: 0x080, enables: 0x100, thresholds: 0x140 } as const;

/** The serial port's registers and rings (uart.ts). Head and tail count bytes for ever, modulo 2^32. */
export const uartWords = {
  ier: 0x800,
  lcr: 0x804,
  mcr: 0x808,
  fcr: 0x80c,
  scr: 0x810,
  divisor: 0x814,
  /** Not 0: "transmitter holding register empty" is to be told by an interrupt. */
  emptied: 0x818,
  /** A byte looped back by MCR's loop bit, with 0x100 set; 0 is none. */
  looped: 0x81c,
  txHead: 0x820,
  txTail: 0x824,
  rxHead: 0x828,
  rxTail: 0x82c,
  rx: 0x1000,
  rxBytes: 0x1000,
  tx: 0x4000,
  txBytes: 0x4000,
} as const;

/** Characters that a driver writes after one "transmitter empty": so many must fit before it is told so. */
export const fifoBytes = 16;

/** What virtio devices share with harts. */
export const virtioWords = {
  /** Bit n: slot n has a device; the others are not decoded. */
  present: 0xc00,
  /** Bit n: slot n has a bit set in its doorbell. */
  rung: 0xc04,
  /** A word a slot: InterruptStatus (virtio 1.2, section 4.2.2). */
  interruptStatus: 0xc40,
  /** A word a slot (16 of them): bit q means that queue q was notified. */
  doorbells: 0xc80,
} as const;
