// What a hart's thread does from its first to its last moment: run guest code, answer its calls, sleep when there is nothing to
// do. It returns when the machine stops.
import { control, hartWord, type Layout, ramStart } from '../memory/layout.ts';
import { Signals } from '../memory/signals.ts';
import type { Hart } from '../vcpu/hart.ts';
import { type Mmio, timebaseHertz } from '../vcpu/mmio.ts';
import { HartControl, hartState } from './hart-control.ts';
import { answerCall, type SbiWorld } from './sbi.ts';

export interface HartThread {
  readonly hart: Hart;
  readonly index: number;
  readonly buffer: SharedArrayBuffer;
  readonly layout: Layout;
  readonly mmio: Mmio;
  /** The mode a hart begins in: S, or M where firmware is. */
  readonly privilege: 1 | 3;
}

/** Instructions between two looks at the world; interrupts come in between by `attention`. */
const sliceInstructions = 1_000_000;
/** The longest sleep: a lost wake-up would cost this much and no more. */
const maxSleepMs = 1000;
const ticksPerMs = timebaseHertz / 1000;
const a2 = 12;

/** Runs a hart until the machine stops (control.stop). */
export function runHart({ hart, index, buffer, layout, mmio, privilege }: HartThread): void {
  const words = new Int32Array(buffer);
  const harts = new HartControl(buffer, layout);
  const world: SbiWorld = {
    hart,
    index,
    control: harts,
    signals: new Signals(buffer, layout),
    mmio,
    ram: ramReader(buffer, layout),
  };
  while (!harts.stopping) {
    if (!entered(hart, harts, index, privilege)) continue;
    const leave = hart.run(sliceInstructions);
    if (leave === 'sbi') answerCall(world);
    else if (leave === 'wfi') {
      const halted = hart.csr('sie') === 0n;
      if (halted) harts.setHalted(index, true);
      sleep(words, layout.hart(index), hart.ticksToTimer());
      if (halted) harts.setHalted(index, false);
    }
  }
}

/** Whether the hart is started; a stopped one sleeps a while, one that is asked to start begins. */
function entered(hart: Hart, harts: HartControl, index: number, privilege: 1 | 3): boolean {
  const state = harts.state(index);
  if (state === hartState.started) return true;
  if (state === hartState.startPending) {
    const { pc, opaque, firmware } = harts.begin(index);
    hart.reset(pc, privilege, index, opaque);
    hart.setX(a2, BigInt(firmware));
    harts.setState(index, hartState.started);
    return true;
  }
  hart.serveRequests();
  harts.waitWhileStopped(index, stoppedLookMs);
  return false;
}

/** How often a stopped hart serves what others ask of it (they do not wait for stopped harts otherwise). */
const stoppedLookMs = 100;

/**
 * Sleeps until news or the timer. `wake` is cleared before `attention` is read, and whoever has news writes them in the other
 * order, so that none is missed.
 */
function sleep(words: Int32Array, area: number, ticks: number): void {
  const wake = (area + hartWord.wake) >> 2;
  Atomics.store(words, wake, 0);
  if (Atomics.load(words, (area + hartWord.attention) >> 2) !== 0) return;
  if (Atomics.load(words, control.stop >> 2) !== 0) return;
  Atomics.wait(words, wake, 0, Math.min(ticks / ticksPerMs, maxSleepMs));
}

function ramReader(buffer: SharedArrayBuffer, layout: Layout): SbiWorld['ram'] {
  return (address, bytes) => {
    const offset = Number(address) - ramStart;
    if (!(offset >= 0 && offset + bytes <= layout.ramBytes)) return undefined;
    return new Uint8Array(buffer, layout.ram + offset, bytes);
  };
}
