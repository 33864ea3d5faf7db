// Instruction bits to the text that assemblers take, without aliases ("addi a0,zero,1", not "li a0,1"); a compressed instruction
// is shown as what it stands for.
import { csrByNumber } from './csr.ts';
import { type Decoded, decode, isCompressed } from './decode.ts';

const integerNames =
  'zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');
const floatNames = [
  ...'ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7'.split(' '),
  ...'fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11'.split(' '),
];
const roundingNames = ['rne', 'rtz', 'rdn', 'rup', 'rmm'];

/** The text of the instruction in the low bits of `memory`, at address `pc` (targets of branches are relative without it). */
export function disassemble(memory: number, pc?: bigint): string {
  const decoded = decode(memory);
  if (decoded === undefined) {
    return isCompressed(memory) ? `.half ${hex(memory & 0xffff)}` : `.word ${hex(memory >>> 0)}`;
  }
  const operands = operandsOf(decoded, pc);
  return operands === '' ? nameOf(decoded) : `${nameOf(decoded)} ${operands}`;
}

function nameOf({ instruction, bits }: Decoded): string {
  if (instruction.format !== 'atomic') return instruction.name;
  return instruction.name + ['', '.rl', '.aq', '.aqrl'][(bits >>> 25) & 3]!;
}

function operandsOf(decoded: Decoded, pc: bigint | undefined): string {
  const { instruction, imm, bits } = decoded;
  const [rd, rs1, rs2, rs3] = [decoded.rd, decoded.rs1, decoded.rs2, decoded.rs3].map((number, i) =>
    (instruction.files?.[i] === 'f' ? floatNames : integerNames).at(number),
  );
  const target = (): string =>
    pc === undefined ? `.${imm < 0 ? '' : '+'}${imm}` : hex(BigInt.asUintN(64, pc + BigInt(imm)));
  const rounding = instruction.rounds && decoded.rounding !== 7 ? `,${roundingNames[decoded.rounding]}` : '';
  switch (instruction.format) {
    case 'R':
      return `${rd},${rs1},${rs2}${rounding}`;
    case 'unary':
      return `${rd},${rs1}${rounding}`;
    case 'R4':
      return `${rd},${rs1},${rs2},${rs3}${rounding}`;
    case 'I':
      // Loads and jalr address memory.
      return /^f?l[bhwd]u?$|^jalr$/.test(instruction.name) ? `${rd},${imm}(${rs1})` : `${rd},${rs1},${imm}`;
    case 'shift6':
    case 'shift5':
      return `${rd},${rs1},${hex(imm)}`;
    case 'S':
      return `${rs2},${imm}(${rs1})`;
    case 'B':
      return `${rs1},${rs2},${target()}`;
    case 'U':
      return `${rd},${hex(imm >>> 12)}`;
    case 'J':
      return `${rd},${target()}`;
    case 'csr':
      return `${rd},${csrName(imm)},${rs1}`;
    case 'csrImmediate':
      return `${rd},${csrName(imm)},${decoded.rs1}`;
    case 'atomic':
      return instruction.name.startsWith('lr.') ? `${rd},(${rs1})` : `${rd},${rs2},(${rs1})`;
    case 'fence':
      return `${fenceSet((bits >>> 24) & 15)},${fenceSet((bits >>> 20) & 15)}`;
    case 'addressFence':
      return `${rs1},${rs2}`;
    case 'none':
      return '';
  }
}

/** Predecessor and successor sets of a fence (unprivileged architecture, section 2.7). */
function fenceSet(bits: number): string {
  if (bits === 0) return '0';
  return [...'iorw'].filter((_, i) => bits & (8 >> i)).join('');
}

function csrName(number: number): string {
  return csrByNumber.get(number)?.name ?? hex(number);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
