// The part of paging-program.ts that runs on the machine: it makes every trial from its record, and takes its trap.
import { encode } from '../../../src/vcpu/encode.ts';
import type { Assembler } from './assembler.ts';
import { print, syscon } from './bare-program.ts';
import {
  accessed,
  csr,
  end,
  factor,
  fenceAddress,
  fenceAsid,
  field,
  floatRegister,
  folded,
  operand,
  type PagingOptions,
  pageAt,
  pageBytes,
  pristineStart,
  record,
  result,
  rounds,
  status,
  statusMask,
  t0,
  t3,
  t4,
  t5,
  tablesBytes,
  tablesStart,
  times,
  trialBytes,
  trialsStart,
} from './paging-layout.ts';
import { pagesOfZone, ramStart, zones } from './paging-tables.ts';

/** What a fence forgets: everything, an address, an address space, an address of an address space. */
const fences: readonly (readonly [name: string, word?: number])[] = [
  ['none'],
  ['all', encode('sfence.vma')],
  ['address', encode('sfence.vma', { rs1: fenceAddress })],
  ['asid', encode('sfence.vma', { rs2: fenceAsid })],
  ['both', encode('sfence.vma', { rs1: fenceAddress, rs2: fenceAsid })],
];

export function driver(a: Assembler, options: PagingOptions): void {
  const address = (rd: number, offset: number): void => a.liUnsigned(rd, ramStart + offset);
  const read = (rd: number, number: number): void => a.emit('csrrs', { rd, imm: number });
  const write = (number: number, rs1: number): void => a.emit('csrrw', { rs1, imm: number });
  const labelled = (rd: number, label: string): void => {
    // The image is flat: a label's address is known once the jump over it is.
    a.to(`${label}.end`, 'jal', { rd });
  };
  read(t0, csr.mhartid);
  a.to('park', 'bne', { rs1: t0, rs2: 0 });
  labelled(t0, 'machine');
  machineTrap(a, options);
  a.label('machine.end');
  write(csr.mtvec, t0);
  a.to('supervisor.end', 'jal', { rd: 0 });
  supervisorTrap(a);
  for (const [name, word] of fences) {
    a.label(`fence.${name}`);
    if (word !== undefined) a.word(word);
    a.emit('jalr', { rs1: 1 });
  }
  a.label('supervisor.end');
  a.li(t0, -1);
  write(csr.pmpaddr0, t0);
  a.li(t0, 0x1f);
  write(csr.pmpcfg0, t0);
  // Svadu: QEMU 7.2 always sets accessed and dirty bits itself.
  a.li(t0, 1);
  a.emit('slli', { rd: t0, rs1: t0, imm: 61 });
  a.emit('csrrs', { rs1: t0, imm: csr.menvcfg });
  a.li(t0, status.fs);
  a.emit('csrrs', { rs1: t0, imm: csr.mstatus });
  a.li(folded, 0);
  a.li(factor, 0x5bd1_e995 | 0);
  a.li(rounds, options.rounds);

  a.label('round');
  address(t3, tablesStart);
  address(t4, pristineStart);
  address(t5, pristineStart + tablesBytes);
  a.label('copy');
  a.emit('ld', { rd: t0, rs1: t4 });
  a.emit('sd', { rs1: t3, rs2: t0 });
  a.emit('addi', { rd: t3, rs1: t3, imm: 8 });
  a.emit('addi', { rd: t4, rs1: t4, imm: 8 });
  a.to('copy', 'bne', { rs1: t4, rs2: t5 });
  write(csr.satp, 0);
  a.emit('sfence.vma');
  address(record, trialsStart);
  address(end, trialsStart + options.trials * trialBytes);

  a.label('next');
  const load = (rd: number, of: number): void => a.emit('ld', { rd, rs1: record, imm: of });
  load(t0, field.poke);
  load(t3, field.value);
  a.emit('sd', { rs1: t0, rs2: t3 });
  load(t0, field.fence);
  load(fenceAddress, field.fenceAddress);
  load(fenceAsid, field.fenceAsid);
  a.emit('jalr', { rd: 1, rs1: t0 });
  for (const name of ['satp', 'medeleg', 'stvec'] as const) {
    load(t0, field[name]);
    write(csr[name], t0);
  }
  load(accessed, field.address);
  load(operand, field.operand);
  load(times, field.times);
  a.emit('fmv.d.x', { rd: floatRegister, rs1: operand });
  a.li(result, 0);
  load(t4, field.pc);
  load(t3, field.lower);
  load(t0, field.mstatus);
  a.to('same', 'beq', { rs1: t3, rs2: 0 });
  write(csr.mepc, t4);
  write(csr.mstatus, t0);
  a.emit('mret');
  a.label('same');
  write(csr.mstatus, t0);
  a.emit('jalr', { rs1: t4 });

  a.label('park');
  a.emit('wfi');
  a.to('park', 'jal', { rd: 0 });
}

