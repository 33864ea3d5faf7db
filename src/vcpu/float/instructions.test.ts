import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flag } from './format.ts';
import { floatInstructions } from './instructions.ts';
import { compileAlone } from './one-instruction.ts';
import { routines } from './routines.ts';

const box = 0xffff_ffff_0000_0000n;
const corners64 = [
  0n,
  1n,
  0xfffffffffffffn,
  0x10000000000000n,
  0x10000000000001n,
  0x3ff0000000000000n,
  0x3ff0000000000001n,
  0x3fe0000000000000n,
  0x4000000000000000n,
  0x4008000000000000n,
  0x41dfffffffc00000n,
  0x41e0000000000000n,
  0x43e0000000000000n,
  0x43f0000000000000n,
  0x7fefffffffffffffn,
  0x7ff0000000000000n,
  0x7ff0000000000001n,
  0x7ff8000000000000n,
  0x7fffffffffffffffn,
  0x3ff8000000000000n,
  0x4024000000000000n,
  0x3fd5555555555555n,
].flatMap((bits) => [bits, bits | (1n << 63n)]);
const corners32 = [
  0n,
  1n,
  0x7fffffn,
  0x800000n,
  0x800001n,
  0x3f800000n,
  0x3f800001n,
  0x3f000000n,
  0x40000000n,
  0x4effffffn,
  0x4f000000n,
  0x5f000000n,
  0x7f7fffffn,
  0x7f800000n,
  0x7f800001n,
  0x7fc00000n,
  0x3fc00000n,
  0x41200000n,
  0x3eaaaaabn,
].flatMap((bits) => [box | bits, box | bits | (1n << 31n)]);
const unboxed = [0x3f800000n, 0xfffffffe3f800000n];

/** The routine that says what a row must do, and whether its operand is an integer register. */
function model(name: string): { routine: (typeof routines)[number]; integer: boolean } | undefined {
  const [op, to, from] = name.split('.');
  const names: Record<string, string> = {
    fadd: 'add',
    fsub: 'subtract',
    fmul: 'multiply',
    fdiv: 'divide',
    fsqrt: 'squareRoot',
    fmin: 'min',
    fmax: 'max',
    feq: 'equal',
    flt: 'less',
    fle: 'lessOrEqual',
    fclass: 'classify',
  };
  const integers: Record<string, string> = { w: 'Signed32', wu: 'Unsigned32', l: 'Signed64', lu: 'Unsigned64' };
  const format = (letter = ''): string => (letter === 'd' ? 'f64' : 'f32');
  const wanted =
    op !== 'fcvt'
      ? `${format(to)}.${names[op ?? ''] ?? op}`
      : integers[to ?? '']
        ? `${format(from)}.to${integers[to ?? '']}`
        : integers[from ?? '']
          ? `${format(to)}.from${integers[from ?? '']}`
          : `${format(to)}.convert`;
  const routine = routines.find((candidate) => candidate.name === wanted);
  return routine && { routine, integer: integers[from ?? ''] !== undefined };
}

const rows = floatInstructions.filter((row) => model(row.name));

test('every arithmetic row has a model', () => {
  const others = floatInstructions.filter((row) => !model(row.name)).map((row) => row.name);
  assert.deepEqual(others, [
    'flw',
    'fsw',
    'fsgnj.s',
    'fsgnjn.s',
    'fsgnjx.s',
    'fmv.x.w',
    'fmv.w.x',
    'fld',
    'fsd',
    'fsgnj.d',
    'fsgnjn.d',
    'fsgnjx.d',
    'fmv.x.d',
    'fmv.d.x',
  ]);
});

let seed = 12345;
function random64(): bigint {
  let bits = 0n;
  for (let i = 0; i < 4; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    bits = (bits << 16n) | BigInt((seed >>> 8) & 0xffff);
  }
  return bits;
}

/** Numbers near each other, so that sums and products cancel, round and underflow. */
function randomOperand(isDouble: boolean): bigint {
  const bits = random64();
  if (isDouble) {
    const near = (bits & 0x800f_ffff_ffff_ffffn) | ((0x3f0n + ((bits >> 52n) & 0x1fn)) << 52n);
    return bits & 8n ? near & ~((1n << (bits & 63n)) - 1n) : bits & 4n ? near : bits;
  }
  const near = (bits & 0x807f_ffffn) | ((0x70n + ((bits >> 23n) & 0x1fn)) << 23n);
  return (
    box |
    (bits & (8n << 32n)
      ? near & ~((1n << ((bits >> 40n) & 31n)) - 1n) & 0xffff_ffffn
      : bits & (4n << 32n)
        ? near
        : bits & 0xffff_ffffn)
  );
}

for (const row of rows) {
  test(`${row.name}: fast and exact agree`, () => {
    const { routine, integer } = model(row.name)!;
    const isDouble = row.name.startsWith('fcvt.')
      ? routine.name.startsWith('f64') !== routine.name.endsWith('convert')
      : routine.name.startsWith('f64');
    const corners = integer
      ? [
          0n,
          1n,
          2n ** 24n,
          2n ** 24n + 1n,
          2n ** 53n,
          2n ** 53n + 1n,
          2n ** 63n - 1n,
          2n ** 63n,
          2n ** 64n - 1n,
          0x80000000n,
          0xffffffffn,
        ]
      : isDouble
        ? corners64
        : [...corners32, ...unboxed];
    const operand = (i: number): bigint =>
      i < corners.length ? corners[i]! : integer ? random64() >> (random64() & 63n) : randomOperand(isDouble);
    for (const known of [undefined, 0, 1, 2, 3, 4]) {
      if (known !== undefined && !row.rounds) continue;
      const run = compileAlone(row, known);
      let fast = 0;
      for (let i = 0; i < 400; i++) {
        const inputs = pick(i, corners.length, routine.operands).map(operand);
        const [a = 0n, b = 0n, c = 0n] = inputs;
        const rounding = known ?? i % 5;
        const fflags = i % 3 === 0 ? flag.inexact : 0;
        const got = run({ f: [integer ? 0n : a, b, c], x: integer ? a : 0n, fflags, rounding });
        const want = routine.run(rounding, a, b, c);
        const told = `${row.name} rm ${rounding} flags ${fflags} of ${inputs.map((bits) => bits.toString(16))}`;
        assert.equal(got.result.toString(16), want.bits.toString(16), told);
        assert.equal(got.fflags, fflags | want.flags, `${told}: flags`);
        if (!got.slow) fast++;
      }
      if (known === 0) assert.ok(fast > 40, `only ${fast} of 400 went the fast road`);
    }
  });
}

/** Indices of operands: corners against corners first, then whatever is random. */
function pick(i: number, corners: number, operands: number): number[] {
  return Array.from({ length: operands }, (_, n) =>
    i < 200 ? (i * (n * 7 + 1) + n * (i >> 2)) % corners : corners + i,
  );
}
