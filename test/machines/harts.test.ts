// Several harts on as many threads: the memory model's litmus programs, atomics, locks, fences that others ask for, code and page
// tables that others change, harts that stop and start. Both engines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../../src/vcpu/encode.ts';
import { engines, type KernelAssembler, kernelStart, reg, runKernel, sbi } from './bare-kernel.ts';
import { at, barrier, free, hartsKernel } from './harts-kernel.ts';
import { type Litmus, litmusPrograms, type Seen } from './litmus.ts';

const { t0, t1, t2, t3, t4, a0, a1, a2, a3, a4, tp, s0, s1, s2, s3, s4, s5, s6 } = reg;
const fence = encode('fence', { imm: 0x33 });

/** Places of x and y: 64 bytes apart, x and y in pages of their own. */
const places = 1000;
const rounds = 30;
const placeBytes = 64;
const yStart = 0x1_1000;
const resultBytes = 16;

function litmusKernel(litmus: Litmus): Uint8Array {
  const harts = litmus.harts.length;
  return hartsKernel(harts, (a) => {
    // Results of a hart: a pair for each place and round.
    a.address(s5, at.results);
    a.li(t0, places * rounds * resultBytes);
    a.emit('mul', { rd: t0, rs1: t0, rs2: tp });
    a.emit('add', { rd: s5, rs1: s5, rs2: t0 });
    a.li(s4, 1);
    a.label('round');
    barrier(a, harts);
    a.address(s2, at.words + 0x1000);
    a.address(s3, at.words + 0x1000 + yStart);
    a.li(s6, places);
    for (const hart of litmus.harts.keys()) {
      a.li(t0, hart);
      a.to(`program.${hart}`, 'beq', { rs1: tp, rs2: t0 });
    }
    for (const [hart, program] of litmus.harts.entries()) {
      a.label(`program.${hart}`);
      a.li(a2, 0);
      a.li(a3, 0);
      for (const word of program) a.word(word);
      a.emit('sd', { rs1: s5, rs2: a2 });
      a.emit('sd', { rs1: s5, rs2: a3, imm: 8 });
      a.emit('addi', { rd: s5, rs1: s5, imm: resultBytes });
      a.emit('addi', { rd: s2, rs1: s2, imm: placeBytes });
      a.emit('addi', { rd: s3, rs1: s3, imm: placeBytes });
      a.emit('addi', { rd: s6, rs1: s6, imm: -1 });
      a.to(`program.${hart}`, 'bne', { rs1: s6 });
      a.to('again', 'jal');
    }
    a.label('again');
    a.emit('addi', { rd: s4, rs1: s4, imm: 1 });
    a.li(t0, rounds);
    a.to('round', 'bge', { rs1: t0, rs2: s4 });
  });
}

