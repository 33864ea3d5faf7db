// A program for a bare machine that writes random values to control and status registers, reads them back and prints them: what a
// register makes of a value (WARL, privileged architecture, section 2.3) must be the same on both machines.
import { encode } from '../../../src/vcpu/encode.ts';
import { Assembler } from './assembler.ts';
import { print, syscon } from './bare-program.ts';
import { Random } from './random.ts';

/** What both machines are held to; the rest of each register differs, for the reason given. */
interface ComparedRegister {
  readonly name: string;
  readonly number: number;
  readonly mask?: bigint;
  readonly why?: string;
  /** Bits that are written as given, if not all. */
  readonly written?: bigint;
  /** Bits that every write sets. */
  readonly set?: bigint;
}

const all = 0xffff_ffff_ffff_ffffn;
const statusMask = 0x8000_0000_007e_79aan;

/**
 * Not here: satp (paging.test.ts; QEMU has modes of more levels), menvcfg and senvcfg (QEMU has more to enable, and lacks ADUE),
 * stimecmp (it changes mip with time), counters (QEMU's count time), pmpcfg and pmpaddr (QEMU's grain is 4 bytes, ours a page),
 * mvendorid, marchid and mimpid.
 */
const comparedRegisters: readonly ComparedRegister[] = [
  { name: 'fflags', number: 0x001 },
  { name: 'frm', number: 0x002 },
  { name: 'fcsr', number: 0x003 },
  {
    name: 'sstatus',
    number: 0x100,
    mask: 0x8000_0003_000d_e122n,
    written: 0x000d_e122n,
    set: 0x6000n,
    why: 'QEMU has a vector unit, and lets UXL change',
  },
  { name: 'sie', number: 0x104, mask: 0x222n, why: 'QEMU has interrupts of overflowing counters' },
  {
    name: 'stvec',
    number: 0x105,
    written: all ^ 3n,
    why: 'QEMU ignores a write with a reserved mode; here the bit is 0',
  },
  { name: 'scounteren', number: 0x106, mask: 0xffff_ffffn },
  { name: 'sscratch', number: 0x140 },
  { name: 'sepc', number: 0x141, mask: all ^ 1n, why: 'QEMU keeps bit 0, which is always 0' },
  { name: 'scause', number: 0x142 },
  { name: 'stval', number: 0x143 },
  {
    name: 'mstatus',
    number: 0x300,
    mask: statusMask,
    written: 0x7c_61a2n,
    set: 0x6000n,
    why: 'QEMU takes the reserved mode 2 in MPP; MPRV and MIE would move the program',
  },
  { name: 'misa', number: 0x301, mask: 0xc000_0000_0014_112dn, why: 'QEMU has the hypervisor extension' },
  {
    name: 'medeleg',
    number: 0x302,
    mask: 0xb1ffn,
    why: 'QEMU cannot delegate calls of S mode, and has faults of guests',
  },
  { name: 'mideleg', number: 0x303, mask: 0x222n, why: 'QEMU has interrupts of guests, always delegated' },
  { name: 'mie', number: 0x304, mask: 0xaaan },
  { name: 'mtvec', number: 0x305, written: all ^ 3n, why: 'as stvec' },
  { name: 'mcounteren', number: 0x306, mask: 0xffff_ffffn },
  { name: 'mscratch', number: 0x340 },
  { name: 'mepc', number: 0x341, mask: all ^ 1n, why: 'as sepc' },
  { name: 'mcause', number: 0x342 },
  { name: 'mtval', number: 0x343 },
  { name: 'mip', number: 0x344, mask: 0x222n, written: 0x222n },
  { name: 'sip', number: 0x144, mask: 0x222n },
  { name: 'mhartid', number: 0xf14 },
];
const [t0, t1, t2, t3, old] = [5, 6, 7, 28, 29] as const;
const imageBytes = 0x10_0000;
const ramStart = 0x8000_0000;
const valuesStart = 0x8_0000;
const mideleg = 0x303;
const mstatus = 0x300;

/** `rounds` times: each register in turn is written in one of three ways; a line for each, what it held and what it then holds. */
export function registersProgram(seed: number, rounds: number): { image: Uint8Array; lines: readonly string[] } {
  const random = new Random(seed);
  const a = new Assembler(imageBytes);
  const lines: string[] = [];
  a.li(t0, 0x6000);
  a.emit('csrrs', { rs1: t0, imm: mstatus });
  a.li(t0, 0x222);
  a.emit('csrrs', { rs1: t0, imm: mideleg });
  for (let round = 0; round < rounds; round++) {
    for (const { name, number, mask = all, written = all, set = 0n } of comparedRegisters) {
      const value = random.one([random.bits64(), random.bits64(), all, 0n, 1n << BigInt(random.below(64))]);
      const place = valuesStart + lines.length * 24;
      if (place + 24 > imageBytes || a.at > valuesStart) throw new Error('too many values for the program');
      a.double(place, (value & written) | set);
      a.double(place + 8, mask);
      const way =
        number >> 10 === 3 ? 'csrrs' : random.one(set === 0n ? ['csrrw', 'csrrs', 'csrrc'] : ['csrrw', 'csrrs']);
      a.liUnsigned(t3, ramStart + place);
      a.emit('ld', { rd: t0, rs1: t3 });
      a.emit('ld', { rd: t2, rs1: t3, imm: 8 });
      a.word(encode(way, { rd: old, rs1: number >> 10 === 3 ? 0 : t0, imm: number }));
      a.emit('csrrs', { rd: t1, imm: number });
      for (const [register, behind] of [
        [old, 32],
        [t1, 10],
      ] as const) {
        a.emit('and', { rd: register, rs1: register, rs2: t2 });
        print(a, register, behind);
      }
      lines.push(`${way} ${name} ${value.toString(16)}`);
    }
  }
  a.liUnsigned(t0, syscon);
  a.li(t1, 0x5555);
  a.emit('sw', { rs1: t0, rs2: t1 });
  a.emit('jal');
  return { image: a.finish(), lines };
}
