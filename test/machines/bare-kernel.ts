// Kernels of a few instructions for a whole machine: an Image with a header as the monitor wants it, run to its power-off.
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { syscon } from '../../src/devices/address-map.ts';
import { every, sharedClock, wallClock } from '../../src/machines/soft/clock.ts';
import { ramStart } from '../../src/memory/layout.ts';
import type { HartStart } from '../../src/monitor/hart-thread.ts';
import { Machine, type MachineEnd } from '../../src/monitor/machine.ts';
import { Assembler } from './differential/assembler.ts';

export const engines = ['interpreter', 'translator'] as const;
/** Where a kernel begins: 2 MiB behind the start of RAM. */
export const kernelStart: number = ramStart + 0x20_0000;
const ramBytes = 16 * 2 ** 20;
const timeLimitMs = 60_000;
const headerBytes = 64;

/** Registers by their names in the calling convention. */
export const reg = {
  zero: 0,
  ra: 1,
  sp: 2,
  gp: 3,
  tp: 4,
  t0: 5,
  t1: 6,
  t2: 7,
  s0: 8,
  s1: 9,
  a0: 10,
  a1: 11,
  a2: 12,
  a3: 13,
  a4: 14,
  a5: 15,
  a6: 16,
  a7: 17,
  s2: 18,
  s3: 19,
  s4: 20,
  s5: 21,
  s6: 22,
  s7: 23,
  s8: 24,
  s9: 25,
  s10: 26,
  s11: 27,
  t3: 28,
  t4: 29,
  t5: 30,
  t6: 31,
} as const;

export class KernelAssembler extends Assembler {
  /** rd = the address of a byte of the image. */
  address(rd: number, offset: number): void {
    this.liUnsigned(rd, kernelStart + offset);
  }

  /** rd = the address of a label that comes earlier. */
  addressOf(rd: number, label: string): void {
    this.address(rd, this.offsetOf(label));
  }

  move(rd: number, rs1: number): void {
    this.emit('addi', { rd, rs1 });
  }

  /** Calls SBI: arguments in a0 to a5; error in a0, value in a1. */
  call(extension: number, func: number): void {
    this.li(reg.a7, extension);
    this.li(reg.a6, func);
    this.emit('ecall');
  }

  powerOff(): void {
    this.liUnsigned(reg.t0, syscon.start);
    this.li(reg.t1, syscon.powerOff);
    this.emit('sw', { rs1: reg.t0, rs2: reg.t1 });
    this.stay();
  }

  stay(): void {
    this.emit('jal', { imm: 0 });
  }
}

/** SBI extensions (SBI 2.0). */
export const sbi = {
  base: 0x10,
  time: 0x54494d45,
  ipi: 0x735049,
  rfence: 0x52464e43,
  hsm: 0x48534d,
  putchar: 1,
} as const;

/** An Image of `bytes` bytes whose code begins behind the header, where `write` begins. */
export function kernelImage(bytes: number, write: (a: KernelAssembler) => void): Uint8Array {
  const a = new KernelAssembler(bytes);
  a.to('start', 'jal');
  a.double(8, BigInt(kernelStart - ramStart));
  a.double(16, BigInt(bytes));
  a.double(48, 0x5643_5349_52n); // "RISCV"
  a.double(56, 0x0543_5352n);
  a.at = headerBytes;
  write(a);
  return a.finish();
}

export interface KernelRun {
  readonly kernel: Uint8Array;
  readonly harts: number;
  readonly engine: HartStart['engine'];
  readonly firmware?: Uint8Array;
}

export interface Ran {
  readonly end: MachineEnd;
  readonly output: string;
  /** The kernel as it is at the end. */
  readonly memory: DataView;
  readonly milliseconds: number;
}

/** Runs a kernel until the machine ends; one that does not end in time is a fault. */
export async function runKernel({ kernel, harts, engine, firmware }: KernelRun): Promise<Ran> {
  const output: string[] = [];
  const machine = new Machine({
    ...{ harts, ramBytes, kernel, engine, commandLine: '', virtio: [], calendar: wallClock, watch: every },
    ...(firmware && { firmware }),
    serial: {
      write: (bytes) => {
        output.push(new TextDecoder('latin1').decode(bytes));
      },
    },
    random: (bytes) => randomBytes(bytes),
    nowMs: sharedClock(),
    startHart: (start) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL('./hart-worker.ts', import.meta.url), { workerData: start });
        worker.once('error', reject);
        worker.once('exit', () => resolve());
      }),
  });
  const startedAt = performance.now();
  const late = setTimeout(() => machine.stop({ by: 'fault', error: new Error('it does not end') }), timeLimitMs);
  const end = await machine.run();
  clearTimeout(late);
  const bytes = machine.guest.bytes(kernelStart, kernel.length);
  return {
    end,
    output: output.join(''),
    memory: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    milliseconds: performance.now() - startedAt,
  };
}
