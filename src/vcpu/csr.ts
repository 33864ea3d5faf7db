// The control and status registers: number, name, and how each behaves (privileged architecture, chapter 2). Most are plain
// words of which some bits can be written; those the runtime knows have a kind of their own.
import { state } from './hart-state.ts';

export const csrKind = {
  /** No such register: an illegal instruction. */
  missing: 0,
  /** A word; writes change its writable bits. */
  plain: 1,
  /** Views and registers with consequences, carried out in runtime-csr.ts. */
  sstatus: 2,
  mstatus: 3,
  sie: 4,
  sip: 5,
  mip: 6,
  satp: 7,
  fflags: 8,
  frm: 9,
  fcsr: 10,
  time: 11,
  instret: 12,
  stimecmp: 13,
  /** Like plain, but interrupts are looked at afterwards. */
  interrupts: 14,
  counterEnable: 15,
  hpmcounter: 16,
  pmpcfg: 17,
  pmpaddr: 18,
} as const;

export interface Csr {
  readonly name: string;
  readonly number: number;
  readonly kind: number;
  /** Bits that a write changes. */
  readonly writable: bigint;
  /** Name of the register whose word this one shows; itself if absent. */
  readonly of?: string;
}

const all = 0xffff_ffff_ffff_ffffn;

/** Bits of mstatus (section 3.1.6). */
export const mstatus = {
  sie: 0x2n,
  mie: 0x8n,
  spie: 0x20n,
  mpie: 0x80n,
  spp: 0x100n,
  mpp: 0x1800n,
  fs: 0x6000n,
  mprv: 0x2_0000n,
  sum: 0x4_0000n,
  mxr: 0x8_0000n,
  tvm: 0x10_0000n,
  tw: 0x20_0000n,
  tsr: 0x40_0000n,
  /** UXL and SXL are 64 bits, always. */
  xl: 0xa_0000_0000n,
  uxl: 0x2_0000_0000n,
  sd: 0x8000_0000_0000_0000n,
} as const;

export const sstatusWritable: bigint =
  mstatus.sie | mstatus.spie | mstatus.spp | mstatus.fs | mstatus.sum | mstatus.mxr;
const mstatusWritable =
  sstatusWritable | (mstatus.mie | mstatus.mpie | mstatus.mpp | mstatus.mprv | mstatus.tvm | mstatus.tw | mstatus.tsr);

/** Bits of menvcfg (section 3.1.18). */
export const menvcfg = { fiom: 0x1n, adue: 0x2000_0000_0000_0000n, stce: 0x8000_0000_0000_0000n } as const;

/** Interrupts of S mode: what can be delegated. */
export const supervisorInterrupts = 0x222n;
const machineInterrupts = 0xaaan;

const { plain } = csrKind;

export const csrs: readonly Csr[] = [
  row('fflags', 0x001, csrKind.fflags, 0x1fn),
  row('frm', 0x002, csrKind.frm, 0x7n),
  row('fcsr', 0x003, csrKind.fcsr, 0xffn),
  row('cycle', 0xc00, csrKind.instret, 0n),
  row('time', 0xc01, csrKind.time, 0n),
  row('instret', 0xc02, csrKind.instret, 0n),
  ...numbered('hpmcounter', 3, 31, 0xc00, csrKind.hpmcounter, 0n),

  row('sstatus', 0x100, csrKind.sstatus, sstatusWritable, 'mstatus'),
  row('sie', 0x104, csrKind.sie, supervisorInterrupts, 'mie'),
  row('stvec', 0x105, plain, all ^ 2n),
  row('scounteren', 0x106, plain, 0xffff_ffffn),
  row('senvcfg', 0x10a, plain, menvcfg.fiom),
  row('sscratch', 0x140, plain, all),
  row('sepc', 0x141, plain, all ^ 1n),
  row('scause', 0x142, plain, all),
  row('stval', 0x143, plain, all),
  row('sip', 0x144, csrKind.sip, 0x2n, 'mip'),
  row('stimecmp', 0x14d, csrKind.stimecmp, all),
  row('satp', 0x180, csrKind.satp, all),

  row('mstatus', 0x300, csrKind.mstatus, mstatusWritable),
  row('misa', 0x301, plain, 0n),
  row('medeleg', 0x302, plain, 0xb3ffn),
  row('mideleg', 0x303, csrKind.interrupts, supervisorInterrupts),
  row('mie', 0x304, csrKind.interrupts, machineInterrupts),
  row('mtvec', 0x305, plain, all ^ 2n),
  row('mcounteren', 0x306, plain, 0xffff_ffffn),
  row('menvcfg', 0x30a, csrKind.interrupts, menvcfg.fiom | menvcfg.adue | menvcfg.stce),
  row('mcountinhibit', 0x320, plain, 0n),
  ...numbered('mhpmevent', 3, 31, 0x320, plain, 0n),
  row('mscratch', 0x340, plain, all),
  row('mepc', 0x341, plain, all ^ 1n),
  row('mcause', 0x342, plain, all),
  row('mtval', 0x343, plain, all),
  row('mip', 0x344, csrKind.mip, supervisorInterrupts),
  row('pmpcfg0', 0x3a0, csrKind.pmpcfg, 0x9f9f_9f9f_9f9f_9f9fn),
  row('pmpcfg2', 0x3a2, csrKind.pmpcfg, 0x9f9f_9f9f_9f9f_9f9fn),
  ...numbered('pmpaddr', 0, 15, 0x3b0, csrKind.pmpaddr, 0x3f_ffff_ffff_ffffn),
  row('mcycle', 0xb00, csrKind.instret, all),
  row('minstret', 0xb02, csrKind.instret, all),
  ...numbered('mhpmcounter', 3, 31, 0xb00, plain, 0n),
  row('mvendorid', 0xf11, plain, 0n),
  row('marchid', 0xf12, plain, 0n),
  row('mimpid', 0xf13, plain, 0n),
  row('mhartid', 0xf14, plain, 0n),
  row('mconfigptr', 0xf15, plain, 0n),
];

export const csrByName: ReadonlyMap<string, Csr> = new Map(csrs.map((csr) => [csr.name, csr]));
export const csrByNumber: ReadonlyMap<number, Csr> = new Map(csrs.map((csr) => [csr.number, csr]));

/** Registers that are always 0 share one word. */
const zero = 'mconfigptr';
const words: readonly string[] = csrs.filter((csr) => wordName(csr) === csr.name).map((csr) => csr.name);

/** Where in a hart's area the word of a register lies. */
export function csrPlace(name: string): number {
  const csr = csrByName.get(name);
  if (!csr) throw new Error(`Cannot find the control register "${name}"`);
  return state.csr + words.indexOf(wordName(csr)) * 8;
}

function wordName(csr: Csr): string {
  if (csr.of !== undefined) return csr.of;
  return /hpm|countinhibit/.test(csr.name) ? zero : csr.name;
}

function row(name: string, number: number, kind: number, writable: bigint, of?: string): Csr {
  return of === undefined ? { name, number, kind, writable } : { name, number, kind, writable, of };
}

function numbered(name: string, first: number, last: number, base: number, kind: number, writable: bigint): Csr[] {
  return Array.from({ length: last - first + 1 }, (_, i) =>
    row(`${name}${first + i}`, base + first + i, kind, writable),
  );
}
