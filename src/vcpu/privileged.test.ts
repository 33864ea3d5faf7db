import assert from 'node:assert/strict';
import test from 'node:test';
import { interrupt, Signals } from '../memory/signals.ts';
import { csrs, mstatus } from './csr.ts';
import { encode } from './encode.ts';
import type { Mmio } from './mmio.ts';
import { codeAt, createTestMachine, dataAt, ecall, type TestMachine } from './test-machine.ts';

const number = (name: string): number => csrs.find((csr) => csr.name === name)!.number;
const read = (rd: number, name: string): number => encode('csrrs', { rd, imm: number(name) });
const write = (name: string, rs1: number): number => encode('csrrw', { imm: number(name), rs1 });
/** Nothing changes in it: a program that is not expected to get here stays here. */
const stay = encode('jal', { imm: 0 });

/** In M mode with handlers of both modes that stay where they are; runs `program` and says where it got. */
function inMachineMode(program: readonly number[], prepare: (machine: TestMachine) => void = () => {}): TestMachine {
  const machine = createTestMachine({ privilege: 3, supervisorCalls: 'firmware' });
  machine.put(codeAt, [...program, stay]);
  machine.put(codeAt + 0x800, [stay]);
  machine.put(codeAt + 0xc00, [stay]);
  machine.hart.setCsr('mtvec', BigInt(codeAt + 0x800));
  machine.hart.setCsr('stvec', BigInt(codeAt + 0xc00));
  machine.hart.setCsr('pmpaddr0', 0x3f_ffff_ffff_ffffn);
  machine.hart.setCsr('pmpcfg0', 0x1fn);
  prepare(machine);
  machine.hart.run(1000);
  return machine;
}

test('exceptions go to M mode, or to S mode if delegated, with cause, address and value', () => {
  const rows: readonly [text: string, word: number, cause: bigint, value: bigint][] = [
    ['illegal', 0xffff_ffff, 2n, 0xffff_ffffn],
    ['a CSR that is not', read(5, 'mcause') | (0x7ff << 20), 2n, BigInt((read(5, 'mcause') | (0x7ff << 20)) >>> 0)],
    ['ebreak', encode('ebreak'), 3n, BigInt(codeAt)],
    ['a load from nowhere', encode('ld', { rd: 5, imm: 8 }), 5n, 8n],
    ['a misaligned AMO', encode('amoadd.w', { rd: 5, rs1: 6 }), 6n, BigInt(dataAt + 2)],
    ['a misaligned LR', encode('lr.d', { rd: 5, rs1: 6 }), 4n, BigInt(dataAt + 2)],
    ['a store to nowhere', encode('sb', { imm: 8 }), 7n, 8n],
    ['an AMO to nowhere', encode('amoadd.w', { rd: 5, rs1: 0 }), 7n, 0n],
    ['a jump to nowhere', encode('jalr', { rd: 5, imm: 8 }), 1n, 8n],
  ];
  for (const [text, word, cause, value] of rows) {
    const { hart } = inMachineMode([word], (machine) => machine.hart.setX(6, BigInt(dataAt + 2)));
    assert.equal(hart.pc(), BigInt(codeAt + 0x800), text);
    assert.deepEqual([hart.csr('mcause'), hart.csr('mtval')], [cause, value], text);
    assert.equal(hart.csr('mepc'), cause === 1n ? 8n : BigInt(codeAt), text);
    for (const [from, delegated] of [
      [0n, true],
      [1n, true],
      [1n, false],
      [0n, false],
    ] as const) {
      // mret to the instruction in the lower mode.
      const lower = inMachineMode([encode('mret')], (machine) => {
        machine.put(codeAt + 0x100, [word]);
        machine.hart.setX(6, BigInt(dataAt + 2));
        machine.hart.setCsr('mepc', BigInt(codeAt + 0x100));
        machine.hart.setCsr('mstatus', mstatus.xl | (from << 11n) | mstatus.sie | mstatus.mpie);
        machine.hart.setCsr('medeleg', delegated ? 0xffffn : 0n);
      });
      const [mode, epc] = delegated ? (['s', codeAt + 0xc00] as const) : (['m', codeAt + 0x800] as const);
      assert.equal(lower.hart.pc(), BigInt(epc), `${text} from ${from}`);
      assert.equal(lower.hart.csr(`${mode}cause`), cause, text);
      const status = lower.hart.csr('mstatus');
      if (delegated) {
        assert.equal((status & mstatus.spp) !== 0n, from === 1n, text);
        assert.equal(status & (mstatus.sie | mstatus.spie), mstatus.spie, text);
      } else {
        assert.equal((status & mstatus.mpp) >> 11n, from, text);
        assert.equal(status & (mstatus.mie | mstatus.mpie), mstatus.mpie, text);
      }
    }
  }
});

