// Interrupts on a whole machine: they come soon, whatever code runs, and wake a hart that sleeps; not before their time. The kernel
// keeps what it measured, in ticks of 100 ns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engines, type KernelAssembler, reg, runKernel, sbi } from './bare-kernel.ts';
import { at, barrier, free, hartsKernel } from './harts-kernel.ts';

const { ra, t0, t1, t2, a0, a1, tp, s0, s1, s2, s3, s4, s5, s6 } = reg;
const csr = { sstatus: 0x100, sie: 0x104, stvec: 0x105, sip: 0x144, stimecmp: 0x14d, time: 0xc01 } as const;
const timer = 0x20;
const software = 0x2;
const times = 40;
/** Until the next interrupt: 2 ms. */
const wait = 20_000;
/** Most interrupts come within this, also where others use the processors: 60 ms. A hart that does not look would run on for ever. */
const soonTicks = 600_000;

/** Code that runs until an interrupt leads away: loops of every kind that the engines run in their own way. */
const busy: Readonly<Record<string, (a: KernelAssembler) => void>> = {
  'a jump to itself': (a) => a.stay(),
  'a loop of branches': (a) => {
    a.label('loop');
    a.emit('addi', { rd: t0, rs1: t0, imm: 1 });
    a.to('loop', 'bne', { rs1: t0 });
    a.to('loop', 'jal');
  },
  'a loop with loads and stores': (a) => {
    a.label('loop');
    a.emit('ld', { rd: t0, rs1: s0, imm: free + 8 });
    a.emit('addi', { rd: t0, rs1: t0, imm: 1 });
    a.emit('sd', { rs1: s0, rs2: t0, imm: free + 8 });
    a.to('loop', 'jal');
  },
  'calls and returns': (a) => {
    a.label('loop');
    a.to('called', 'jal', { rd: ra });
    a.to('loop', 'jal');
    a.label('called');
    a.emit('addi', { rd: t0, rs1: t0, imm: 1 });
    a.emit('jalr', { rs1: ra });
  },
  'an indirect jump': (a) => {
    a.emit('auipc', { rd: t1 });
    a.emit('addi', { rd: t0, rs1: t0, imm: 1 });
    a.emit('jalr', { rs1: t1, imm: 4 });
  },
  'reads of the time': (a) => {
    a.label('loop');
    a.emit('csrrs', { rd: t0, imm: csr.time });
    a.to('loop', 'jal');
  },
};

/** Sets the timer, runs `code` with interrupts on, and keeps how late each interrupt came. */
function timerKernel(code: (a: KernelAssembler) => void): Uint8Array {
  return hartsKernel(1, (a) => {
    a.address(s5, at.results);
    a.li(s6, times);
    a.to('begin', 'jal', { rd: t0 });
    // The handler, at an address of four bytes' alignment.
    a.emit('csrrs', { rd: t1, imm: csr.time });
    a.emit('sub', { rd: t1, rs1: t1, rs2: s4 });
    a.emit('sd', { rs1: s5, rs2: t1 });
    a.emit('addi', { rd: s5, rs1: s5, imm: 8 });
    a.emit('addi', { rd: s6, rs1: s6, imm: -1 });
    a.to('over', 'beq', { rs1: s6 });
    a.to('next', 'jal');
    a.label('begin');
    a.emit('csrrw', { rs1: t0, imm: csr.stvec });
    a.li(t0, timer);
    a.emit('csrrw', { rs1: t0, imm: csr.sie });
    a.label('next');
    a.emit('csrrs', { rd: s4, imm: csr.time });
    a.li(t0, wait);
    a.emit('add', { rd: s4, rs1: s4, rs2: t0 });
    a.emit('csrrw', { rs1: s4, imm: csr.stimecmp });
    a.emit('csrrsi', { rs1: software, imm: csr.sstatus });
    code(a);
    a.label('over');
    a.li(t0, -1);
    a.emit('csrrw', { rs1: t0, imm: csr.stimecmp });
  });
}

/** As it is for most: the third quarter's end. */
function most(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length * 0.75)]!;
}

function ticksAt(memory: DataView, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number(memory.getBigInt64(start + i * 8, true)));
}

