// QEMU as a bare machine that runs a flat image in M mode: RAM at 2 GiB, the serial port at 256 MiB, the power switch at 1 MiB,
// just as ours (own-machine.ts).
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Need } from '../../../scripts/debian.ts';

/** What these tests take of the host. */
export const qemu: Need = {
  package: 'qemu-system-misc',
  provides: 'qemu-system-riscv64',
  for: 'a second opinion on RISC-V',
};
export const ramBytes: number = 64 * 2 ** 20;
export const timeoutMs = 300_000;

export interface QemuOptions {
  /** More than one hart makes it use its atomic operations: alone it does a load, then a store, with the load's faults. */
  readonly harts?: number;
  /** Features beyond those of its "rv64". */
  readonly features?: string;
}

export async function runInQemu(image: Uint8Array, path: string, options: QemuOptions = {}): Promise<string> {
  const { harts = 1, features = '' } = options;
  await writeFile(path, image);
  const { stdout } = await promisify(execFile)(
    'qemu-system-riscv64',
    [
      ...['-machine', 'virt', '-cpu', `rv64${features}`, '-m', `${ramBytes / 2 ** 20}`, '-smp', `${harts}`],
      ...['-nographic', '-bios', path],
    ],
    { timeout: timeoutMs, maxBuffer: 64 * 2 ** 20 },
  );
  return stdout.replaceAll('\r', '');
}