for (const engine of engines) {
  test(`${engine}: no litmus program has an outcome that RISC-V forbids`, async () => {
    let mixed = 0;
    for (const litmus of litmusPrograms) {
      const harts = litmus.harts.length;
      const { end, memory } = await runKernel({ kernel: litmusKernel(litmus), harts, engine });
      assert.equal(end.by, 'powerOff', litmus.name);
      const outcomes = new Map<string, number>();
      for (let i = 0; i < places * rounds; i++) {
        const value = BigInt(1 + Math.floor(i / places));
        const seen = litmus.harts.map((_, hart): Seen => {
          const from = at.results + (hart * places * rounds + i) * resultBytes;
          return [memory.getBigUint64(from, true) === value, memory.getBigUint64(from + 8, true) === value];
        });
        assert.ok(!litmus.forbidden(seen), `${litmus.name}: ${JSON.stringify(seen)} at ${i}`);
        const key = JSON.stringify(seen);
        outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
      }
      if (outcomes.size > 1) mixed++;
    }
    // Harts that ran one after the other would show nothing.
    assert.ok(mixed >= litmusPrograms.length / 2, `only ${mixed} programs had more than one outcome`);
  });

  for (const harts of [2, 4]) {
    test(`${engine}: ${harts} harts count by AMO, by LR and SC, and under a lock`, async () => {
      const turns = 20_000 / harts;
      const [amo, amoWord, reserved, reservedWord, lock, locked] = [0, 64, 128, 192, 256, 320] as const;
      const kernel = hartsKernel(harts, (a) => {
        const counter = (rd: number, of: number): void => a.emit('addi', { rd, rs1: s0, imm: free + of });
        barrier(a, harts);
        a.li(s6, turns);
        a.li(s1, 1);
        a.label('more');
        counter(t0, amo);
        a.emit('amoadd.d', { rs1: t0, rs2: s1 });
        counter(t0, amoWord);
        a.emit('amoadd.w', { rs1: t0, rs2: s1 });
        for (const [word, width] of [
          [reserved, 'd'],
          [reservedWord, 'w'],
        ] as const) {
          counter(t0, word);
          a.label(`retry.${width}`);
          a.emit(`lr.${width}`, { rd: t1, rs1: t0 });
          a.emit('addi', { rd: t1, rs1: t1, imm: 1 });
          a.emit(`sc.${width}`, { rd: t2, rs1: t0, rs2: t1 });
          a.to(`retry.${width}`, 'bne', { rs1: t2 });
        }
        counter(t0, lock);
        a.label('lock');
        a.word((encode('amoswap.w', { rd: t1, rs1: t0, rs2: s1 }) | (1 << 26)) >>> 0);
        a.to('lock', 'bne', { rs1: t1 });
        a.emit('ld', { rd: t1, rs1: s0, imm: free + locked });
        a.emit('addi', { rd: t1, rs1: t1, imm: 1 });
        a.emit('sd', { rs1: s0, rs2: t1, imm: free + locked });
        a.word((encode('amoswap.w', { rs1: t0, rs2: 0 }) | (1 << 25)) >>> 0);
        a.emit('addi', { rd: s6, rs1: s6, imm: -1 });
        a.to('more', 'bne', { rs1: s6 });
      });
      const { end, memory } = await runKernel({ kernel, harts, engine });
      assert.equal(end.by, 'powerOff');
      for (const word of [amo, amoWord, reserved, reservedWord, locked])
        assert.equal(memory.getBigUint64(at.words + free + word, true), BigInt(harts * turns), `counter ${word}`);
    });

    test(`${engine}: ${harts} harts see new code and new pages once a remote fence is done`, async () => {
      const { end, memory } = await runKernel({ kernel: changingKernel(harts), harts, engine });
      assert.equal(end.by, 'powerOff');
      for (let hart = 1; hart < harts; hart++) {
        const of = at.words + free + 0x100 + hart * 64;
        assert.equal(memory.getBigUint64(of, true), 0n, `hart ${hart} saw an old page`);
        assert.equal(memory.getBigUint64(of + 8, true), 0n, `hart ${hart} ran old code`);
        assert.ok(memory.getBigUint64(of + 16, true) > 0n, `hart ${hart} looked`);
      }
    });

    test(`${engine}: ${harts} harts that all ask each other for fences come to an end`, async () => {
      const kernel = hartsKernel(harts, (a) => {
        barrier(a, harts);
        a.li(s6, 300);
        a.label('more');
        for (const func of [0, 1, 2]) {
          a.li(a0, -1);
          a.li(a1, -1);
          a.li(a2, func * 0x1000);
          a.li(a3, 0x3000);
          a.li(a4, 0);
          a.call(sbi.rfence, func);
          a.to('failed', 'bne', { rs1: a0 });
        }
        a.li(a0, (1 << harts) - 1);
        a.li(a1, 0);
        a.call(sbi.ipi, 0);
        a.emit('addi', { rd: s6, rs1: s6, imm: -1 });
        a.to('more', 'bne', { rs1: s6 });
        a.to('over', 'jal');
        a.label('failed');
        a.stay();
        a.label('over');
      });
      assert.equal((await runKernel({ kernel, harts, engine })).end.by, 'powerOff');
    });
  }

  test(`${engine}: a hart is woken by another, stops itself and is started again, a hundred times`, async () => {
    const turns = 100;
    const kernel = hartsKernel(2, (a) => sleepAndWake(a, turns));
    const { end, memory } = await runKernel({ kernel, harts: 2, engine });
    assert.equal(end.by, 'powerOff');
    assert.equal(memory.getBigUint64(at.words + free, true), BigInt(turns), 'started');
    assert.equal(memory.getBigUint64(at.words + free + 8, true), BigInt(turns), 'woken');
  });
}

