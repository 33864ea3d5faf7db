// A device with what it needs of a machine, and with a driver that has done the handshake: for tests of devices.
import { GuestMemory } from '../../memory/guest-memory.ts';
import { type Layout, layout } from '../../memory/layout.ts';
import { Signals } from '../../memory/signals.ts';
import { Plic } from '../plic.ts';
import type { VirtioDevice } from './device.ts';
import { type DriverOptions, GuestDriver, type Registers } from './guest-driver.ts';
import { VirtioMmio } from './mmio.ts';
import { VirtioPort } from './port.ts';

export interface Parts {
  readonly buffer: SharedArrayBuffer;
  readonly layout: Layout;
  readonly memory: GuestMemory;
  readonly plic: Plic;
  readonly port: VirtioPort;
}

/** A machine's memory, interrupt controller and virtio port, without harts. */
export function machineParts(harts = 1, ramBytes = 0x20_0000): Parts {
  const map = layout(harts, ramBytes);
  const memory = new WebAssembly.Memory({
    initial: map.totalBytes / 0x1_0000,
    maximum: map.totalBytes / 0x1_0000,
    shared: true,
  });
  const buffer = memory.buffer as SharedArrayBuffer;
  const plic = new Plic(buffer, map, new Signals(buffer, map));
  return {
    buffer,
    layout: map,
    memory: new GuestMemory(buffer, map),
    plic,
    port: new VirtioPort(buffer, map, plic),
  };
}

export interface DeviceUnderTest {
  readonly parts: Parts;
  readonly transport: VirtioMmio;
  readonly driver: GuestDriver;
  /** Why the device broke, oldest first. */
  readonly broken: string[];
  /** Hands the device the notifications that are due; returns whether there were any. */
  serve(): boolean;
}

/** A device on slot 0 with a driver that has done the handshake. */
export function underTest(
  device: VirtioDevice,
  options: DriverOptions = {},
  parts: Parts = machineParts(),
): DeviceUnderTest {
  const broken: string[] = [];
  const transport = new VirtioMmio({
    device,
    slot: 0,
    memory: parts.memory,
    port: parts.port,
    broke: (_, why) => broken.push(why),
  });
  const { port } = parts;
  const registers: Registers = {
    read: (offset, bytes) => port.read(offset, bytes) ?? transport.read(offset, bytes),
    write: (offset, bytes, value) => port.write(offset, bytes, value) || transport.write(offset, bytes, value),
  };
  const driver = new GuestDriver(parts.memory, registers, options);
  driver.start(device.queueSizes.length);
  const serve = (): boolean => {
    let any = false;
    while (port.takeSlots() !== 0) {
      any = true;
      transport.notify(port.takeQueues(0));
    }
    return any;
  };
  return { parts, transport, driver, broken, serve };
}
