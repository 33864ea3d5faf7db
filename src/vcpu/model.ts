// For tests: what instructions do, said a second time and independently, on big integers. Operands and results are unsigned
// 64-bit numbers.

const bits64 = (1n << 64n) - 1n;
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);
const low = (value: bigint): bigint => BigInt.asUintN(32, value);
const signedLow = (value: bigint): bigint => BigInt.asIntN(32, value);
const least = 1n << 63n;

/** rs1, and rs2 or the immediate, to rd. */
type Model = (a: bigint, b: bigint) => bigint;

function rotateRight(value: bigint, by: bigint, width: bigint): bigint {
  const shift = by % width;
  return (value >> shift) | ((value << (width - shift)) & ((1n << width) - 1n));
}

function count(value: bigint, width: number, from: 'high' | 'low'): bigint {
  const digits = value.toString(2).padStart(width, '0');
  const text = from === 'high' ? digits : [...digits].reverse().join('');
  const first = text.indexOf('1');
  return BigInt(first < 0 ? width : first);
}

function bytesOf(value: bigint): bigint[] {
  return Array.from({ length: 8 }, (_, i) => (value >> BigInt(8 * i)) & 0xffn);
}

function fromBytes(bytes: readonly bigint[]): bigint {
  return bytes.reduce((sum, byte, i) => sum | (byte << BigInt(8 * i)), 0n);
}

const pick = (first: boolean, a: bigint, b: bigint): bigint => (first ? a : b);
const ones = (value: bigint): bigint => BigInt([...value.toString(2)].filter((digit) => digit === '1').length);
const division = (a: bigint, b: bigint): bigint => (b === 0n ? -1n : a / b);
const remainder = (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b);
const immediates = ['add', 'xor', 'or', 'and', 'sll', 'srl', 'sra', 'ror', 'bclr', 'bext', 'binv', 'bset'];

const onRegisters: Readonly<Record<string, Model>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  sll: (a, b) => a << (b & 63n),
  slt: (a, b) => (signed(a) < signed(b) ? 1n : 0n),
  sltu: (a, b) => (a < b ? 1n : 0n),
  xor: (a, b) => a ^ b,
  srl: (a, b) => a >> (b & 63n),
  sra: (a, b) => signed(a) >> (b & 63n),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  addw: (a, b) => signedLow(a + b),
  subw: (a, b) => signedLow(a - b),
  sllw: (a, b) => signedLow(a << (b & 31n)),
  srlw: (a, b) => signedLow(low(a) >> (b & 31n)),
  sraw: (a, b) => signedLow(a) >> (b & 31n),

  mul: (a, b) => a * b,
  mulh: (a, b) => (signed(a) * signed(b)) >> 64n,
  mulhsu: (a, b) => (signed(a) * b) >> 64n,
  mulhu: (a, b) => (a * b) >> 64n,
  div: (a, b) => (a === least && b === bits64 ? least : division(signed(a), signed(b))),
  divu: (a, b) => division(a, b),
  rem: (a, b) => remainder(signed(a), signed(b)),
  remu: (a, b) => remainder(a, b),
  mulw: (a, b) => signedLow(a * b),
  divw: (a, b) => signedLow(division(signedLow(a), signedLow(b))),
  divuw: (a, b) => signedLow(division(low(a), low(b))),
  remw: (a, b) => signedLow(remainder(signedLow(a), signedLow(b))),
  remuw: (a, b) => signedLow(remainder(low(a), low(b))),

  sh1add: (a, b) => (a << 1n) + b,
  sh2add: (a, b) => (a << 2n) + b,
  sh3add: (a, b) => (a << 3n) + b,
  'add.uw': (a, b) => low(a) + b,
  'sh1add.uw': (a, b) => (low(a) << 1n) + b,
  'sh2add.uw': (a, b) => (low(a) << 2n) + b,
  'sh3add.uw': (a, b) => (low(a) << 3n) + b,
  andn: (a, b) => a & ~b,
  orn: (a, b) => a | ~b,
  xnor: (a, b) => ~(a ^ b),
  min: (a, b) => (signed(a) < signed(b) ? a : b),
  minu: (a, b) => pick(a < b, a, b),
  max: (a, b) => (signed(a) > signed(b) ? a : b),
  maxu: (a, b) => pick(a > b, a, b),
  rol: (a, b) => rotateRight(a, 64n - (b & 63n), 64n),
  ror: (a, b) => rotateRight(a, b & 63n, 64n),
  rolw: (a, b) => signedLow(rotateRight(low(a), 32n - (b & 31n), 32n)),
  rorw: (a, b) => signedLow(rotateRight(low(a), b & 31n, 32n)),
  bclr: (a, b) => a & ~(1n << (b & 63n)),
  bext: (a, b) => (a >> (b & 63n)) & 1n,
  binv: (a, b) => a ^ (1n << (b & 63n)),
  bset: (a, b) => a | (1n << (b & 63n)),
};

/** By name: instructions that make rd of rs1 and of rs2 or the immediate. */
export const models: ReadonlyMap<string, Model> = new Map<string, Model>([
  ...Object.entries(onRegisters),
  ...immediates.map((name): [string, Model] => [`${name}i`, onRegisters[name]!]),
  ['slti', onRegisters.slt!],
  ['sltiu', onRegisters.sltu!],
  ['addiw', onRegisters.addw!],
  ['slliw', onRegisters.sllw!],
  ['srliw', onRegisters.srlw!],
  ['sraiw', onRegisters.sraw!],
  ['roriw', onRegisters.rorw!],
  ['slli.uw', (a, b) => low(a) << (b & 63n)],
  ['lui', (_, b) => b],
  ['clz', (a) => count(a, 64, 'high')],
  ['ctz', (a) => count(a, 64, 'low')],
  ['cpop', (a) => ones(a)],
  ['clzw', (a) => count(low(a), 32, 'high')],
  ['ctzw', (a) => count(low(a), 32, 'low')],
  ['cpopw', (a) => ones(low(a))],
  ['sext.b', (a) => BigInt.asIntN(8, a)],
  ['sext.h', (a) => BigInt.asIntN(16, a)],
  ['zext.h', (a) => a & 0xffffn],
  ['orc.b', (a) => fromBytes(bytesOf(a).map((byte) => (byte === 0n ? 0n : 0xffn)))],
  ['rev8', (a) => fromBytes(bytesOf(a).reverse())],
]);

export const conditions: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  beq: (a, b) => a === b,
  bne: (a, b) => a !== b,
  blt: (a, b) => signed(a) < signed(b),
  bge: (a, b) => signed(a) >= signed(b),
  bltu: (a, b) => a < b,
  bgeu: (a, b) => a >= b,
};

/** What an atomic operation leaves in memory; words are sign-extended on the way in. */
export const atomics: Readonly<Record<string, Model>> = {
  amoadd: onRegisters.add!,
  amoswap: (_, b) => b,
  amoxor: onRegisters.xor!,
  amoor: onRegisters.or!,
  amoand: onRegisters.and!,
  amomin: onRegisters.min!,
  amomax: onRegisters.max!,
  amominu: onRegisters.minu!,
  amomaxu: onRegisters.maxu!,
};