/** Turns of hart 0; each begins with an answer of hart 1, so that harts that share a processor take turns too. */
const changes = 60;

/**
 * Hart 0 changes an instruction and a page's mapping in turn, has the others fence by SBI, and then says so by a number. Whoever
 * read that number must meet nothing older than it.
 */
function changingKernel(harts: number): Uint8Array {
  const [said, counted] = [free, free + 0x100] as const;
  const virtual = 0x4000_0000;
  const valid = 0xcf; // V R W X A D
  const entry = (offset: number, bits: number): bigint => (BigInt(kernelStart + offset) >> 2n) | BigInt(bits);
  return hartsKernel(
    harts,
    (a) => {
      a.address(t0, at.tables);
      a.emit('srli', { rd: t0, rs1: t0, imm: 12 });
      a.li(t1, 8);
      a.emit('slli', { rd: t1, rs1: t1, imm: 60 });
      a.emit('or', { rd: t0, rs1: t0, rs2: t1 });
      a.emit('csrrw', { rs1: t0, imm: 0x180 });
      a.emit('sfence.vma');
      a.address(s2, at.code);
      a.liUnsigned(s3, virtual);
      a.emit('slli', { rd: s5, rs1: tp, imm: 6 });
      a.emit('add', { rd: s5, rs1: s5, rs2: s0 });
      a.emit('addi', { rd: s5, rs1: s5, imm: counted });
      barrier(a, harts);
      a.to('reader', 'bne', { rs1: tp });

      a.li(s4, 1);
      a.label('change');
      // Page and code of this turn: addi a0, zero, turn.
      a.address(t0, at.page);
      a.emit('andi', { rd: t1, rs1: s4, imm: 1 });
      a.emit('slli', { rd: t1, rs1: t1, imm: 13 });
      a.emit('add', { rd: t0, rs1: t0, rs2: t1 });
      a.emit('sd', { rs1: t0, rs2: s4 });
      a.emit('srli', { rd: t0, rs1: t0, imm: 2 });
      a.emit('ori', { rd: t0, rs1: t0, imm: valid });
      a.address(t1, at.tables + 0x2000);
      a.emit('sd', { rs1: t1, rs2: t0 });
      a.emit('slli', { rd: t0, rs1: s4, imm: 20 });
      a.emit('addi', { rd: t0, rs1: t0, imm: encode('addi', { rd: a0 }) });
      a.emit('sw', { rs1: s2, rs2: t0 });
      a.word(fence);
      a.li(a0, -1);
      a.li(a1, -1);
      a.call(sbi.rfence, 0);
      a.li(a0, -1);
      a.li(a1, -1);
      a.move(a2, s3);
      a.li(a3, 0x1000);
      a.call(sbi.rfence, 1);
      a.word(fence);
      a.emit('sd', { rs1: s0, rs2: s4, imm: said });
      // Not before hart 1 has met it.
      a.label('answer');
      a.emit('ld', { rd: t0, rs1: s0, imm: counted + 64 + 24 });
      a.to('answer', 'bltu', { rs1: t0, rs2: s4 });
      a.emit('addi', { rd: s4, rs1: s4, imm: 1 });
      a.li(t0, changes);
      a.to('change', 'bge', { rs1: t0, rs2: s4 });
      a.to('end', 'jal');

      a.label('reader');
      a.emit('ld', { rd: s4, rs1: s0, imm: said });
      a.word(fence);
      a.emit('ld', { rd: t3, rs1: s3 });
      a.to('page.new', 'bgeu', { rs1: t3, rs2: s4 });
      count(a, 0);
      a.label('page.new');
      a.emit('jalr', { rd: reg.ra, rs1: s2 });
      a.to('code.new', 'bgeu', { rs1: a0, rs2: s4 });
      count(a, 8);
      a.label('code.new');
      count(a, 16);
      a.emit('sd', { rs1: s5, rs2: s4, imm: 24 });
      a.li(t4, changes);
      a.to('reader', 'bltu', { rs1: s4, rs2: t4 });
      a.label('end');
      a.emit('csrrw', { imm: 0x180 });
      a.emit('sfence.vma');
    },
    (a) => {
      a.double(at.code, (BigInt(encode('jalr', { rs1: reg.ra })) << 32n) | BigInt(encode('addi', { rd: a0 })));
      a.double(
        at.tables + 8 * (kernelStart >>> 30),
        (BigInt((kernelStart >>> 30) << 28) & 0xffff_ffffn) | BigInt(valid),
      );
      a.double(at.tables + 8 * (virtual >>> 30), entry(at.tables + 0x1000, 1));
      a.double(at.tables + 0x1000, entry(at.tables + 0x2000, 1));
      a.double(at.tables + 0x2000, entry(at.page, valid));
    },
  );

  function count(a: KernelAssembler, of: number): void {
    a.emit('ld', { rd: t4, rs1: s5, imm: of });
    a.emit('addi', { rd: t4, rs1: t4, imm: 1 });
    a.emit('sd', { rs1: s5, rs2: t4, imm: of });
  }
}

