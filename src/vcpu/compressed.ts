// The C extension (unprivileged architecture, chapter 26): each 16-bit instruction stands for a 32-bit one, so that meanings
// are written once. Rows whose encoding is a special case of another's come first.

export interface Compressed {
  readonly name: string;
  /** (bits & mask) == match, of the 16 bits. */
  readonly mask: number;
  readonly match: number;
  /** The 32-bit instruction's bits; 0, which is illegal, for reserved encodings. */
  readonly expand: (bits: number) => number;
}

const sp = 2;
const load = 0x03;
const loadFloat = 0x07;
const immediate = 0x13;
const immediateW = 0x1b;
const store = 0x23;
const storeFloat = 0x27;
const register = 0x33;
const registerW = 0x3b;

export const compressedInstructions: readonly Compressed[] = [
  // Quadrant 0
  row('c.addi4spn', 0xe003, 0x0000, (c) =>
    spnImmediate(c) === 0 ? 0 : iType(immediate, 0, low(c), sp, spnImmediate(c)),
  ),
  row('c.fld', 0xe003, 0x2000, (c) => iType(loadFloat, 3, low(c), high(c), doubleOffset(c))),
  row('c.lw', 0xe003, 0x4000, (c) => iType(load, 2, low(c), high(c), wordOffset(c))),
  row('c.ld', 0xe003, 0x6000, (c) => iType(load, 3, low(c), high(c), doubleOffset(c))),
  row('c.fsd', 0xe003, 0xa000, (c) => sType(storeFloat, 3, high(c), low(c), doubleOffset(c))),
  row('c.sw', 0xe003, 0xc000, (c) => sType(store, 2, high(c), low(c), wordOffset(c))),
  row('c.sd', 0xe003, 0xe000, (c) => sType(store, 3, high(c), low(c), doubleOffset(c))),

  // Quadrant 1
  row('c.addi', 0xe003, 0x0001, (c) => iType(immediate, 0, full(c), full(c), signed6(c))),
  row('c.addiw', 0xe003, 0x2001, (c) => (full(c) === 0 ? 0 : iType(immediateW, 0, full(c), full(c), signed6(c)))),
  row('c.li', 0xe003, 0x4001, (c) => iType(immediate, 0, full(c), 0, signed6(c))),
  row('c.addi16sp', 0xef83, 0x6101, (c) => (spImmediate(c) === 0 ? 0 : iType(immediate, 0, sp, sp, spImmediate(c)))),
  row('c.lui', 0xe003, 0x6001, (c) => (signed6(c) === 0 ? 0 : 0x37 | (full(c) << 7) | (signed6(c) << 12))),
  row('c.srli', 0xec03, 0x8001, (c) => iType(immediate, 5, high(c), high(c), unsigned6(c))),
  row('c.srai', 0xec03, 0x8401, (c) => iType(immediate, 5, high(c), high(c), unsigned6(c) | 0x400)),
  row('c.andi', 0xec03, 0x8801, (c) => iType(immediate, 7, high(c), high(c), signed6(c))),
  row('c.sub', 0xfc63, 0x8c01, (c) => rType(register, 0, 0x20, high(c), high(c), low(c))),
  row('c.xor', 0xfc63, 0x8c21, (c) => rType(register, 4, 0, high(c), high(c), low(c))),
  row('c.or', 0xfc63, 0x8c41, (c) => rType(register, 6, 0, high(c), high(c), low(c))),
  row('c.and', 0xfc63, 0x8c61, (c) => rType(register, 7, 0, high(c), high(c), low(c))),
  row('c.subw', 0xfc63, 0x9c01, (c) => rType(registerW, 0, 0x20, high(c), high(c), low(c))),
  row('c.addw', 0xfc63, 0x9c21, (c) => rType(registerW, 0, 0, high(c), high(c), low(c))),
  row('c.j', 0xe003, 0xa001, (c) => jump(c)),
  row('c.beqz', 0xe003, 0xc001, (c) => branch(0, c)),
  row('c.bnez', 0xe003, 0xe001, (c) => branch(1, c)),

  // Quadrant 2
  row('c.slli', 0xe003, 0x0002, (c) => iType(immediate, 1, full(c), full(c), unsigned6(c))),
  row('c.fldsp', 0xe003, 0x2002, (c) => iType(loadFloat, 3, full(c), sp, doubleSpOffset(c))),
  row('c.lwsp', 0xe003, 0x4002, (c) => (full(c) === 0 ? 0 : iType(load, 2, full(c), sp, wordSpOffset(c)))),
  row('c.ldsp', 0xe003, 0x6002, (c) => (full(c) === 0 ? 0 : iType(load, 3, full(c), sp, doubleSpOffset(c)))),
  row('c.ebreak', 0xffff, 0x9002, () => 0x0010_0073),
  row('c.jr', 0xf07f, 0x8002, (c) => (full(c) === 0 ? 0 : iType(0x67, 0, 0, full(c), 0))),
  row('c.jalr', 0xf07f, 0x9002, (c) => iType(0x67, 0, 1, full(c), 0)),
  row('c.mv', 0xf003, 0x8002, (c) => rType(register, 0, 0, full(c), 0, second(c))),
  row('c.add', 0xf003, 0x9002, (c) => rType(register, 0, 0, full(c), full(c), second(c))),
  row('c.fsdsp', 0xe003, 0xa002, (c) => sType(storeFloat, 3, sp, second(c), ((c >> 7) & 0x38) | ((c >> 1) & 0x1c0))),
  row('c.swsp', 0xe003, 0xc002, (c) => sType(store, 2, sp, second(c), ((c >> 7) & 0x3c) | ((c >> 1) & 0xc0))),
  row('c.sdsp', 0xe003, 0xe002, (c) => sType(store, 3, sp, second(c), ((c >> 7) & 0x38) | ((c >> 1) & 0x1c0))),
];

