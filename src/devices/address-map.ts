// The address map: where each device's window lies in guest-physical memory, and its interrupt at the PLIC. The device
// tree (src/monitor/device-tree.ts) is printed from this table.

export interface Window {
  readonly start: number;
  readonly bytes: number;
}

/** Reset and power-off by syscon: the values below written to its first word (device-tree binding "syscon-poweroff"). */
export const syscon = { start: 0x0010_0000, bytes: 0x1000, powerOff: 0x5555, reboot: 0x7777 } as const;
/** Goldfish real-time clock. */
export const rtc = { start: 0x0010_1000, bytes: 0x1000, interrupt: 11 } as const;
/** Core-local interruptor: for firmware in M mode; handled by the harts themselves (src/vcpu/). */
export const clint = { start: 0x0200_0000, bytes: 0x1_0000 } as const;
/** Platform-level interrupt controller, specification 1.0.0. */
export const plic = { start: 0x0c00_0000, bytes: 0x60_0000, sources: 32 } as const;
/** 8250-compatible serial port (16550A). */
export const uart = { start: 0x1000_0000, bytes: 0x100, interrupt: 10 } as const;
/** virtio over MMIO (virtio 1.2, section 4.2): slot n. */
export const virtio = { start: 0x1000_1000, bytes: 0x1000, slots: 16, firstInterrupt: 12 } as const;

export function virtioSlot(slot: number): Window & { readonly interrupt: number } {
  return { start: virtio.start + slot * virtio.bytes, bytes: virtio.bytes, interrupt: virtio.firstInterrupt + slot };
}
