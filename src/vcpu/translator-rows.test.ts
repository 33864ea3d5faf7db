// Every row of the table, run by both engines on the same random operands: a loop a row, hot enough to be translated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ramStart } from '../memory/layout.ts';
import type { Decoded } from './decode.ts';
import type { Instruction } from './instruction.ts';
import { instructions } from './instructions.ts';
import { RegionCode } from './region-code.ts';
import { end, type Line, machine, place, randomNumbers, registers, set } from './translator-pair.ts';

const emitted = new Set<string>();
const original = RegionCode.prototype.instruction;
RegionCode.prototype.instruction = function (decoded: Decoded, offset: number): void {
  emitted.add(decoded.instruction.name);
  original.call(this, decoded, offset);
};

const rounds = 1500;
const operands = 0x10_0000;
const scratch = 0x20_0000;
const results = 0x30_0000;
const codeStart = 0x1000;

/** Registers of the loops: table, end of it, scratch memory, sum of results; then operands 1 to 3 and the result. */
const [table, last, data, sum, first, second, third, result] = [5, 6, 8, 9, 10, 11, 12, 13];

const corners = [
  0n,
  1n,
  -1n,
  1n << 63n,
  (1n << 63n) - 1n,
  1n << 31n,
  -(1n << 31n),
  0x7fff_ffffn,
  0xffff_ffffn,
  64n,
  32n,
];
const floats = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e300,
  -1e-300,
  5e-324,
  1e-310,
  2 ** 31,
  -(2 ** 63),
  2 ** 64,
  Infinity,
  -Infinity,
  Number.NaN,
  1.5,
  3,
];

for (const part of [0, 1, 2, 3]) {
  test(`translated rows do what interpreted rows do, part ${part + 1}`, () => {
    const rows = instructions.filter((row, i) => row.ends !== 'system' && i % 4 === part);
    const random = randomNumbers(part + 7);
    const program: Line[] = [];
    for (const row of rows) program.push(...loopOf(row, random));
    const engines = ['interpreter', 'translator'] as const;
    const [interpreted, translated] = engines.map((engine) => {
      const one = machine(engine);
      fillOperands(one.view, randomNumbers(99));
      place(one, codeStart, [...program, ...end]);
      one.hart.setPc(BigInt(ramStart + codeStart));
      one.finish();
      return one;
    }) as [ReturnType<typeof machine>, ReturnType<typeof machine>];
    for (const [i, row] of rows.entries()) {
      const sums = [interpreted, translated].map(({ view }) => view.getBigUint64(results + 8 * i, true).toString(16));
      assert.equal(sums[1], sums[0], row.name);
      assert.ok(emitted.has(row.name), `${row.name} was not translated`);
    }
    assert.deepEqual(registers(translated), registers(interpreted));
    const scratchOf = (one: ReturnType<typeof machine>): Uint8Array => one.bytes.subarray(scratch, scratch + 0x2000);
    assert.deepEqual(scratchOf(translated), scratchOf(interpreted));

    function loopOf(row: Instruction, random: () => number): Line[] {
      const index = rows.indexOf(row);
      const label = `loop${index}`;
      return [
        ...set(table, 0),
        ...address(table, operands),
        ...address(last, operands + rounds * 32),
        ...address(data, scratch + 0x800),
        { name: 'addi', rd: sum, rs1: 0, imm: index },
        { label },
        ...[first, second, third, result].flatMap((register, i): Line[] => [
          { name: 'ld', rd: register, rs1: table, imm: 8 * i },
          { name: 'fld', rd: register, rs1: table, imm: 8 * i },
        ]),
        ...[0, 1, 2].flatMap((variant) => variantOf(row, random, `${label}.${variant}`, variant)),
        { name: 'csrrs', rd: 14, rs1: 0, imm: 1 },
        ...mix(14),
        { name: 'addi', rd: table, rs1: table, imm: 32 },
        { name: 'bltu', rs1: table, rs2: last, to: label },
        ...address(14, results + 8 * index),
        { name: 'sd', rs1: 14, rs2: sum, imm: 0 },
      ];
    }
  });
}

/** The row with other operands each time; then its results go into the sum. */
function variantOf(row: Instruction, random: () => number, label: string, variant: number): Line[] {
  const { name, format } = row;
  const files = row.files ?? 'xxx';
  if (row.ends === 'branch') {
    return [
      { name, rs1: first, rs2: [second, first, 0][variant]!, to: label },
      ...mix(third),
      { label },
      ...mix(first),
    ];
  }
  if (row.ends === 'jump') return [{ name, rd: result, to: label }, ...mix(second), { label }, ...here(result)];
  if (row.ends === 'indirect') {
    return [
      { name: 'auipc', rd: result, imm: 0 },
      { name, rd: [result, 0, 15][variant]!, rs1: result, imm: 12 + (variant & 1) },
      ...mix(first).slice(0, 1),
      ...here(result),
    ];
  }
  if (name === 'auipc') return [{ name, rd: result, imm: random() & ~0xfff }, ...here(result)];
  const rd = [result, first, 0][variant]!;
  const memory = format === 'atomic' || /^f?[ls][bhwd]u?$/.test(name);
  const imm =
    format === 'atomic' ? 0 : memory ? [8, (random() & 0x7ff) - 0x400, -0x7f8 & ~7][variant]! : random() & 0xfff;
  const line: Line = {
    ...{ name, rd, rs2: [second, rd, second][variant]!, rs3: third },
    rs1: memory ? data : [first, second, 0][variant]!,
    imm: format === 'shift6' ? imm & 63 : format === 'shift5' ? imm & 31 : format === 'U' ? random() & ~0xfff : imm,
    rounding: [0, 7, 1 + (random() % 4)][variant]!,
  };
  const reads: Line[] = files[0] === 'f' ? [{ name: 'fmv.x.d', rd: result, rs1: rd }] : [];
  return [line, ...reads, ...mix(files[0] === 'f' ? result : rd)];
}

function mix(register: number): Line[] {
  return [
    { name: 'rori', rd: sum, rs1: sum, imm: 7 },
    { name: 'add', rd: sum, rs1: sum, rs2: register },
  ];
}

/** Adds how far behind this instruction `register` points. */
function here(register: number): Line[] {
  return [{ name: 'auipc', rd: 14, imm: 0 }, { name: 'sub', rd: 14, rs1: 14, rs2: register }, ...mix(14)];
}

function address(rd: number, offset: number): Line[] {
  return [
    ...set(rd, (ramStart + offset) | 0),
    { name: 'slli', rd, rs1: rd, imm: 32 },
    { name: 'srli', rd, rs1: rd, imm: 32 },
  ];
}

function fillOperands(view: DataView, random: () => number): void {
  for (let i = 0; i < rounds * 4; i++) {
    const at = operands + 8 * i;
    const kind = random() % 8;
    if (kind < 2) view.setBigInt64(at, corners[random() % corners.length]!, true);
    else if (kind < 4) view.setFloat64(at, floats[random() % floats.length]!, true);
    else if (kind < 6) {
      view.setFloat32(at, kind === 4 ? floats[random() % floats.length]! : random() / 1e5, true);
      view.setInt32(at + 4, random() % 8 === 0 ? 0 : -1, true);
    } else view.setBigInt64(at, (BigInt(random()) << 32n) | BigInt(random()), true);
  }
}
