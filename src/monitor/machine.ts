// A whole machine put together, without a host: memory, devices, a kernel in place, harts to be started. Whoever builds one
// brings the threads, the backends and the clock, so the same machine runs in a process of its own and in a page.

import { rtc, syscon } from '../devices/address-map.ts';
import { Bus } from '../devices/bus.ts';
import { Plic } from '../devices/plic.ts';
import { Rtc, type WallClock } from '../devices/rtc.ts';
import { SerialLine, type SerialSink } from '../devices/serial-line.ts';
import { Syscon } from '../devices/syscon.ts';
import { Uart } from '../devices/uart.ts';
import type { VirtioDevice } from '../devices/virtio/device.ts';
import { VirtioMmio } from '../devices/virtio/mmio.ts';
import { VirtioPort } from '../devices/virtio/port.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { control, type Layout, layout, wasmPageBytes } from '../memory/layout.ts';
import { Signals } from '../memory/signals.ts';
import { machineTree } from './device-tree.ts';
import { extensions } from './extensions.ts';
import { placeFirmware, treeGrowthBytes } from './firmware-image.ts';
import { encodeTree } from './flattened-tree.ts';
import { HartControl, hartState } from './hart-control.ts';
import type { HartStart } from './hart-thread.ts';
import { place } from './kernel-image.ts';

export interface MachineOptions {
  readonly harts: number;
  /** A multiple of 1 MiB. */
  readonly ramBytes: number;
  /** A raw `Image` for S mode. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  /** Firmware for M mode that starts the kernel and answers its calls (OpenSBI's fw_dynamic); without it the monitor does. */
  readonly firmware?: Uint8Array;
  readonly commandLine: string;
  /** Devices of virtio over MMIO; the first has slot 0, and so on. */
  readonly virtio: readonly VirtioDevice[];
  readonly serial: SerialSink;
  /** Random bytes of the host. */
  readonly random: (bytes: number) => Uint8Array;
  /** Milliseconds of the process, shared by all its threads. */
  readonly nowMs: () => number;
  readonly calendar: WallClock;
  /** Calls `work` every `ms` until the function returned is called. */
  readonly watch: (work: () => void, ms: number) => () => void;
  readonly engine: HartStart['engine'];
  /** Makes the thread of a hart; resolves when the thread has ended, rejects when it failed. */
  readonly startHart: (start: HartStart) => Promise<void>;
  /** Told what a device's driver did wrong. */
  readonly broke?: (device: string, why: string) => void;
}

/** How often the monitor looks whether the guest can still do anything. */
const haltLookMs = 1000;

