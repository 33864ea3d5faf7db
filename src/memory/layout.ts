// The map of a machine's one shared memory: a WebAssembly.Memory that holds everything a hart's code touches.
// Checkpoint, translation and devices all rest on it: what is here is the machine's state, what is not is a cache.

/** Bytes of a WebAssembly page and of a guest's page (Sv39). */
export const wasmPageBytes = 0x1_0000;
export const pageBytes = 0x1000;
export const pageShift = 12;

/** Where RAM begins in the guest's physical addresses, as on every RISC-V board that Linux knows. */
export const ramStart = 0x8000_0000;

/** Words of the control page, as byte offsets from 0 (offset 0 itself stays unused, so that 0 can mean "none"). */
export const control = {
  /** Counted up, then notified, by a hart that has work for the thread of the devices. */
  bell: 0x08,
  /** Counted up when a page flagged `code` was written by a device: harts then look for pages flagged `stale`. */
  staleCode: 0x10,
  /** Not 0: every hart stops at its next look at `attention`. */
  stop: 0x18,
  /** The device thread waits here for its own notification, to let its event loop run (src/devices/bell.ts). */
  pause: 0x20,
  /** One mailbox a hart, see src/devices/mailbox.ts. */
  mailboxes: 0x100,
  mailboxBytes: 0x40,
} as const;

/** Flags of a RAM page, one byte a page. */
export const pageFlag = {
  /** Bit of hart h: that hart may hold a write tag for the page in its TLB (up to four harts). */
  writableBy: (hart: number): number => 1 << hart,
  /** Instructions of the page are decoded or translated: nobody may hold a write tag. */
  code: 0x10,
  /** A device wrote to a page flagged `code`. */
  stale: 0x20,
} as const;

/** Words at the start of each hart's area that other threads write, as byte offsets in the area. */
export const hartWord = {
  /** Not 0: the hart leaves its loop soon and looks at what follows. Always stored with Atomics. */
  attention: 0x00,
  /** Bits of mip that come from outside (SSIP, MSIP, MTIP, SEIP, MEIP), set and cleared with Atomics.or and .and. */
  pending: 0x04,
  /** What a hart in WFI waits on (Atomics.wait while 0); set to 1 and notified by whoever has news for it. */
  wake: 0x08,
  /** Requests of other harts and the monitor, see src/vcpu/requests.ts. */
  requests: 0x0c,
} as const;

export const maxHarts = 4;
/** A hart's registers, control and status registers, TLBs. */
export const hartBytes = 0x10_0000;
/** A hart's room for decoded instructions; touched lazily. */
export const decodedBytes = 0x400_0000;
/** Room for what devices share with harts: the interrupt controller, the serial port, doorbells. */
export const sharedDeviceBytes = 0x1_0000;

export interface Layout {
  readonly harts: number;
  readonly ramBytes: number;
  readonly hart: (index: number) => number;
  readonly decoded: (index: number) => number;
  readonly devices: number;
  /** One byte a RAM page, see `pageFlag`. */
  readonly pageFlags: number;
  /** One byte a RAM page: bit of hart h, that hart has decoded instructions of the page. */
  readonly codeHolders: number;
  readonly ram: number;
  /** All of it, a whole number of WebAssembly pages. */
  readonly totalBytes: number;
}

/** Lays a machine of `harts` harts and `ramBytes` bytes of RAM (a multiple of 64 KiB) out in one memory. */
export function layout(harts: number, ramBytes: number): Layout {
  const hartsStart = wasmPageBytes;
  const devices = hartsStart + harts * hartBytes;
  const pageFlags = devices + sharedDeviceBytes;
  const flagBytes = roundUp(ramBytes / pageBytes);
  const codeHolders = pageFlags + flagBytes;
  const decodedStart = codeHolders + flagBytes;
  const ram = decodedStart + harts * decodedBytes;
  return {
    harts,
    ramBytes,
    hart: (index) => hartsStart + index * hartBytes,
    decoded: (index) => decodedStart + index * decodedBytes,
    devices,
    pageFlags,
    codeHolders,
    ram,
    totalBytes: ram + roundUp(ramBytes),
  };
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / wasmPageBytes) * wasmPageBytes;
}
