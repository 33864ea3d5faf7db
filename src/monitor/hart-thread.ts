// What a hart's thread is told at its start, and its whole life. The thread itself (a worker of Node, or of a page) is the
// caller's: it gets a HartStart as a message and calls `runHartThread`.
import { clint } from '../devices/address-map.ts';
import { HartPort } from '../devices/hart-port.ts';
import { layout } from '../memory/layout.ts';
import { createHart, type HartOptions } from '../vcpu/hart.ts';
import { timebaseHertz } from '../vcpu/mmio.ts';
import { runHart } from './hart-loop.ts';

export interface HartStart {
  readonly memory: WebAssembly.Memory;
  readonly harts: number;
  readonly ramBytes: number;
  readonly index: number;
  readonly engine: HartOptions['engine'];
  readonly supervisorCalls: HartOptions['supervisorCalls'];
  /** When the machine's time began, in `nowMs` of the thread that built it. */
  readonly startedAtMs: number;
}

/**
 * Runs a hart until the machine stops. `nowMs` is a clock that all threads of the process share, in milliseconds with
 * fractions; it never goes back.
 */
export function runHartThread(start: HartStart, nowMs: () => number): void {
  const { memory, index } = start;
  const buffer = memory.buffer as ArrayBufferLike as SharedArrayBuffer;
  const map = layout(start.harts, start.ramBytes);
  const mmio = new HartPort(buffer, map, index);
  const ticksPerMs = timebaseHertz / 1000;
  const withFirmware = start.supervisorCalls === 'firmware';
  const hart = createHart({
    memory,
    layout: map,
    index,
    mmio,
    clock: () => Math.floor((nowMs() - start.startedAtMs) * ticksPerMs),
    supervisorCalls: start.supervisorCalls,
    engine: start.engine,
    ...(withFirmware && { clintStart: clint.start }),
  });
  runHart({ hart, index, buffer, layout: map, mmio, privilege: withFirmware ? 3 : 1 });
}