/** The end of a trial: folds what came out, goes on to the next; at the end of a round, all of memory is folded. */
function machineTrap(a: Assembler, { talkative, trials }: PagingOptions): void {
  const fold = (register: number): void => foldRegister(a, register);
  a.emit('lui', { rd: t0, imm: status.mprv });
  a.emit('csrrc', { rd: t3, rs1: t0, imm: csr.mstatus });
  a.li(t0, statusMask);
  a.emit('and', { rd: t3, rs1: t3, rs2: t0 });
  fold(t3);
  for (const which of [csr.mcause, csr.mtval, csr.mepc]) {
    a.emit('csrrs', { rd: t3, imm: which });
    fold(t3);
    if (talkative) print(a, t3, 32);
  }
  fold(result);
  a.emit('fmv.x.d', { rd: t3, rs1: floatRegister });
  fold(t3);
  if (talkative) {
    print(a, t3, 32);
    print(a, result, 32);
    print(a, folded, 10);
  }
  a.emit('addi', { rd: record, rs1: record, imm: trialBytes });
  a.to('next', 'bne', { rs1: record, rs2: end });
  foldMemory(a, tablesStart, tablesBytes);
  for (const zone of zones) foldMemory(a, pageAt(zone, 0), (pagesOfZone + 1) * pageBytes);
  if (trials > 0) print(a, folded, 10);
  a.emit('addi', { rd: rounds, rs1: rounds, imm: -1 });
  a.to('round', 'bne', { rs1: rounds, rs2: 0 });
  a.liUnsigned(t0, syscon);
  a.li(t3, 0x5555);
  a.emit('sw', { rs1: t0, rs2: t3 });
  a.label('off');
  a.to('off', 'jal', { rd: 0 });
}

/** In S mode: folds, and goes on behind the instruction; what cannot go on calls M mode, as do calls of U mode. */
function supervisorTrap(a: Assembler): void {
  a.label('supervisor');
  a.emit('csrrs', { rd: t3, imm: csr.sstatus });
  a.li(t0, statusMask);
  a.emit('and', { rd: t3, rs1: t3, rs2: t0 });
  foldRegister(a, t3);
  for (const which of [csr.sepc, csr.stval, csr.scause]) {
    a.emit('csrrs', { rd: t3, imm: which });
    foldRegister(a, t3);
  }
  for (const cause of [1, 8, 12]) {
    a.li(t4, cause);
    a.to('supervisor.over', 'beq', { rs1: t3, rs2: t4 });
  }
  a.emit('csrrs', { rd: t3, imm: csr.sepc });
  a.emit('addi', { rd: t3, rs1: t3, imm: 4 });
  a.emit('csrrw', { rs1: t3, imm: csr.sepc });
  a.emit('sret');
  a.label('supervisor.over');
  a.emit('ecall');
}

function foldRegister(a: Assembler, register: number): void {
  a.emit('xor', { rd: folded, rs1: folded, rs2: register });
  a.emit('mul', { rd: folded, rs1: folded, rs2: factor });
  a.emit('srli', { rd: t5, rs1: folded, imm: 29 });
  a.emit('xor', { rd: folded, rs1: folded, rs2: t5 });
}

function foldMemory(a: Assembler, start: number, bytes: number): void {
  const label = `fold.${a.at}`;
  a.liUnsigned(t3, ramStart + start);
  a.liUnsigned(t4, ramStart + start + bytes);
  a.label(label);
  a.emit('ld', { rd: t0, rs1: t3 });
  foldRegister(a, t0);
  a.emit('addi', { rd: t3, rs1: t3, imm: 8 });
  a.to(label, 'bne', { rs1: t3, rs2: t4 });
}
