// The core-local interruptor (SiFive's, as in the device-tree binding "sifive,clint0"): software interrupts and timers for firmware
// in M mode. Harts carry it out themselves: a register is a word of a hart's area or a bit of its mip.
import type { Layout } from '../memory/layout.ts';
import { interrupt, Signals } from '../memory/signals.ts';
import { state } from './hart-state.ts';
import type { Clock, Mmio } from './mmio.ts';

const software = 0;
const timeCompare = 0x4000;
const time = 0xbff8;
const windowBytes = 0x1_0000;

/** Devices with a CLINT at `start` among them; `changed` is called when this hart wrote to a mtimecmp. */
export function withClint(
  devices: Mmio,
  start: number,
  { buffer, layout, clock, changed }: { buffer: ArrayBufferLike; layout: Layout; clock: Clock; changed: () => void },
): Mmio {
  const signals = new Signals(buffer, layout);
  const view = new DataView(buffer);
  const holds = (address: number): boolean => address >= start && address < start + windowBytes;
  return {
    has: (address, bytes) =>
      holds(address) ? bytes >= 4 && place(address - start) !== undefined : devices.has(address, bytes),
    read(address, bytes) {
      if (!holds(address)) return devices.read(address, bytes);
      const at = place(address - start);
      if (at?.of === 'time') return half(clock(), at.upper);
      if (at?.of === 'timeCompare') return view.getUint32(at.offset, true);
      return at && signals.pending(at.hart) & interrupt.msip ? 1 : 0;
    },
    write(address, bytes, value) {
      if (!holds(address)) {
        devices.write(address, bytes, value);
        return;
      }
      const at = place(address - start);
      if (at?.of === 'software') {
        if (value & 1) signals.raise(at.hart, interrupt.msip);
        else signals.lower(at.hart, interrupt.msip);
      } else if (at?.of === 'timeCompare') {
        view.setUint32(at.offset, value, true);
        changed();
        signals.nudge(at.hart);
      }
      // The clock is the machine's: mtime cannot be set.
    },
  };

  function place(
    offset: number,
  ):
    | { readonly of: 'software'; readonly hart: number }
    | { readonly of: 'timeCompare'; readonly hart: number; readonly offset: number }
    | { readonly of: 'time'; readonly upper: boolean }
    | undefined {
    if (offset >= time) return offset < time + 8 ? { of: 'time', upper: offset >= time + 4 } : undefined;
    const hart = offset >= timeCompare ? (offset - timeCompare) >> 3 : (offset - software) >> 2;
    if (hart >= layout.harts) return undefined;
    if (offset < timeCompare) return { of: 'software', hart };
    return { of: 'timeCompare', hart, offset: layout.hart(hart) + state.mtimecmp + (offset & 4) };
  }
}

function half(ticks: number, upper: boolean): number {
  return upper ? Math.floor(ticks / 2 ** 32) : ticks % 2 ** 32;
}
