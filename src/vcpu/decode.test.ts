import assert from 'node:assert/strict';
import test from 'node:test';
import { compressedInstructions, expandCompressed, findCompressed } from './compressed.ts';
import { decode, fieldsOf } from './decode.ts';
import { disassemble } from './disassemble.ts';
import { encode } from './encode.ts';
import { instructions } from './instructions.ts';

const registers = [0, 1, 10, 31];
const immediates: Readonly<Record<string, readonly number[]>> = {
  I: [0, 1, -1, 2047, -2048],
  S: [0, 31, 32, -1, 2047, -2048],
  B: [0, 2, 30, 32, 2048, -2, 4094, -4096],
  U: [0, 0x1000, 0x7fff_f000, -0x8000_0000, -0x1000],
  J: [0, 2, 2046, 2048, 0x1000, 0xf_fffe, -2, -0x10_0000],
  shift6: [0, 1, 31, 32, 63],
  shift5: [0, 1, 31],
  csr: [0, 0x300, 0xfff],
  csrImmediate: [0, 0x300, 0xfff],
};

test('what is encoded is decoded again, for every row', () => {
  for (const row of instructions) {
    const fields = fieldsOf[row.format];
    for (const [i, imm] of (immediates[row.format] ?? [0]).entries()) {
      for (const [j, number] of registers.entries()) {
        const [rd, rs1, rs2, rs3] = [0, 1, 2, 3].map((k) => registers[(j + i + k) % registers.length]!);
        const decoded = decode(encode(row, { rd: rd!, rs1: rs1!, rs2: rs2!, rs3: rs3!, imm, rounding: number % 5 }));
        assert.equal(decoded?.instruction, row, row.name);
        const names = [decoded.rd, decoded.rs1, decoded.rs2, decoded.rs3];
        const expected = [rd, rs1, rs2, rs3].map((each, bit) => {
          const fixed = (row.mask >>> [7, 15, 20, 27][bit]!) & 31;
          return fields & (1 << bit) && fixed === 0 ? each : undefined;
        });
        for (const [bit, value] of expected.entries())
          if (value !== undefined) assert.equal(names[bit], value, row.name);
        assert.equal(decoded.imm, row.format === 'fence' ? decoded.imm : imm, row.name);
        assert.equal(decoded.bytes, 4);
      }
    }
  }
});

test('no two rows claim the same bits', () => {
  for (const [i, a] of instructions.entries()) {
    assert.equal((a.match & ~a.mask) >>> 0, 0, a.name);
    for (const b of instructions.slice(i + 1)) {
      assert.notEqual((a.match ^ b.match) & a.mask & b.mask, 0, `${a.name} and ${b.name}`);
    }
  }
});

test('what no row claims is illegal', () => {
  const illegal = [
    ...[0x0000_0000, 0xffff_ffff, 0x0000_007f, 0x0200_0013 | (1 << 12) | (1 << 30), 0x0000_705b, 0x3020_00f3],
    // Reserved rounding modes, a shift amount of 32 of a word, AMOs of bytes.
    ...[0x0000_5053, 0x0000_6053, 0x0200_101b, 0x0000_002f],
  ];
  for (const bits of illegal) assert.equal(decode(bits), undefined, bits.toString(16));
});

test('compressed instructions stand for others', () => {
  const cases: readonly (readonly [bits: number, text: string])[] = [
    [0x1fe8, 'addi a0,sp,1020'],
    [0x0040, 'addi s0,sp,4'],
    [0x3c7c, 'fld fa5,248(s0)'],
    [0x5e6c, 'lw a1,124(a2)'],
    [0x6784, 'ld s1,8(a5)'],
    [0xa088, 'fsd fa0,0(s1)'],
    [0xc334, 'sw a3,64(a4)'],
    [0xe07c, 'sd a5,192(s0)'],
    [0x0001, 'addi zero,zero,0'],
    [0x1f81, 'addi t6,t6,-32'],
    [0x2dfd, 'addiw s11,s11,31'],
    [0x557d, 'addi a0,zero,-1'],
    [0x7101, 'addi sp,sp,-512'],
    [0x617d, 'addi sp,sp,496'],
    [0x7501, 'lui a0,0xfffe0'],
    [0x62fd, 'lui t0,0x1f'],
    [0x917d, 'srli a0,a0,0x3f'],
    [0x8485, 'srai s1,s1,0x1'],
    [0x9b81, 'andi a5,a5,-32'],
    [0x8d0d, 'sub a0,a0,a1'],
    [0x8c25, 'xor s0,s0,s1'],
    [0x8e55, 'or a2,a2,a3'],
    [0x8f7d, 'and a4,a4,a5'],
    [0x9d1d, 'subw a0,a0,a5'],
    [0x9ca9, 'addw s1,s1,a0'],
    [0xa805, 'jal zero,.+48'],
    [0xbfd5, 'jal zero,.-12'],
    [0xdfe5, 'beq a5,zero,.-8'],
    [0xec91, 'bne s1,zero,.+28'],
    [0x1082, 'slli ra,ra,0x20'],
    [0x307e, 'fld ft0,504(sp)'],
    [0x50fe, 'lw ra,252(sp)'],
    [0x7ffe, 'ld t6,504(sp)'],
    [0x9002, 'ebreak'],
    [0x8082, 'jalr zero,0(ra)'],
    [0x9782, 'jalr ra,0(a5)'],
    [0x857e, 'add a0,zero,t6'],
    [0x9faa, 'add t6,t6,a0'],
    [0xa46e, 'fsd fs11,8(sp)'],
    [0xc102, 'sw zero,128(sp)'],
    [0xff86, 'sd ra,504(sp)'],
  ];
  for (const [bits, text] of cases) assert.equal(disassemble(bits), text, bits.toString(16));
  const covered = new Set(cases.map(([bits]) => findCompressed(bits)?.name));
  for (const { name } of compressedInstructions) assert.ok(covered.has(name), name);
});

test('reserved compressed instructions are illegal', () => {
  for (const bits of [0x0000, 0x8000, 0x2001, 0x6101, 0x6001, 0x9c41, 0x9c61, 0x4002, 0x6002, 0x8002]) {
    assert.equal(expandCompressed(bits), 0, bits.toString(16));
    assert.equal(decode(bits), undefined, bits.toString(16));
  }
});

test('disassembly', () => {
  const cases: readonly (readonly [bits: number, text: string])[] = [
    [0xff01_0113, 'addi sp,sp,-16'],
    [0x0087_b503, 'ld a0,8(a5)'],
    [0xfea7_bc23, 'sd a0,-8(a5)'],
    [0x1420_2573, 'csrrs a0,scause,zero'],
    [0x1001_7073, 'csrrci zero,sstatus,2'],
    [0x0330_000f, 'fence rw,rw'],
    [0x1405_b52f, 'lr.d.aq a0,(a1)'],
    [0x00c5_a52f, 'amoadd.w a0,a2,(a1)'],
    [0x06c5_a52f, 'amoadd.w.aqrl a0,a2,(a1)'],
    [0x1205_0073, 'sfence.vma a0,zero'],
    [0x0000_0000, '.half 0x0'],
    [0xffff_ffff, '.word 0xffffffff'],
  ];
  for (const [bits, text] of cases) assert.equal(disassemble(bits), text, bits.toString(16));
  assert.equal(disassemble(0xfe00_0ee3, 0x8000_0004n), 'beq zero,zero,0x80000000');
});
