// Where a kernel, its initial RAM disk and the device tree go in RAM (Linux: Documentation/arch/riscv/boot.rst and
// boot-image-header.rst). The kernel runs at RAM's start + text_offset; what comes with it must lie beyond its image_size,
// for a kernel clears that much.
import { ramStart } from '../memory/layout.ts';

/** What cannot be booted, with the reason; the text is meant for a person. */
export class BadKernel extends Error {}

export interface Placement {
  readonly kernel: number;
  readonly initrd: number;
  readonly tree: number;
}

const magic2 = 0x0543_5352; // 'RSC\x05' at offset 56
export const headerBytes = 64;
const treeAlign = 8;
/** The kernel takes whole mappings of 2 MiB for itself, up to the end of the last one. */
const initrdAlign = 0x20_0000;
const gzipMagic = 0x8b1f;

/** What of a kernel decides its place: the first 64 bytes, and how many bytes it has. */
export interface KernelFile {
  readonly head: Uint8Array;
  readonly bytes: number;
}

/** Chooses addresses for a raw `Image`, `initrdBytes` bytes of initial RAM disk and `treeBytes` of tree. Throws BadKernel. */
export function place(kernel: KernelFile, initrdBytes: number, treeBytes: number, ramBytes: number): Placement {
  const { textOffset, imageBytes } = parseHeader(kernel.head);
  const start = ramStart + textOffset;
  const initrd = align(start + Math.max(imageBytes, kernel.bytes), initrdAlign);
  const tree = align(initrd + initrdBytes, treeAlign);
  const end = tree + treeBytes;
  if (end > ramStart + ramBytes) {
    const need = Math.ceil((end - ramStart) / 2 ** 20);
    throw new BadKernel(
      `it needs at least ${need} MiB of memory with its initial RAM disk, the machine has ${ramBytes / 2 ** 20} MiB`,
    );
  }
  return { kernel: start, initrd, tree };
}

function parseHeader(kernel: Uint8Array): { textOffset: number; imageBytes: number } {
  if (kernel.length < headerBytes) throw new BadKernel(`it has only ${kernel.length} bytes`);
  const view = new DataView(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  if (view.getUint16(0, true) === gzipMagic) throw new BadKernel('it is compressed with gzip, must be a raw Image');
  if (view.getUint32(56, true) !== magic2) throw new BadKernel('it has no RISC-V Image header');
  const textOffset = Number(view.getBigUint64(8, true));
  const imageBytes = Number(view.getBigUint64(16, true));
  const bigEndian = (view.getUint32(24, true) & 1) !== 0;
  if (bigEndian) throw new BadKernel('it is big-endian');
  if (textOffset % 0x20_0000 !== 0 || imageBytes > 2 ** 31) throw new BadKernel('its Image header is damaged');
  return { textOffset, imageBytes };
}

function align(value: number, bytes: number): number {
  return Math.ceil(value / bytes) * bytes;
}
