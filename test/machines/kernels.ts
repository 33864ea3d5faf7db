// Kernels of a few instructions, each of which does one thing that a kernel can do to its machine; and an image of each.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packImage, packRoot } from '../harness/images.ts';
import { Assembler } from './differential/assembler.ts';

const a0 = 10;
const a1 = 11;
const a6 = 16;
const a7 = 17;
const systemReset = 0x53525354;
const legacyPut = 1;
const legacyGet = 2;
const headerBytes = 64;
const kernelBytes = 4096;

function call(code: Assembler, extension: number, first: number): void {
  code.li(a0, first);
  code.li(a1, 0);
  code.li(a6, 0);
  code.li(a7, extension);
  code.emit('ecall');
}

function say(code: Assembler, text: string): void {
  for (const byte of Buffer.from(text)) call(code, legacyPut, byte);
}

function waitForEver(code: Assembler, name: string): void {
  code.label(name);
  code.emit('wfi');
  code.to(name, 'jal');
}

/** Writes back what is typed; "q" powers off. */
function echo(code: Assembler): void {
  say(code, 'ready\r\n');
  code.label('next');
  call(code, legacyGet, 0);
  code.to('next', 'blt', { rs1: a0 });
  code.emit('addi', { rd: 5, imm: 'q'.charCodeAt(0) });
  code.to('off', 'beq', { rs1: a0, rs2: 5 });
  code.li(a7, legacyPut);
  code.emit('ecall');
  code.to('next', 'jal');
  code.label('off');
  call(code, systemReset, 0);
}

export type KernelName = 'power-off' | 'panic' | 'reboot' | 'halt' | 'spin' | 'echo';

const programs: Readonly<Record<KernelName, (code: Assembler) => void>> = {
  'power-off': (code) => {
    say(code, 'going off\r\n');
    call(code, systemReset, 0);
  },
  panic: (code) => {
    say(code, 'Kernel panic - not syncing: a test\r\n');
    call(code, systemReset, 1);
  },
  reboot: (code) => {
    say(code, 'booted\r\n');
    call(code, systemReset, 1);
  },
  halt: (code) => {
    say(code, 'halting\r\n');
    waitForEver(code, 'halted');
  },
  spin: (code) => {
    say(code, 'spinning\r\n');
    code.label('spin');
    code.to('spin', 'jal');
  },
  echo,
};

/** A raw Image (the kernel's Documentation/arch/riscv/boot-image-header.rst) with the program. */
export function kernelOf(name: KernelName): Uint8Array {
  const code = new Assembler(kernelBytes);
  code.to('start', 'jal');
  code.at = headerBytes;
  code.label('start');
  programs[name](code);
  code.double(8, 0x20_0000n);
  code.double(16, BigInt(kernelBytes));
  code.double(48, 0x0000_0056_4353_4952n);
  code.double(56, 0x0543_5352n);
  return code.finish();
}

/** A docker archive with the image `tag`, whose one layer has the kernel and some bytes that a disk can be made of. */
export async function kernelImage(tag: string, kernel: Uint8Array, archive: string): Promise<void> {
  const root = `${archive}.root`;
  mkdirSync(join(root, 'boot'), { recursive: true });
  writeFileSync(join(root, 'boot/kernel'), kernel);
  // Two kernels of the same bytes are still two images.
  writeFileSync(join(root, 'name'), tag);
  const layer = `${archive}.layer.tar`;
  await packRoot(root, layer);
  const config = { Labels: { 'holm.machine.kernel': '/boot/kernel' } };
  await packImage({ tag, layers: [layer], config, architecture: 'riscv64' }, archive);
  rmSync(root, { recursive: true });
  rmSync(layer);
}