const notYet = 0xffff_ffff;
const expansions = new Uint32Array(0x1_0000).fill(notYet);

/** The 32-bit instruction that 16 bits stand for; 0, which is illegal, if none. */
export function expandCompressed(bits: number): number {
  let expansion = expansions[bits]!;
  if (expansion === notYet) {
    expansion = (findCompressed(bits)?.expand(bits) ?? 0) >>> 0;
    expansions[bits] = expansion;
  }
  return expansion;
}

export function findCompressed(bits: number): Compressed | undefined {
  return compressedInstructions.find((row) => (bits & row.mask) === row.match);
}

function row(name: string, mask: number, match: number, expand: (bits: number) => number): Compressed {
  return { name, mask, match, expand };
}

/** Registers: x8 to x15 in bits 2 to 4 and 7 to 9, any register in bits 7 to 11 and 2 to 6. */
function low(c: number): number {
  return 8 + ((c >> 2) & 7);
}

function high(c: number): number {
  return 8 + ((c >> 7) & 7);
}

function full(c: number): number {
  return (c >> 7) & 31;
}

function second(c: number): number {
  return (c >> 2) & 31;
}

/** Immediates (section 26.2, 26.3 and 26.5). */
function unsigned6(c: number): number {
  return ((c >> 7) & 0x20) | ((c >> 2) & 0x1f);
}

function signed6(c: number): number {
  return (unsigned6(c) << 26) >> 26;
}

function spnImmediate(c: number): number {
  return ((c >> 7) & 0x30) | ((c >> 1) & 0x3c0) | ((c >> 4) & 4) | ((c >> 2) & 8);
}

function spImmediate(c: number): number {
  const bits = ((c >> 3) & 0x200) | ((c >> 2) & 0x10) | ((c << 1) & 0x40) | ((c << 4) & 0x180) | ((c << 3) & 0x20);
  return (bits << 22) >> 22;
}

function wordOffset(c: number): number {
  return ((c >> 7) & 0x38) | ((c >> 4) & 4) | ((c << 1) & 0x40);
}

function doubleOffset(c: number): number {
  return ((c >> 7) & 0x38) | ((c << 1) & 0xc0);
}

function wordSpOffset(c: number): number {
  return ((c >> 7) & 0x20) | ((c >> 2) & 0x1c) | ((c << 4) & 0xc0);
}

function doubleSpOffset(c: number): number {
  return ((c >> 7) & 0x20) | ((c >> 2) & 0x18) | ((c << 4) & 0x1c0);
}

function iType(opcode: number, funct3: number, rd: number, rs1: number, imm: number): number {
  return opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (imm << 20);
}

function rType(opcode: number, funct3: number, funct7: number, rd: number, rs1: number, rs2: number): number {
  return opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | (funct7 << 25);
}

function sType(opcode: number, funct3: number, rs1: number, rs2: number, imm: number): number {
  return opcode | ((imm & 31) << 7) | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | ((imm >> 5) << 25);
}

function jump(c: number): number {
  const bits =
    ((c >> 1) & 0x800) |
    ((c >> 7) & 0x10) |
    ((c >> 1) & 0x300) |
    ((c << 2) & 0x400) |
    ((c >> 1) & 0x40) |
    ((c << 1) & 0x80) |
    ((c >> 2) & 0xe) |
    ((c << 3) & 0x20);
  const imm = (bits << 20) >> 20;
  return 0x6f | ((imm & 0x10_0000) << 11) | ((imm & 0x7fe) << 20) | ((imm & 0x800) << 9) | (imm & 0xf_f000);
}

function branch(funct3: number, c: number): number {
  const bits = ((c >> 4) & 0x100) | ((c >> 7) & 0x18) | ((c << 1) & 0xc0) | ((c >> 2) & 6) | ((c << 3) & 0x20);
  const imm = (bits << 23) >> 23;
  const fields = ((imm & 0x1000) << 19) | ((imm & 0x7e0) << 20) | ((imm & 0x1e) << 7) | ((imm & 0x800) >>> 4);
  return 0x63 | (funct3 << 12) | (high(c) << 15) | fields;
}