test('calls by mode, and who may execute what', () => {
  const all = mstatus.tsr | mstatus.tvm | mstatus.tw;
  const rows: readonly [text: string, word: number, mode: bigint, status: bigint, cause: bigint][] = [
    ['ecall of U', ecall, 0n, 0n, 8n],
    ['ecall of S', ecall, 1n, 0n, 9n],
    ['ecall of M', ecall, 3n, 0n, 11n],
    ['mret in S', encode('mret'), 1n, 0n, 2n],
    ['sret in U', encode('sret'), 0n, 0n, 2n],
    ['sret in S with TSR', encode('sret'), 1n, all, 2n],
    ['sfence.vma in U', encode('sfence.vma'), 0n, 0n, 2n],
    ['sfence.vma in S with TVM', encode('sfence.vma'), 1n, all, 2n],
    ['satp in S with TVM', read(5, 'satp'), 1n, all, 2n],
    ['wfi in S with TW', encode('wfi'), 1n, all, 2n],
    ['mstatus in S', read(5, 'mstatus'), 1n, 0n, 2n],
    ['sstatus in U', read(5, 'sstatus'), 0n, 0n, 2n],
    ['a write to a register that is read-only', write('mhartid', 0), 3n, 0n, 2n],
    ['stimecmp in S without Sstc', read(5, 'stimecmp'), 1n, 0n, 2n],
    ['time in S while mcounteren denies it', read(5, 'time'), 1n, 0n, 2n],
    ['fcsr while FS is off', read(5, 'fcsr'), 3n, 0n, 2n],
  ];
  for (const [text, word, mode, status, cause] of rows) {
    const { hart } = inMachineMode([encode('mret')], (machine) => {
      machine.put(codeAt + 0x100, [word]);
      machine.hart.setCsr('mepc', BigInt(codeAt + 0x100));
      machine.hart.setCsr('mstatus', mstatus.xl | (mode << 11n) | status);
    });
    assert.equal(hart.pc(), BigInt(codeAt + 0x800), text);
    assert.deepEqual([hart.csr('mcause'), hart.csr('mepc')], [cause, BigInt(codeAt + 0x100)], text);
  }
});

test('interrupts: enabled by mode and bit, in their order, vectored if so asked', () => {
  const rows: readonly [pending: number, mideleg: bigint, mode: bigint, status: bigint, expected: string][] = [
    [interrupt.mtip, 0n, 3n, 0n, 'none'],
    [interrupt.mtip, 0n, 3n, mstatus.mpie, 'm 7'],
    [interrupt.mtip, 0n, 1n, 0n, 'm 7'],
    [interrupt.mtip | interrupt.meip | interrupt.msip, 0n, 1n, 0n, 'm 11'],
    [interrupt.mtip | interrupt.msip, 0n, 1n, 0n, 'm 3'],
    [interrupt.stip | interrupt.ssip, 0x222n, 1n, 0n, 'none'],
    [interrupt.stip | interrupt.ssip, 0x222n, 1n, mstatus.sie, 's 1'],
    [interrupt.stip, 0x222n, 0n, 0n, 's 5'],
    [interrupt.seip | interrupt.ssip, 0x222n, 0n, 0n, 's 9'],
    [interrupt.seip, 0n, 0n, 0n, 'm 9'],
    [interrupt.stip, 0x222n, 3n, mstatus.mpie | mstatus.sie, 'none'],
  ];
  for (const vectored of [0, 1]) {
    for (const [pending, mideleg, mode, status, expected] of rows) {
      const { hart } = inMachineMode([encode('mret')], (machine) => {
        machine.put(codeAt + 0x100, [stay]);
        for (let i = 0; i < 16; i++) {
          machine.put(codeAt + 0x800 + i * 4, [stay]);
          machine.put(codeAt + 0xc00 + i * 4, [stay]);
        }
        machine.hart.setCsr('mepc', BigInt(codeAt + 0x100));
        machine.hart.setCsr('mstatus', mstatus.xl | (mode << 11n) | status);
        machine.hart.setCsr('mie', 0xaaan);
        machine.hart.setCsr('mideleg', mideleg);
        machine.hart.setCsr('mtvec', BigInt(codeAt + 0x800 + vectored));
        machine.hart.setCsr('stvec', BigInt(codeAt + 0xc00 + vectored));
        new Signals(machine.memory.buffer, machine.layout).raise(0, pending);
      });
      const at = Number(hart.pc()) - codeAt;
      const text = `${pending} ${mideleg} ${mode} ${status}`;
      if (expected === 'none') {
        assert.equal(at, 0x100, text);
        continue;
      }
      const [to, code] = expected.split(' ') as ['m' | 's', string];
      assert.equal(at, (to === 'm' ? 0x800 : 0xc00) + vectored * 4 * Number(code), text);
      assert.equal(BigInt.asUintN(64, hart.csr(`${to}cause`)), (1n << 63n) | BigInt(code), text);
      assert.equal(hart.csr(`${to}epc`), BigInt(codeAt + 0x100), text);
    }
  }
});