for (const engine of engines) {
  for (const [name, code] of Object.entries(busy)) {
    test(`${engine}: the timer interrupts ${name}`, async () => {
      const { end, memory } = await runKernel({ kernel: timerKernel(code), harts: 1, engine });
      assert.equal(end.by, 'powerOff');
      const late = ticksAt(memory, at.results, times);
      for (const ticks of late) assert.ok(ticks >= 0, `${-ticks} ticks too early`);
      assert.ok(most(late) < soonTicks, `${late}`);
    });
  }

  test(`${engine}: wfi sleeps until the timer, and no longer, with interrupts off in sstatus`, async () => {
    const kernel = timerKernel((a) => {
      // No interrupt is taken: the same words are kept by hand.
      a.emit('csrrci', { rs1: software, imm: csr.sstatus });
      a.label('sleep');
      a.emit('wfi');
      a.emit('csrrs', { rd: t0, imm: csr.sip });
      a.emit('andi', { rd: t0, rs1: t0, imm: timer });
      a.to('sleep', 'beq', { rs1: t0 });
      a.emit('csrrs', { rd: t0, imm: csr.stvec });
      a.emit('jalr', { rs1: t0 });
    });
    const { end, memory } = await runKernel({ kernel, harts: 1, engine });
    assert.equal(end.by, 'powerOff');
    const late = ticksAt(memory, at.results, times);
    for (const ticks of late) assert.ok(ticks >= 0, `${-ticks} ticks too early`);
    assert.ok(most(late) < soonTicks, `${late}`);
  });

  test(`${engine}: another hart's interrupt comes into a loop`, async () => {
    const { end, memory } = await runKernel({ kernel: softwareKernel(), harts: 2, engine });
    assert.equal(end.by, 'powerOff');
    const late = ticksAt(memory, at.results, times);
    assert.ok(most(late) < soonTicks, `${late}`);
  });
}

/** Hart 0 interrupts hart 1, which counts in a loop, and keeps how long it took to be answered. */
function softwareKernel(): Uint8Array {
  const answered = free;
  return hartsKernel(2, (a) => {
    // A hart that is being started loses what was sent before.
    barrier(a, 2);
    a.address(s5, at.results);
    a.to('counter', 'bne', { rs1: tp });
    a.li(s6, 0);
    a.label('turn');
    a.emit('addi', { rd: s6, rs1: s6, imm: 1 });
    a.emit('csrrs', { rd: s1, imm: csr.time });
    a.li(a0, 2);
    a.li(a1, 0);
    a.call(sbi.ipi, 0);
    a.label('wait');
    a.emit('ld', { rd: t0, rs1: s0, imm: answered });
    a.to('wait', 'bne', { rs1: t0, rs2: s6 });
    a.emit('csrrs', { rd: s2, imm: csr.time });
    a.emit('sub', { rd: s2, rs1: s2, rs2: s1 });
    a.emit('sd', { rs1: s5, rs2: s2 });
    a.emit('addi', { rd: s5, rs1: s5, imm: 8 });
    a.li(t0, times);
    a.to('turn', 'bne', { rs1: s6, rs2: t0 });
    a.to('over', 'jal');

    a.label('counter');
    a.li(s3, times);
    a.li(t2, 0);
    a.to('begin', 'jal', { rd: t0 });
    a.emit('csrrci', { rs1: software, imm: csr.sip });
    a.emit('ld', { rd: t1, rs1: s0, imm: answered });
    a.emit('addi', { rd: t1, rs1: t1, imm: 1 });
    a.emit('sd', { rs1: s0, rs2: t1, imm: answered });
    a.emit('addi', { rd: s3, rs1: s3, imm: -1 });
    a.to('over', 'beq', { rs1: s3 });
    a.emit('csrrsi', { rs1: software, imm: csr.sstatus });
    a.label('begin');
    a.to('count', 'bne', { rs1: t2 });
    a.emit('csrrw', { rs1: t0, imm: csr.stvec });
    a.emit('csrrwi', { rs1: software, imm: csr.sie });
    a.li(t2, 1);
    a.emit('csrrsi', { rs1: software, imm: csr.sstatus });
    a.label('count');
    a.emit('addi', { rd: t1, rs1: t1, imm: 1 });
    a.to('count', 'jal');
    a.label('over');
  });
}
