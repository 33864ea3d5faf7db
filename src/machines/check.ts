// What a machine may be asked to be, and whether what it was given can still be used.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { HolmError } from '../base/error.ts';
import { formatBinaryBytes } from '../base/units.ts';
import type { MachineFiles } from '../images/machine/machine-files.ts';
import { maxHarts } from '../memory/layout.ts';
import { BadKernel, headerBytes, type KernelFile, place } from '../monitor/kernel-image.ts';
import type { MachineConfig } from './machine.ts';

const mib = 2 ** 20;
const leastMemory = 64 * mib;
/** All of a machine lies in one memory that 32 bits address, with room for translated code beside. */
const mostMemory = 3072 * mib;
const leastDisk = 64 * mib;
const mostDisk = 2 ** 44;
/** With what the monitor puts in front, below Linux's 1024 (COMMAND_LINE_SIZE on riscv). */
const mostCommandLine = 768;
/** Each has a slot of the bus, beside disks, network, console, entropy and balloon. */
const mostShares = 8;

/** Throws `invalid` when the request cannot be carried out, and says what would do. */
export function checkMachine(config: MachineConfig): void {
  const refuse = (why: string): never => {
    throw new HolmError('invalid', `Cannot make the machine: ${why}`);
  };
  const { cpus, memoryBytes, diskBytes, ports, shares } = config;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > maxHarts) refuse(`it must have 1 to ${maxHarts} CPUs, not ${cpus}`);
  if (!(memoryBytes >= leastMemory && memoryBytes <= mostMemory && memoryBytes % mib === 0)) {
    refuse(
      `its memory must be ${formatBinaryBytes(leastMemory)} to ${formatBinaryBytes(mostMemory)} in whole MiB, not ${memoryBytes} bytes`,
    );
  }
  if (!(diskBytes >= leastDisk && diskBytes <= mostDisk && diskBytes % 4096 === 0)) {
    refuse(`its disk must have ${formatBinaryBytes(leastDisk)} or more in units of 4096 bytes, not ${diskBytes} bytes`);
  }
  if (/[\n\0]/.test(config.commandLine)) refuse('its command line must be one line');
  if (config.commandLine.length > mostCommandLine) {
    refuse(`its command line has ${config.commandLine.length} characters, the kernel takes ${mostCommandLine}`);
  }
  for (const port of ports) {
    if (![port.hostPort, port.guestPort].every((number) => Number.isInteger(number) && number > 0 && number < 65536)) {
      refuse(`ports are 1 to 65535, not ${port.hostPort}:${port.guestPort}`);
    }
  }
  for (const { hostAddress } of ports) {
    // The port is one of the machine's own network namespace: its loopback is nobody's.
    if (isIP(hostAddress) === 0) refuse(`"${hostAddress}" is no IP address`);
    if (/^127\.|^::1$/.test(hostAddress)) refuse(`a port at ${hostAddress} could be reached by nobody`);
  }
  const taken = ports.map(({ protocol, hostPort }) => `${hostPort}/${protocol}`);
  const twice = taken.find((port, at) => taken.indexOf(port) !== at);
  if (twice !== undefined) refuse(`it has port ${twice} twice`);
  if (ports.length > 0 && config.network === 'none') refuse('it has ports but no network');
  if (shares.length > mostShares) refuse(`it has ${shares.length} shares, must be ${mostShares} at most`);
  const tags = new Set<string>();
  for (const { source, tag } of shares) {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,35}$/.test(tag)) refuse(`a share's tag must be a short name, not "${tag}"`);
    if (tags.has(tag)) refuse(`two shares have the tag "${tag}"`);
    tags.add(tag);
    if (!isAbsolute(source) || source.includes('\0')) refuse(`"${source}" is no absolute path`);
    if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) refuse(`"${source}" is no directory`);
  }
}

/** Room for the device tree beside the kernel. */
const treeBytes = 64 * 1024;

/** Throws `invalid` when a machine cannot boot this kernel. */
export async function checkKernel(config: MachineConfig, files: MachineFiles): Promise<void> {
  const initrdBytes = files.initramfs === undefined ? 0 : (await stat(files.initramfs)).size;
  try {
    place(await lookAtKernel(files.kernel), initrdBytes, treeBytes, config.memoryBytes);
  } catch (error) {
    if (!(error instanceof BadKernel)) throw error;
    throw new HolmError('invalid', `Cannot boot the kernel of image "${config.image}": ${error.message}`);
  }
}

/** A stranger's file may be of any size: only its head is read. */
async function lookAtKernel(path: string): Promise<KernelFile> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(new Uint8Array(headerBytes), 0, headerBytes, 0);
  return { head: buffer.subarray(0, bytesRead), bytes: (await file.stat()).size };
}

/** Throws `corrupt` when a machine's disks are not as large as they were made. */
export function checkDisks(name: string, ownDisk: string, diskBytes: number, lowerDisk: string): void {
  const refuse = (why: string): never => {
    throw new HolmError('corrupt', `Cannot start machine "${name}": ${why}`);
  };
  const sizeOf = (path: string): number =>
    statSync(path, { throwIfNoEntry: false })?.size ?? refuse(`its disk "${path}" is gone`);
  const own = sizeOf(ownDisk);
  if (own < diskBytes) refuse(`its disk "${ownDisk}" has ${own} bytes, must have ${diskBytes}`);
  const [lower, whole] = [sizeOf(lowerDisk), erofsBytes(lowerDisk)];
  if (lower < whole) refuse(`the disk of its image "${lowerDisk}" has ${lower} bytes, must have ${whole}`);
}

const erofsStart = 1024;
const erofsMagic = 0xe0f5_e1e2;

/** How many bytes an EROFS file system says it has (its super block: magic, blkszbits, blocks); infinite when it is none. */
function erofsBytes(path: string): number {
  const block = new DataView(new ArrayBuffer(128));
  const fd = openSync(path, 'r');
  try {
    readSync(fd, block, 0, block.byteLength, erofsStart);
  } finally {
    closeSync(fd);
  }
  if (block.getUint32(0, true) !== erofsMagic) return Number.POSITIVE_INFINITY;
  return block.getUint32(36, true) * 2 ** block.getUint8(12);
}