test('control registers keep the bits that they have', () => {
  const rows: readonly [name: string, ones: bigint, zeros: bigint][] = [
    ['sstatus', 0x8000_0002_000c_6122n, 0x2_0000_0000n],
    ['mstatus', 0x8000_000a_007e_79aan, 0xa_0000_0000n],
    ['mtvec', 0xffff_ffff_ffff_fffdn, 0n],
    ['mepc', 0xffff_ffff_ffff_fffen, 0n],
    ['mscratch', 0xffff_ffff_ffff_ffffn, 0n],
    ['mideleg', 0x222n, 0n],
    ['mie', 0xaaan, 0n],
    ['medeleg', 0xb3ffn, 0n],
    ['mcounteren', 0xffff_ffffn, 0n],
    ['menvcfg', 0xa000_0000_0000_0001n, 0n],
    ['misa', 0x8000_0000_0014_112dn, 0x8000_0000_0014_112dn],
    ['mhpmcounter3', 0n, 0n],
    ['mhpmevent31', 0n, 0n],
    ['fflags', 0x1fn, 0n],
    ['frm', 7n, 0n],
    ['fcsr', 0xffn, 0n],
    ['satp', 0n, 0n],
    ['mvendorid', 0n, 0n],
  ];
  for (const [name, ones, zeros] of rows) {
    if (number(name) >> 10 === 3) continue;
    for (const [value, expected] of [
      [-1n, ones],
      [0n, zeros],
    ] as const) {
      const { hart } = inMachineMode([write(name, 5), read(6, name)], (machine) => {
        machine.hart.setX(5, value);
        machine.hart.setCsr('mstatus', mstatus.xl | mstatus.fs);
      });
      assert.equal(BigInt.asUintN(64, hart.x(6)), expected, `${name} after ${value}`);
    }
  }
});

test('read, set and clear', () => {
  const rows: readonly [name: string, after: bigint][] = [
    ['csrrw', 5n],
    ['csrrs', 0xdn],
    ['csrrc', 8n],
    ['csrrwi', 5n],
    ['csrrsi', 0xdn],
    ['csrrci', 8n],
  ];
  for (const [name, after] of rows) {
    const { hart } = inMachineMode([encode(name, { rd: 6, rs1: 5, imm: number('mscratch') })], (machine) => {
      machine.hart.setX(5, 5n);
      machine.hart.setCsr('mscratch', 12n);
    });
    assert.deepEqual([hart.x(6), hart.csr('mscratch')], [12n, after], name);
  }
});

test('minstret counts instructions, and is what was written at the next one', () => {
  const { hart } = inMachineMode([
    ...[read(5, 'minstret'), encode('addi'), encode('addi'), read(6, 'minstret')],
    ...[write('minstret', 10), read(7, 'minstret'), read(8, 'cycle')],
  ]);
  assert.deepEqual(
    [5, 6, 7, 8].map((x) => hart.x(x)),
    [0n, 3n, 0n, 1n],
  );
});

test('the timer: STIP is whether time has reached stimecmp, and wakes wfi', () => {
  const machine = createTestMachine();
  const { hart, clock } = machine;
  machine.put(codeAt, [write('stimecmp', 5), read(6, 'sip'), write('sie', 7), encode('wfi'), read(8, 'time'), ecall]);
  hart.setX(5, 1000n);
  hart.setX(7, 0x20n);
  clock.ticks = 400;
  assert.equal(hart.run(1000), 'wfi');
  assert.equal(hart.x(6), 0n);
  assert.equal(hart.ticksToTimer(), 600);
  assert.equal(hart.run(1000), 'sbi', 'wfi may end early');
  clock.ticks = 1000;
  hart.setPc(BigInt(codeAt + 12));
  assert.equal(hart.run(1000), 'sbi');
  assert.equal(hart.x(8), 1000n);
  assert.equal(hart.csr('sip') & 0x20n, 0x20n);
});

