// The supervisor binary interface, answered by the monitor in place of firmware (RISC-V SBI 2.0). One row an extension; a call
// gets its arguments a0 to a5 and gives back an error and a value.
import { syscon, uart } from '../devices/address-map.ts';
import { interrupt, type Signals } from '../memory/signals.ts';
import type { Hart, RemoteFence } from '../vcpu/hart.ts';
import type { Mmio } from '../vcpu/mmio.ts';
import { type HartControl, hartState } from './hart-control.ts';

/** What a call may touch: the hart that makes it, the others, the devices, and RAM. */
export interface SbiWorld {
  readonly hart: Hart;
  readonly index: number;
  readonly control: HartControl;
  readonly signals: Signals;
  readonly mmio: Mmio;
  /** Bytes of RAM at a guest-physical address, or undefined where it is not RAM. */
  readonly ram: (address: bigint, bytes: number) => Uint8Array | undefined;
}

interface Answer {
  readonly error: number;
  readonly value: bigint;
}

type Arguments = readonly bigint[];
type Call = (world: SbiWorld, a: Arguments) => Answer;

/** Error codes (chapter 3). */
const failed = -1;
const notSupported = -2;
const invalidParameter = -3;
const invalidAddress = -5;
const alreadyAvailable = -6;

const specificationVersion = 2n << 24n;
const implementation = 0x686f6c6dn; // 'holm'
const implementationVersion = 1n;

interface Extension {
  readonly id: bigint;
  readonly calls: Readonly<Record<number, Call>>;
}

const base: Extension = {
  id: 0x10n,
  calls: {
    0: () => success(specificationVersion),
    1: () => success(implementation),
    2: () => success(implementationVersion),
    3: (_, [id]) => success(byId.has(id ?? 0n) || legacy.has(id ?? 0n) ? 1n : 0n),
    4: () => success(0n), // mvendorid, marchid and mimpid: not a commercial implementation
    5: () => success(0n),
    6: () => success(0n),
  },
};

const time: Extension = {
  id: 0x54494d45n,
  calls: {
    0: ({ hart }, [at]) => {
      hart.setCsr('stimecmp', at ?? 0n);
      return success();
    },
  },
};

const ipi: Extension = {
  id: 0x735049n,
  calls: {
    0: (world, [mask, first]) => {
      const harts = chosen(world, mask, first);
      if (!harts) return error(invalidParameter);
      for (const hart of harts) world.signals.raise(hart, interrupt.ssip);
      return success();
    },
  },
};

const rfence: Extension = {
  id: 0x52464e43n,
  calls: {
    0: (world, a) => fence(world, a, () => ({ of: 'instructions' })),
    1: (world, a) => fence(world, a, () => addresses(a, undefined)),
    2: (world, a) => fence(world, a, () => addresses(a, Number(a[4] ?? 0n))),
  },
};

const hsm: Extension = {
  id: 0x48534dn,
  calls: {
    0: ({ control }, [hart, start, opaque]) => {
      const index = Number(hart);
      if (!(index < control.harts)) return error(invalidParameter);
      if (control.state(index) === hartState.started) return error(alreadyAvailable);
      return control.start(index, start ?? 0n, opaque ?? 0n) ? success() : error(failed);
    },
    1: ({ control, index }) => {
      control.setState(index, hartState.stopped);
      return success();
    },
    2: ({ control }, [hart]) => {
      const index = Number(hart);
      return index < control.harts ? success(BigInt(control.state(index))) : error(invalidParameter);
    },
  },
};

const systemReset: Extension = {
  id: 0x53525354n,
  calls: {
    0: ({ mmio }, [type]) => {
      if (type !== 0n && type !== 1n && type !== 2n) return error(invalidParameter);
      mmio.write(syscon.start, 4, type === 0n ? syscon.powerOff : syscon.reboot);
      return success();
    },
  },
};

const maxConsoleBytes = 4096;