/** How a machine ended: by its own will, or because someone or a fault ended it. */
export type MachineEnd =
  | { readonly by: 'powerOff' | 'reboot' | 'halt' | 'stop' }
  | { readonly by: 'fault'; readonly error: unknown };

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly guest: GuestMemory;
  readonly serial: SerialLine;
  readonly #options: Omit<MachineOptions, 'kernel' | 'initrd' | 'firmware'>;
  readonly #supervisorCalls: HartStart['supervisorCalls'];
  readonly #bus: Bus;
  readonly #closed = new AbortController();
  readonly #clock: Rtc;
  #end: MachineEnd | undefined;
  #halted = false;
  readonly #signals: Signals;

  /** Builds the machine and puts its kernel in place; nothing runs yet. Throws BadKernel. */
  constructor({ kernel, initrd, firmware, ...options }: MachineOptions) {
    // The files lie in the guest's memory from here on: kept here too they would be some fifty megabytes more.
    this.#options = options;
    this.#supervisorCalls = firmware ? 'firmware' : 'monitor';
    this.layout = layout(options.harts, options.ramBytes);
    const pages = this.layout.totalBytes / wasmPageBytes;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const buffer = this.memory.buffer as ArrayBufferLike as SharedArrayBuffer;
    this.guest = new GuestMemory(buffer, this.layout);
    this.#signals = new Signals(buffer, this.layout);
    const plic = new Plic(buffer, this.layout, this.#signals);
    const port = new VirtioPort(buffer, this.layout, plic);
    this.serial = new SerialLine(buffer, this.layout, new Uart(buffer, this.layout, plic), options.serial);
    const failed = (device: string, error: unknown): void =>
      this.stop({ by: 'fault', error: new Error(`device "${device}" failed`, { cause: error }) });
    this.#bus = new Bus({ buffer, layout: this.layout, plic, port, serial: this.serial, failed });
    this.#clock = new Rtc(options.calendar, plic.line(rtc.interrupt));
    this.#bus.attach(this.#clock, rtc);
    this.#bus.attach(new Syscon((what) => this.stop({ by: what })), syscon);
    for (const [slot, device] of options.virtio.entries()) {
      this.#bus.attachVirtio(
        new VirtioMmio({ device, slot, memory: this.guest, port, ...(options.broke && { broke: options.broke }) }),
      );
    }
    this.#load({ kernel, ...(initrd && { initrd }), ...(firmware && { firmware }) });
  }

  /** Runs the machine to its end. */
  async run(): Promise<MachineEnd> {
    const { harts } = this.#options;
    const startedAtMs = this.#options.nowMs();
    const bus = this.#bus.serve(this.#closed.signal);
    const threads = Array.from({ length: harts }, (_, index) =>
      this.#options
        .startHart({
          memory: this.memory,
          harts,
          ramBytes: this.#options.ramBytes,
          index,
          engine: this.#options.engine,
          supervisorCalls: this.#supervisorCalls,
          startedAtMs,
        })
        .catch((error: unknown) => this.stop({ by: 'fault', error })),
    );
    const watch = this.#options.watch(() => this.#lookForHalt(), haltLookMs);
    await Promise.all(threads);
    watch();
    this.#closed.abort();
    await bus;
    this.#clock.close();
    return this.#end ?? { by: 'fault', error: new Error('its harts ended without a reason') };
  }

  /** Stops all harts; `run` resolves when they have ended. The first reason counts. */
  stop(end: MachineEnd = { by: 'stop' }): void {
    this.#end ??= end;
    const words = new Int32Array(this.memory.buffer);
    Atomics.store(words, control.stop >> 2, 1);
    const harts = new HartControl(this.memory.buffer, this.layout);
    for (let hart = 0; hart < this.layout.harts; hart++) {
      this.#signals.nudge(hart);
      harts.wake(hart);
    }
  }

  /** Ends the machine when every hart sleeps with interrupts off, two looks in a row: nothing can ever wake it. */
  #lookForHalt(): void {
    if (!new HartControl(this.memory.buffer, this.layout).allHalted()) this.#halted = false;
    else if (this.#halted) this.stop({ by: 'halt' });
    else this.#halted = true;
  }

  /** Kernel, initial RAM disk and device tree into RAM; hart 0 will start at the kernel, the others wait for it. */
  #load({ kernel, initrd, firmware }: Pick<MachineOptions, 'kernel' | 'initrd' | 'firmware'>): void {
    const { harts, ramBytes, commandLine, virtio, random } = this.#options;
    const initrdBytes = initrd?.length ?? 0;
    const seed = random(32);
    const tree = (start: number): Uint8Array =>
      encodeTree(
        machineTree({
          harts,
          ramBytes,
          commandLine,
          extensions,
          virtioSlots: virtio.map((_, slot) => slot),
          seed,
          firmware: firmware !== undefined,
          ...(initrdBytes > 0 && { initrd: { start, end: start + initrdBytes } }),
        }),
      );
    // The tree's size does not depend on where the initial RAM disk lies.
    const file = { head: kernel, bytes: kernel.length };
    const where = place(file, initrdBytes, tree(0).length + (firmware ? treeGrowthBytes : 0), ramBytes);
    this.guest.set(where.kernel, kernel);
    if (initrd) this.guest.set(where.initrd, initrd);
    this.guest.set(where.tree, tree(where.initrd));
    const control = new HartControl(this.memory.buffer, this.layout);
    for (let hart = 0; hart < harts; hart++) control.setState(hart, hartState.stopped);
    if (firmware === undefined) {
      control.start(0, BigInt(where.kernel), BigInt(where.tree));
      return;
    }
    // Firmware starts on all harts at once and chooses among them; it tells the kernel of the rest.
    const { start, note, noteBytes } = placeFirmware(firmware, where.kernel);
    this.guest.set(start, firmware);
    this.guest.set(note, noteBytes);
    for (let hart = 0; hart < harts; hart++) control.start(hart, BigInt(start), BigInt(where.tree), BigInt(note));
  }
}