test('devices answer at their addresses, with half the width at a time for eight bytes', () => {
  const log: string[] = [];
  const mmio: Mmio = {
    has: (address) => address >= 0x1000_0000 && address < 0x1000_0100,
    read: (address, bytes) => {
      log.push(`read ${address.toString(16)} ${bytes}`);
      return 0x8765_4321 & (bytes === 4 ? -1 : (1 << (8 * bytes)) - 1);
    },
    write: (address, bytes, value) => void log.push(`write ${address.toString(16)} ${bytes} ${value.toString(16)}`),
  };
  const machine = createTestMachine({ mmio });
  machine.put(codeAt, [
    ...[encode('lw', { rd: 10, rs1: 5 }), encode('lbu', { rd: 11, rs1: 5, imm: 1 }), encode('ld', { rd: 12, rs1: 5 })],
    ...[encode('sb', { rs1: 5, rs2: 6 }), encode('sd', { rs1: 5, rs2: 6, imm: 8 }), ecall],
  ]);
  machine.hart.setX(5, 0x1000_0000n);
  machine.hart.setX(6, 0xfedc_ba98_7654_3210n);
  machine.call(codeAt);
  assert.deepEqual(log, [
    ...['read 10000000 4', 'read 10000001 1', 'read 10000000 4', 'read 10000004 4'],
    ...['write 10000000 1 10', 'write 10000008 4 76543210', 'write 1000000c 4 fedcba98'],
  ]);
  const word = BigInt.asIntN(32, 0x8765_4321n);
  assert.deepEqual([hart(10), hart(11), hart(12)], [word, 0x21n, BigInt.asIntN(64, 0x8765_4321_8765_4321n)]);

  function hart(register: number): bigint {
    return machine.hart.x(register);
  }
});

test('floating point while mstatus.FS is off is illegal, and makes it dirty otherwise', () => {
  const add = encode('fadd.d', { rd: 1, rs1: 2, rs2: 3 });
  const off = inMachineMode([add]);
  assert.deepEqual([off.hart.csr('mcause'), off.hart.csr('mtval')], [2n, BigInt(add)]);
  const on = inMachineMode([add], ({ hart }) => hart.setCsr('mstatus', mstatus.xl | 0x2000n));
  assert.equal(on.hart.csr('mstatus') & mstatus.fs, mstatus.fs);
  const reserved = inMachineMode([encode('fadd.d', { rounding: 7 })], ({ hart }) => {
    hart.setCsr('mstatus', mstatus.xl | mstatus.fs);
    hart.setCsr('frm', 5n);
  });
  assert.deepEqual([reserved.hart.csr('mcause'), reserved.hart.csr('mepc')], [2n, BigInt(codeAt)]);
});

test('the core-local interruptor: software interrupts, time, and the timer of M mode', () => {
  const machine = createTestMachine({ privilege: 3, supervisorCalls: 'firmware', clintStart: 0x200_0000 });
  const { hart, clock } = machine;
  machine.put(codeAt, [
    ...[encode('sw', { rs1: 5, rs2: 6 }), encode('lw', { rd: 7, rs1: 5 }), read(8, 'mip'), encode('sw', { rs1: 5 })],
    ...[read(9, 'mip'), encode('ld', { rd: 10, rs1: 11, imm: -8 }), encode('sd', { rs1: 12, rs2: 13 }), encode('wfi')],
    ...[read(14, 'mip'), encode('sd', { rs1: 12, rs2: 15 }), read(16, 'mip'), stay],
  ]);
  hart.setX(5, 0x200_0000n);
  hart.setX(6, 1n);
  hart.setX(11, 0x200_c000n);
  hart.setX(12, 0x200_4000n);
  hart.setX(13, 0x1_0000_0100n);
  hart.setX(15, -1n);
  hart.setCsr('mie', 0x80n);
  clock.ticks = 0x1_0000_0000;
  assert.equal(hart.run(1000), 'wfi');
  assert.deepEqual(
    [7, 8, 9, 10].map((x) => hart.x(x)),
    [1n, 8n, 0n, 0x1_0000_0000n],
  );
  assert.equal(hart.ticksToTimer(), 0x100);
  clock.ticks += 0x100;
  hart.run(1000);
  assert.deepEqual([hart.x(14), hart.x(16)], [0x80n, 0n]);
});