const debugConsole: Extension = {
  id: 0x4442434en,
  calls: {
    0: (world, [count, low, high]) => {
      const bytes = consoleBytes(world, count, low, high);
      if (!bytes) return error(invalidAddress);
      for (const byte of bytes) world.mmio.write(uart.start, 1, byte);
      return success(BigInt(bytes.length));
    },
    1: (world, [count, low, high]) => {
      const bytes = consoleBytes(world, count, low, high);
      if (!bytes) return error(invalidAddress);
      let read = 0;
      while (read < bytes.length && dataReady(world.mmio)) bytes[read++] = world.mmio.read(uart.start, 1);
      return success(BigInt(read));
    },
    2: ({ mmio }, [byte]) => {
      mmio.write(uart.start, 1, Number((byte ?? 0n) & 0xffn));
      return success();
    },
  },
};

const extensions: readonly Extension[] = [base, time, ipi, rfence, hsm, systemReset, debugConsole];
const byId: ReadonlyMap<bigint, Extension> = new Map(extensions.map((extension) => [extension.id, extension]));

/** Calls of SBI 0.1 (chapter 5) that early consoles still use: they give back one value in a0. */
const legacy: ReadonlyMap<bigint, (world: SbiWorld, a: Arguments) => bigint> = new Map([
  [
    0n,
    ({ hart }, [at]) => {
      hart.setCsr('stimecmp', at ?? 0n);
      return 0n;
    },
  ],
  [
    1n,
    ({ mmio }, [byte]) => {
      mmio.write(uart.start, 1, Number((byte ?? 0n) & 0xffn));
      return 0n;
    },
  ],
  [2n, ({ mmio }) => (dataReady(mmio) ? BigInt(mmio.read(uart.start, 1)) : -1n)],
  [
    8n,
    ({ mmio }) => {
      mmio.write(syscon.start, 4, syscon.powerOff);
      return 0n;
    },
  ],
]);

const a0 = 10;
const a6 = 16;
const a7 = 17;

/** Answers the ecall that a hart's `run` stopped at, and moves its pc behind it. */
export function answerCall(world: SbiWorld): void {
  const { hart } = world;
  const id = hart.x(a7) & 0xffff_ffff_ffff_ffffn;
  const args = [0, 1, 2, 3, 4, 5].map((i) => BigInt.asUintN(64, hart.x(a0 + i)));
  hart.setPc(hart.pc() + 4n);
  const old = legacy.get(id);
  if (old) {
    hart.setX(a0, old(world, args));
    return;
  }
  const call = byId.get(id)?.calls[Number(BigInt.asUintN(32, hart.x(a6)))];
  const answer = call ? call(world, args) : error(notSupported);
  hart.setX(a0, BigInt(answer.error));
  hart.setX(a0 + 1, answer.value);
}

/** The harts of a hart mask (section 3.1); undefined if it names one that is not there. */
function chosen({ control }: SbiWorld, mask = 0n, first = 0n): number[] | undefined {
  const all = Array.from({ length: control.harts }, (_, hart) => hart);
  if (first === 0xffff_ffff_ffff_ffffn) return all;
  if (first >= BigInt(control.harts)) return undefined;
  const bits = mask << first;
  if (bits >> BigInt(control.harts)) return undefined;
  return all.filter((hart) => (bits >> BigInt(hart)) & 1n);
}

function fence(world: SbiWorld, [mask, first]: Arguments, describe: () => RemoteFence): Answer {
  const harts = chosen(world, mask, first);
  if (!harts) return error(invalidParameter);
  world.hart.remoteFence(harts, describe());
  return success();
}

/** Start 0 and size 0, or size -1, mean the whole address space (chapter 8). */
function addresses([, , start = 0n, size = 0n]: Arguments, asid: number | undefined): RemoteFence {
  const whole = (start === 0n && size === 0n) || size === 0xffff_ffff_ffff_ffffn;
  return { of: 'addresses', start: whole ? 0 : Number(start), bytes: whole ? Infinity : Number(size), asid };
}

function consoleBytes(world: SbiWorld, count = 0n, low = 0n, high = 0n): Uint8Array | undefined {
  if (high !== 0n) return undefined;
  return world.ram(low, Number(count > BigInt(maxConsoleBytes) ? maxConsoleBytes : count));
}

const lineStatus = 5;

function dataReady(mmio: Mmio): boolean {
  return (mmio.read(uart.start + lineStatus, 1) & 1) !== 0;
}

function success(value = 0n): Answer {
  return { error: 0, value };
}

function error(code: number): Answer {
  return { error: code, value: 0n };
}
