// One run of a machine in QEMU, without KVM and without a network, from power on to power off. It reports through a virtio
// port, which loses nothing; its console is for what goes wrong. QEMU ends with the process that started it, and at the
// latest when its time is over.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../scripts/command.ts';
import type { DebianKernel } from './debian-kernel.ts';
import type { Disks } from './disks.ts';

export interface MachineRun {
  /** What the machine wrote to /dev/vport0p1. */
  readonly report: string;
  /** How it ended, and the end of its console. */
  readonly end: string;
}

/** A CPU without AVX and protection keys: as QEMU 7.2 emulates these, Node crashes. */
const cpu = 'Nehalem';
const commandLine = 'console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off';
const consoleCharacters = 8000;

/** Runs a machine until it powers off; the directory is for its report and its console. */
export async function runMachine(
  kernel: DebianKernel,
  disks: Disks,
  directory: string,
  timeoutMs: number,
): Promise<MachineRun> {
  const console = join(directory, 'console');
  const report = join(directory, 'report');
  const disk = (file: string): string[] => ['-drive', `file=${file},if=virtio,format=raw,cache=unsafe`];
  const argv = [
    ...['setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64'],
    ...['-accel', 'tcg,thread=multi', '-cpu', cpu, '-smp', '2', '-m', '2048'],
    ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', `file:${console}`],
    ...[
      '-chardev',
      `file,id=report,path=${report}`,
      '-device',
      'virtio-serial-pci',
      '-device',
      'virtserialport,chardev=report',
    ],
    ...['-kernel', kernel.image, '-initrd', disks.initramfs, '-append', commandLine],
    ...disk(disks.system),
    ...disk(disks.spare),
  ];
  const { stderr, code, timedOut, milliseconds } = await command(argv, { env: process.env, timeoutMs });
  const how = timedOut ? 'was ended' : `ended with ${code}`;
  const said = read(console).slice(-consoleCharacters);
  return { report: read(report), end: `QEMU ${how} after ${Math.round(milliseconds / 1000)} s\n${stderr}\n${said}` };
}

/** Empty if QEMU did not come so far. */
function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
