// Rows of the base integer instructions RV32I and RV64I (unprivileged architecture, chapters 2 and 4).
import type { Instruction } from './instruction.ts';
import type { LoadKind, Meaning } from './meaning.ts';

const load = 0x03;
const immediate = 0x13;
const immediateW = 0x1b;
const store = 0x23;
const register = 0x33;
const registerW = 0x3b;
const branch = 0x63;

export const integerInstructions: readonly Instruction[] = [
  { name: 'lui', extension: 'I', format: 'U', mask: 0x7f, match: 0x37, meaning: (m) => m.imm().toRd() },
  { name: 'auipc', extension: 'I', format: 'U', mask: 0x7f, match: 0x17, meaning: (m) => m.pc().imm().i64Add().toRd() },
  { name: 'jal', extension: 'I', format: 'J', mask: 0x7f, match: 0x6f, ends: 'jump', meaning: (m) => m.jump() },
  {
    ...{ name: 'jalr', extension: 'I', format: 'I', mask: 0x707f, match: 0x67, ends: 'indirect' },
    meaning: (m) => m.jumpIndirect(),
  },

  conditional('beq', 0, (m) => m.rs1().rs2().i64Eq()),
  conditional('bne', 1, (m) => m.rs1().rs2().i64Ne()),
  conditional('blt', 4, (m) => m.rs1().rs2().i64LtS()),
  conditional('bge', 5, (m) => m.rs1().rs2().i64GeS()),
  conditional('bltu', 6, (m) => m.rs1().rs2().i64LtU()),
  conditional('bgeu', 7, (m) => m.rs1().rs2().i64GeU()),

  loading('lb', 0, 'i8'),
  loading('lh', 1, 'i16'),
  loading('lw', 2, 'i32'),
  loading('ld', 3, 'i64'),
  loading('lbu', 4, 'u8'),
  loading('lhu', 5, 'u16'),
  loading('lwu', 6, 'u32'),
  storing('sb', 0, 1),
  storing('sh', 1, 2),
  storing('sw', 2, 4),
  storing('sd', 3, 8),

  withImmediate('addi', 0, (m) => m.rs1().imm().i64Add().toRd()),
  withImmediate('slti', 2, (m) => m.rs1().imm().i64LtS().i64ExtendI32U().toRd()),
  withImmediate('sltiu', 3, (m) => m.rs1().imm().i64LtU().i64ExtendI32U().toRd()),
  withImmediate('xori', 4, (m) => m.rs1().imm().i64Xor().toRd()),
  withImmediate('ori', 6, (m) => m.rs1().imm().i64Or().toRd()),
  withImmediate('andi', 7, (m) => m.rs1().imm().i64And().toRd()),
  shift('slli', 1, 0, (m) => m.rs1().imm().i64Shl().toRd()),
  shift('srli', 5, 0, (m) => m.rs1().imm().i64ShrU().toRd()),
  shift('srai', 5, 0x10, (m) => m.rs1().imm().i64ShrS().toRd()),

  onRegisters('add', 0, 0, (m) => m.rs1().rs2().i64Add().toRd()),
  onRegisters('sub', 0, 0x20, (m) => m.rs1().rs2().i64Sub().toRd()),
  onRegisters('sll', 1, 0, (m) => m.rs1().rs2().i64Shl().toRd()),
  onRegisters('slt', 2, 0, (m) => m.rs1().rs2().i64LtS().i64ExtendI32U().toRd()),
  onRegisters('sltu', 3, 0, (m) => m.rs1().rs2().i64LtU().i64ExtendI32U().toRd()),
  onRegisters('xor', 4, 0, (m) => m.rs1().rs2().i64Xor().toRd()),
  onRegisters('srl', 5, 0, (m) => m.rs1().rs2().i64ShrU().toRd()),
  onRegisters('sra', 5, 0x20, (m) => m.rs1().rs2().i64ShrS().toRd()),
  onRegisters('or', 6, 0, (m) => m.rs1().rs2().i64Or().toRd()),
  onRegisters('and', 7, 0, (m) => m.rs1().rs2().i64And().toRd()),

  {
    ...{ name: 'addiw', extension: 'I', format: 'I', mask: 0x707f, match: immediateW },
    meaning: (m) => word1(m).imm().i32WrapI64().i32Add().i64ExtendI32S().toRd(),
  },
  shiftW('slliw', 1, 0, (m) => word1(m).imm().i32WrapI64().i32Shl().i64ExtendI32S().toRd()),
  shiftW('srliw', 5, 0, (m) => word1(m).imm().i32WrapI64().i32ShrU().i64ExtendI32S().toRd()),
  shiftW('sraiw', 5, 0x20, (m) => word1(m).imm().i32WrapI64().i32ShrS().i64ExtendI32S().toRd()),

  onWords('addw', 0, 0, (m) => words(m).i32Add().i64ExtendI32S().toRd()),
  onWords('subw', 0, 0x20, (m) => words(m).i32Sub().i64ExtendI32S().toRd()),
  onWords('sllw', 1, 0, (m) => words(m).i32Shl().i64ExtendI32S().toRd()),
  onWords('srlw', 5, 0, (m) => words(m).i32ShrU().i64ExtendI32S().toRd()),
  onWords('sraw', 5, 0x20, (m) => words(m).i32ShrS().i64ExtendI32S().toRd()),

  // Harts order their plain accesses by nothing but fences, so each is a full one; "pause" is a fence too.
  { name: 'fence', extension: 'I', format: 'fence', mask: 0x707f, match: 0x0f, meaning: (m) => m.atomicFence() },
  system('ecall', 0x0000_0073),
  system('ebreak', 0x0010_0073),
];

