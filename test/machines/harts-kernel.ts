// The kernel with which tests let several harts work at once: hart 0 starts the others, each runs the test's code, and when all
// are done the machine is powered off.
import { type KernelAssembler, kernelImage, reg, sbi } from './bare-kernel.ts';

const { zero, t0, t1, t2, a0, a1, a2, tp, s0 } = reg;

/** Where things lie in the image. */
export const at = { page: 0x1_0000, code: 0x1_1000, tables: 0x1_4000, words: 0x2_0000, results: 0x6_0000 } as const;
/** Words of the kernel's own: harts that wait at a barrier, the number of the barrier, harts that are done. */
const [waiting, turn, done] = [0, 64, 128] as const;
/** Words for a test. */
export const free = 0x400;
const imageBytes = 0x80_0000;

/**
 * `write` writes what every hart runs, with its number in tp and the address of `at.words` in s0; it ends by going on behind.
 * `prepare` fills the image once all is written.
 */
export function hartsKernel(
  harts: number,
  write: (a: KernelAssembler) => void,
  prepare: (a: KernelAssembler) => void = () => {},
): Uint8Array {
  return kernelImage(imageBytes, (a) => {
    a.label('worker');
    a.address(s0, at.words);
    a.move(tp, a1);
    write(a);
    a.li(t0, 1);
    a.emit('addi', { rd: t1, rs1: s0, imm: done });
    a.emit('amoadd.d', { rd: t2, rs1: t1, rs2: t0 });
    a.to('last', 'beq', { rs1: tp, rs2: zero });
    a.stay();
    a.label('last');
    a.emit('fence', { imm: 0x33 });
    a.emit('ld', { rd: t2, rs1: t1 });
    a.li(t0, harts);
    a.to('last', 'bne', { rs1: t2, rs2: t0 });
    a.powerOff();
    a.label('start');
    for (let hart = 1; hart < harts; hart++) {
      a.li(a0, hart);
      a.addressOf(a1, 'worker');
      a.li(a2, hart);
      a.call(sbi.hsm, 0);
    }
    a.li(a1, 0);
    a.to('worker', 'jal');
    if (a.at > at.page) throw new Error('the code of all harts is too long');
    prepare(a);
  });
}

/** All harts wait for each other. */
export function barrier(a: KernelAssembler, harts: number): void {
  const label = `barrier.${a.at}`;
  a.emit('fence', { imm: 0x33 });
  a.emit('ld', { rd: t2, rs1: s0, imm: turn });
  a.emit('addi', { rd: t1, rs1: s0, imm: waiting });
  a.li(t0, 1);
  a.emit('amoadd.d', { rd: t0, rs1: t1, rs2: t0 });
  a.li(a2, harts - 1);
  a.to(`${label}.wait`, 'bne', { rs1: t0, rs2: a2 });
  a.emit('sd', { rs1: s0, imm: waiting });
  a.emit('fence', { imm: 0x33 });
  a.emit('addi', { rd: t2, rs1: t2, imm: 1 });
  a.emit('sd', { rs1: s0, rs2: t2, imm: turn });
  a.to(`${label}.end`, 'jal');
  a.label(`${label}.wait`);
  a.emit('ld', { rd: t0, rs1: s0, imm: turn });
  a.to(`${label}.wait`, 'beq', { rs1: t0, rs2: t2 });
  a.label(`${label}.end`);
  a.emit('fence', { imm: 0x33 });
}
