// Our machine, bare: runs a flat image in M mode, and gives what it printed.
import { clint, syscon, uart } from '../../../src/devices/address-map.ts';
import { layout, ramStart, wasmPageBytes } from '../../../src/memory/layout.ts';
import { createHart, type HartOptions } from '../../../src/vcpu/hart.ts';
import { ramBytes, timeoutMs } from './qemu-machine.ts';

export interface OwnRun {
  readonly output: string;
  readonly milliseconds: number;
}

export function runInOwn(image: Uint8Array, engine: HartOptions['engine']): OwnRun {
  const map = layout(1, ramBytes);
  const pages = map.totalBytes / wasmPageBytes;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).set(image, map.ram);
  const output: string[] = [];
  let off = false;
  const hart = createHart({
    memory,
    layout: map,
    index: 0,
    engine,
    // Random programs repeat little: so that most of them is translated all the same.
    hotCount: 200,
    invalidCode: (error) => {
      throw error;
    },
    supervisorCalls: 'firmware',
    clintStart: clint.start,
    clock: () => 0,
    mmio: {
      has: (address) => (address >= uart.start && address < uart.start + 8) || address === syscon.start,
      // The port is always ready.
      read: () => 0x60,
      write: (address, _, value) => {
        if (address === uart.start) output.push(String.fromCharCode(value));
        else off = value === syscon.powerOff;
      },
    },
  });
  hart.reset(ramStart, 3, 0, 0);
  const startedAt = performance.now();
  while (!off) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`no end after ${timeoutMs} ms at pc ${hart.pc().toString(16)}`);
    hart.run(100_000);
  }
  return { output: output.join(''), milliseconds: performance.now() - startedAt };
}
