// What a hart needs of the world: registers of devices, and the time. Carried out by src/devices/hart-port.ts.

export interface Mmio {
  /** Whether a device's window holds these bytes; anything else that is not RAM is an access fault. */
  has(address: number, bytes: number): boolean;
  /** Reads at most four bytes, as an unsigned number. Eight bytes are two accesses, low half first. */
  read(address: number, bytes: 1 | 2 | 4): number;
  write(address: number, bytes: 1 | 2 | 4, value: number): void;
}

/** The time CSR's clock, in ticks of `timebaseHertz` since the machine's start, whole and never going back. */
export type Clock = () => number;
export const timebaseHertz = 10_000_000;
