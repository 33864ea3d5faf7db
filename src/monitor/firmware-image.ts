// Where firmware for M mode goes, and what it is told of the kernel: OpenSBI's "dynamic" firmware (its docs/firmware/fw_dynamic.md).
import { ramStart } from '../memory/layout.ts';
import { BadKernel } from './kernel-image.ts';

/** Firmware writes what it reserves into the device tree, where it lies. */
export const treeGrowthBytes = 0x1_0000;

/** The structure whose address is in a2: six words of 64 bits (`struct fw_dynamic_info`, version 2). */
const magic = 0x4942_534fn; // 'OSBI'
const version = 2n;
const supervisorMode = 1n;
const noteBytesEach = 8;
/** Firmware's own memory ends below the kernel; the note lies in the last page of it. */
const noteRoom = 0x1000;

export interface FirmwarePlacement {
  readonly start: number;
  readonly note: number;
  readonly noteBytes: Uint8Array;
}

/** Firmware lies at RAM's start, below the kernel. Throws BadKernel if there is no room. */
export function placeFirmware(firmware: Uint8Array, kernel: number): FirmwarePlacement {
  const note = kernel - noteRoom;
  if (ramStart + firmware.length > note) throw new BadKernel('its firmware does not fit below it');
  const bootHart = 0n;
  const options = 0n;
  const words = [magic, version, BigInt(kernel), supervisorMode, options, bootHart];
  const noteBytes = new Uint8Array(words.length * noteBytesEach);
  const view = new DataView(noteBytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * noteBytesEach, word, true);
  return { start: ramStart, note, noteBytes };
}
