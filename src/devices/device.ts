// What every device is: a window of guest-physical addresses, and a state that can be saved and loaded.
// A device lives on the machine's device thread. What a hart must reach without asking that thread (the interrupt
// controller, the serial port, a virtio device's interrupt status and doorbell) lies in shared memory instead.

/** A device's state: plain values, so that it can be posted, stored and compared. */
export type DeviceState = { readonly [name: string]: StateValue };
export type StateValue = number | string | boolean | Uint8Array | readonly StateValue[] | DeviceState;

export type AccessBytes = 1 | 2 | 4;

export interface Device {
  readonly name: string;
  /** Reads `bytes` bytes at `offset` of the window, little-endian; what is not there reads as 0. */
  read(offset: number, bytes: AccessBytes): number;
  /** The hart goes on when this returned, or when the promise is settled. */
  write(offset: number, bytes: AccessBytes, value: number): void | Promise<void>;
  save(): DeviceState;
  load(state: DeviceState): void;
}

/** A wire from a device to the interrupt controller; level-triggered. */
export interface InterruptLine {
  set(level: boolean): void;
}
