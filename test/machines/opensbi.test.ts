// Firmware in M mode: Debian's OpenSBI starts on our machine, hands over to a kernel in S mode and answers its calls, on two
// harts. The kernel says what it saw, a letter each.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { installMissing } from '../../scripts/debian.ts';
import { ramStart } from '../../src/memory/layout.ts';
import { engines, type KernelAssembler, kernelImage, reg, runKernel, sbi } from './bare-kernel.ts';

const path = '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin';
const { t0, t1, t2, a0, a1, a2, a3, a4, s0, s1 } = reg;
const csr = { sie: 0x104, stvec: 0x105, scause: 0x142, sip: 0x144, time: 0xc01 } as const;
const imageBytes = 0x1_0000;
const wordsAt = 0x8000;
const ticks = 100_000;

before(() => installMissing([{ package: 'opensbi', provides: path, for: 'firmware in M mode' }]));

for (const engine of engines) {
  test(`${engine}: OpenSBI boots, starts a kernel, and answers its calls`, async () => {
    const kernel = kernelImage(imageBytes, payload);
    const { end, output } = await runKernel({ kernel, harts: 2, engine, firmware: readFileSync(path) });
    const text = output.replaceAll('\r', '');
    assert.match(text, /^OpenSBI v\d+\.\d+$/m);
    assert.match(text, /^Platform Name +: holm,soft$/m);
    assert.match(text, /^Platform HART Count +: 2$/m);
    assert.match(text, /^Boot HART Base ISA +: rv64imafdc/m);
    // Implementation, other hart, its interrupt, the fence, the timer, the protection of firmware's memory.
    assert.equal(text.trimEnd().split('\n').at(-1), 'boot IHSFTP.');
    assert.equal(end.by, 'powerOff');
  });
}

function payload(a: KernelAssembler): void {
  const say = (text: string): void => {
    for (const letter of text) {
      a.li(a0, letter.charCodeAt(0));
      a.call(sbi.putchar, 0);
    }
  };
  const unless = (name: string, rs1: number, rs2 = 0): void => a.to('failed', name, { rs1, rs2 });

  a.label('other');
  // Tells that it runs, sleeps until hart 0's interrupt, tells that it came.
  a.address(s0, wordsAt);
  a.emit('sd', { rs1: s0, rs2: a1 });
  a.li(t0, 2);
  a.emit('csrrw', { rs1: t0, imm: csr.sie });
  a.label('asleep');
  a.emit('wfi');
  a.emit('csrrs', { rd: t0, imm: csr.sip });
  a.emit('andi', { rd: t0, rs1: t0, imm: 2 });
  a.to('asleep', 'beq', { rs1: t0 });
  a.emit('sd', { rs1: s0, rs2: t0, imm: 8 });
  a.stay();
  a.label('failed');
  a.powerOff();

  a.label('start');
  a.move(s1, a0);
  a.address(s0, wordsAt);
  say('\nboot ');
  a.call(sbi.base, 1);
  unless('bne', a0);
  a.li(t0, 1);
  unless('bne', a1, t0);
  say('I');

  // The other of the two harts, whichever this is.
  a.li(t0, 1);
  a.emit('sub', { rd: a0, rs1: t0, rs2: s1 });
  a.addressOf(a1, 'other');
  a.li(a2, 77);
  a.call(sbi.hsm, 0);
  unless('bne', a0);
  a.li(t0, 77);
  a.label('starts');
  a.emit('ld', { rd: t1, rs1: s0 });
  a.to('starts', 'bne', { rs1: t1, rs2: t0 });
  say('H');

  a.li(a0, 3);
  a.li(a1, 0);
  a.call(sbi.ipi, 0);
  unless('bne', a0);
  a.label('wakes');
  a.emit('ld', { rd: t1, rs1: s0, imm: 8 });
  a.to('wakes', 'beq', { rs1: t1 });
  say('S');

  for (const func of [0, 1, 2]) {
    a.li(a0, 3);
    for (const register of [a1, a2, a3, a4]) a.li(register, 0);
    a.call(sbi.rfence, func);
    unless('bne', a0);
  }
  say('F');

  a.li(t0, 0x20);
  a.emit('csrrw', { rs1: t0, imm: csr.sie });
  a.emit('csrrs', { rd: s1, imm: csr.time });
  a.li(t0, ticks);
  a.emit('add', { rd: s1, rs1: s1, rs2: t0 });
  a.move(a0, s1);
  a.call(sbi.time, 0);
  a.label('sleeps');
  a.emit('wfi');
  a.emit('csrrs', { rd: t0, imm: csr.sip });
  a.emit('andi', { rd: t0, rs1: t0, imm: 0x20 });
  a.to('sleeps', 'beq', { rs1: t0 });
  a.emit('csrrs', { rd: t1, imm: csr.time });
  unless('bltu', t1, s1);
  say('T');

  // Firmware's own memory: a load faults, and comes to the handler below.
  a.to('over', 'jal', { rd: t2 });
  a.emit('csrrs', { rd: t0, imm: csr.scause });
  a.li(t1, 5);
  unless('bne', t0, t1);
  say('P.\n');
  a.powerOff();
  a.label('over');
  a.emit('csrrw', { rs1: t2, imm: csr.stvec });
  a.liUnsigned(t0, ramStart);
  a.emit('ld', { rd: t1, rs1: t0 });
  a.to('failed', 'jal');
}
