// A program for a bare machine that enters a mode with random interrupts pending, enabled, delegated and masked, and says what
// happened first: which interrupt, in which mode, vectored or not; or none, and then the call at the end of the code.
import { clint } from '../../../src/devices/address-map.ts';
import { Assembler } from './assembler.ts';
import { print, syscon } from './bare-program.ts';
import { Random } from './random.ts';

const imageBytes = 0x10_0000;
const ramStart = 0x8000_0000;
const recordsStart = 0x4_0000;
const recordBytes = 64;
const field = { mip: 0, msip: 8, mtimecmp: 16, mie: 24, mideleg: 32, mstatus: 40, vectored: 48 } as const;
const csr = {
  mstatus: 0x300,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mepc: 0x341,
  mcause: 0x342,
  mip: 0x344,
  stvec: 0x105,
  sepc: 0x141,
  scause: 0x142,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
} as const;
const [t0, t1, record, end, supervisorCause, supervisorPc, vector] = [5, 6, 8, 9, 18, 19, 20] as const;
const timeCompare = 0x4000;
const vectors = 16;

/** A line for each of `trials`: mcause, mepc, scause and sepc (0 if S mode saw nothing), mstatus, and where the vector was. */
export function interruptsProgram(seed: number, trials: number): Uint8Array {
  const a = new Assembler(imageBytes);
  const read = (rd: number, number: number): void => a.emit('csrrs', { rd, imm: number });
  const write = (number: number, rs1: number): void => a.emit('csrrw', { rs1, imm: number });
  const load = (rd: number, of: number): void => a.emit('ld', { rd, rs1: record, imm: of });
  a.to('start', 'jal');
  for (const mode of ['machine', 'supervisor']) {
    a.at = (a.at + 63) & ~63;
    a.label(`${mode}.vectors`);
    for (let i = 0; i < vectors; i++) a.to(`${mode}.${i}`, 'jal');
    for (let i = 0; i < vectors; i++) {
      a.label(`${mode}.${i}`);
      a.emit('addi', { rd: vector, rs1: vector, imm: i + 1 });
      a.to(mode, 'jal');
    }
  }
  a.label('supervisor');
  read(supervisorCause, csr.scause);
  read(supervisorPc, csr.sepc);
  a.emit('ecall');

  a.label('machine');
  for (const number of [csr.mcause, csr.mepc]) {
    read(t0, number);
    print(a, t0, 32);
  }
  print(a, supervisorCause, 32);
  print(a, supervisorPc, 32);
  read(t0, csr.mstatus);
  a.li(t1, 0x19aa);
  a.emit('and', { rd: t0, rs1: t0, rs2: t1 });
  print(a, t0, 32);
  print(a, vector, 10);
  a.emit('addi', { rd: record, rs1: record, imm: recordBytes });
  a.to('next', 'bne', { rs1: record, rs2: end });
  a.liUnsigned(t0, syscon);
  a.li(t1, 0x5555);
  a.emit('sw', { rs1: t0, rs2: t1 });
  a.emit('jal');

  a.label('code');
  for (let i = 0; i < 3; i++) a.emit('addi');
  a.emit('ecall');

  a.label('start');
  a.li(t0, -1);
  write(csr.pmpaddr0, t0);
  a.li(t0, 0x1f);
  write(csr.pmpcfg0, t0);
  a.liUnsigned(record, ramStart + recordsStart);
  a.liUnsigned(end, ramStart + recordsStart + trials * recordBytes);
  a.label('next');
  for (const register of [supervisorCause, supervisorPc, vector]) a.li(register, 0);
  for (const [number, mode] of [
    [csr.mtvec, 'machine'],
    [csr.stvec, 'supervisor'],
  ] as const) {
    a.liUnsigned(t0, ramStart + a.offsetOf(`${mode}.vectors`));
    load(t1, field.vectored);
    a.emit('or', { rd: t0, rs1: t0, rs2: t1 });
    write(number, t0);
  }
  write(csr.mie, 0);
  a.liUnsigned(t1, clint.start);
  load(t0, field.msip);
  a.emit('sw', { rs1: t1, rs2: t0 });
  a.liUnsigned(t1, clint.start + timeCompare);
  load(t0, field.mtimecmp);
  a.emit('sd', { rs1: t1, rs2: t0 });
  for (const name of ['mideleg', 'mip', 'mie'] as const) {
    load(t0, field[name]);
    write(csr[name], t0);
  }
  a.liUnsigned(t0, ramStart + a.offsetOf('code'));
  write(csr.mepc, t0);
  load(t0, field.mstatus);
  write(csr.mstatus, t0);
  a.emit('mret');
  return fill(a, new Random(seed), trials);
}

function fill(a: Assembler, random: Random, trials: number): Uint8Array {
  const some = (mask: number, percent: number): number =>
    Array.from({ length: 12 }, (_, i) => (random.chance(percent) ? 1 << i : 0)).reduce((x, y) => x | y) & mask;
  for (let i = 0; i < trials; i++) {
    const put = (of: number, value: bigint | number): void =>
      a.double(recordsStart + i * recordBytes + of, BigInt(value));
    put(field.mip, some(0x222, 50));
    put(field.msip, random.below(2));
    put(field.mtimecmp, random.chance(50) ? 0 : -1);
    put(field.mie, some(0xaaa, 60));
    put(field.mideleg, some(0x222, 60));
    // MPIE becomes MIE; SIE is as it is; the mode is MPP.
    put(field.mstatus, (random.one([0, 1, 1, 3]) << 11) | (random.chance(50) ? 0x80 : 0) | (random.chance(50) ? 2 : 0));
    put(field.vectored, random.below(2));
  }
  return a.finish();
}