/** Pushes the low halves of X[rs1], or of X[rs1] and X[rs2]: i32. */
function word1(m: Meaning): Meaning {
  return m.rs1().i32WrapI64();
}

function words(m: Meaning): Meaning {
  return m.rs1().i32WrapI64().rs2().i32WrapI64();
}

function conditional(name: string, funct3: number, condition: (m: Meaning) => void): Instruction {
  const match = branch | (funct3 << 12);
  return {
    name,
    extension: 'I',
    format: 'B',
    mask: 0x707f,
    match,
    ends: 'branch',
    meaning: (m) => m.branch(condition),
  };
}

function loading(name: string, funct3: number, kind: LoadKind): Instruction {
  const match = load | (funct3 << 12);
  return { name, extension: 'I', format: 'I', mask: 0x707f, match, meaning: (m) => m.load(kind) };
}

function storing(name: string, funct3: number, bytes: 1 | 2 | 4 | 8): Instruction {
  const match = store | (funct3 << 12);
  return { name, extension: 'I', format: 'S', mask: 0x707f, match, meaning: (m) => m.store(bytes) };
}

function withImmediate(name: string, funct3: number, meaning: (m: Meaning) => void): Instruction {
  return { name, extension: 'I', format: 'I', mask: 0x707f, match: immediate | (funct3 << 12), meaning };
}

function shift(name: string, funct3: number, funct6: number, meaning: (m: Meaning) => void): Instruction {
  const match = immediate | (funct3 << 12) | (funct6 << 26);
  return { name, extension: 'I', format: 'shift6', mask: 0xfc00_707f, match, meaning };
}

function shiftW(name: string, funct3: number, funct7: number, meaning: (m: Meaning) => void): Instruction {
  const match = immediateW | (funct3 << 12) | (funct7 << 25);
  return { name, extension: 'I', format: 'shift5', mask: 0xfe00_707f, match, meaning };
}

function onRegisters(name: string, funct3: number, funct7: number, meaning: (m: Meaning) => void): Instruction {
  const match = register | (funct3 << 12) | (funct7 << 25);
  return { name, extension: 'I', format: 'R', mask: 0xfe00_707f, match, meaning };
}

function onWords(name: string, funct3: number, funct7: number, meaning: (m: Meaning) => void): Instruction {
  const match = registerW | (funct3 << 12) | (funct7 << 25);
  return { name, extension: 'I', format: 'R', mask: 0xfe00_707f, match, meaning };
}

function system(name: string, match: number): Instruction {
  return {
    ...{ name, extension: 'I', format: 'none', mask: 0xffff_ffff, match, ends: 'system' },
    meaning: (m) => m.system(),
  };
}