/** Hart 1 sleeps until hart 0's interrupt, then stops itself; hart 0 waits for that by SBI and starts it again. */
function sleepAndWake(a: KernelAssembler, turns: number): void {
  const [started, woken] = [free, free + 8] as const;
  const sie = 0x104;
  const sip = 0x144;
  a.to('sleeper', 'bne', { rs1: tp });
  a.li(s6, turns);
  a.label('turn');
  a.label('not.yet');
  a.emit('ld', { rd: t0, rs1: s0, imm: started });
  a.emit('ld', { rd: t1, rs1: s0, imm: woken });
  a.to('not.yet', 'beq', { rs1: t0, rs2: t1 });
  a.li(a0, 2);
  a.li(a1, 0);
  a.call(sbi.ipi, 0);
  a.label('running');
  a.li(a0, 1);
  a.call(sbi.hsm, 2);
  a.li(t0, 1);
  a.to('running', 'bne', { rs1: a1, rs2: t0 });
  a.emit('addi', { rd: s6, rs1: s6, imm: -1 });
  a.to('over', 'beq', { rs1: s6 });
  a.li(a0, 1);
  a.addressOf(a1, 'worker');
  a.li(a2, 1);
  a.call(sbi.hsm, 0);
  a.to('turn', 'jal');

  a.label('sleeper');
  a.li(t0, 2);
  a.emit('csrrw', { rs1: t0, imm: sie });
  add(started);
  a.label('sleep');
  a.emit('wfi');
  a.emit('csrrs', { rd: t0, imm: sip });
  a.emit('andi', { rd: t0, rs1: t0, imm: 2 });
  a.to('sleep', 'beq', { rs1: t0 });
  a.emit('csrrwi', { rs1: 0, imm: sip });
  add(woken);
  a.call(sbi.hsm, 1);
  a.label('over');
  // The one hart that is left counts for both.
  a.li(t0, 1);
  a.emit('addi', { rd: t1, rs1: s0, imm: 128 });
  a.emit('amoadd.d', { rs1: t1, rs2: t0 });

  function add(of: number): void {
    a.emit('ld', { rd: t2, rs1: s0, imm: of });
    a.emit('addi', { rd: t2, rs1: t2, imm: 1 });
    a.emit('sd', { rs1: s0, rs2: t2, imm: of });
    a.word(fence);
  }
}
