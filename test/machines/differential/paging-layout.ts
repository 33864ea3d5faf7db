// What paging-program.ts and the driver in it agree on: where things lie, a trial's record, registers.

export interface PagingOptions {
  readonly seed: number;
  readonly trials: number;
  readonly rounds: number;
  /** Prints the fold after each trial, not only after each round. */
  readonly talkative?: boolean;
}

export const imageBytes = 0x80_0000;
export const trialsStart = 0x4_0000;
export const trialBytes = 128;
/** Tables as they are at the start of a round, beside those in use (paging-tables.ts). */
export const tablesStart = 0x10_0000;
export const tablesBytes = 0x1_8000;
export const pristineStart = 0x14_0000;
export const dummy = 0x1f_f000;
export const pageBytes = 4096;
export const zoneBytes = 0x20_0000;
/** In each page of a zone: one piece of code for each operation, and room for data behind. */
export const stubStart = 0x20;
export const stubBytes = 32;
export const dataStart = 0x800;

/** Places in a trial's record. */
export const field = {
  poke: 0,
  value: 8,
  satp: 32,
  mstatus: 40,
  medeleg: 48,
  address: 56,
  operand: 64,
  pc: 72,
  lower: 80,
  fence: 88,
  fenceAddress: 96,
  fenceAsid: 104,
  stvec: 112,
  times: 120,
} as const;
export const csr = {
  mstatus: 0x300,
  medeleg: 0x302,
  mtvec: 0x305,
  menvcfg: 0x30a,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mhartid: 0xf14,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  sstatus: 0x100,
  stvec: 0x105,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  satp: 0x180,
} as const;
export const status = {
  sie: 2,
  spie: 0x20,
  mpie: 0x80,
  spp: 0x100,
  mpp: 0x1800,
  fs: 0x6000,
  mprv: 0x2_0000,
  sum: 0x4_0000,
  mxr: 0x8_0000,
  tvm: 0x10_0000,
  tw: 0x20_0000,
  tsr: 0x40_0000,
} as const;
/** What both machines have in mstatus. */
export const statusMask = 0x7e_79aa;

/** Registers: the record, its end, the fold and its factor; address, operand and result; the number of times. */
export const record = 8;
export const end = 9;
export const folded = 18;
export const factor = 19;
export const rounds = 20;
export const accessed = 10;
export const operand = 11;
export const result = 12;
export const fenceAddress = 13;
export const fenceAsid = 14;
export const times = 7;
export const t0 = 5;
export const t3 = 28;
export const t4 = 29;
export const t5 = 30;
export const floatRegister = 1;

/** Where a page of a zone lies, from the start of RAM. */
export function pageAt(zone: number, page: number): number {
  return zone * zoneBytes + page * pageBytes;
}
