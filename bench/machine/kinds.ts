// The machines that are compared, in the same shape: what a machine has, and the command that makes such a one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessSettings } from '../../src/machines/soft/settings.ts';
import type { EngineName } from './options.ts';

/** What a machine is made of; both kinds have 16550A, PLIC, and virtio over MMIO. */
export interface MachineSetup {
  readonly harts: number;
  readonly ramBytes: number;
  /** A raw Image, entered in S mode. */
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine: string;
  readonly disks: ProcessSettings['disks'];
  /** A network card whose user-mode network reaches what this host reaches. */
  readonly network: boolean;
}

export interface MachineKind {
  readonly name: string;
  /** `directory` is for what the command needs to find. */
  command(setup: MachineSetup, directory: string): readonly string[];
  /** Runs a bare program (an ELF file in M mode that prints a line and powers off). */
  bare(elf: string): readonly string[];
}

export interface HolmPrograms {
  /** src/machine-process.ts and bench/machine/programs/guest.ts, each as one script. */
  readonly machine: string;
  readonly guest: string;
  readonly profileDirectory?: string;
}

/** holm with one of its engines; as the engine is started when holmd does it, without its confinement. */
export function holm(programs: HolmPrograms, engine: EngineName): MachineKind {
  const { profileDirectory } = programs;
  const profile = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  const node = [process.execPath, ...profile, '--max-semi-space-size=2'];
  return {
    name: engine === 'translator' ? 'holm' : 'holm-interpreter',
    command: ({ network, ...setup }, directory) => {
      const settings = join(directory, 'settings.json');
      const written: ProcessSettings = {
        ...{ name: 'bench', engine, shares: [] },
        ...setup,
        ...(network && { network: { ports: [] } }),
      };
      writeFileSync(settings, JSON.stringify(written));
      return [...node, programs.machine, settings];
    },
    bare: (elf) => [...node, programs.guest, elf, engine],
  };
}

export const qemu: MachineKind = {
  name: 'qemu',
  command: ({ harts, ramBytes, kernel, initrd, commandLine, disks, network }) => [
    ...['qemu-system-riscv64', '-machine', 'virt', '-smp', String(harts), '-m', `${ramBytes / 2 ** 20}M`],
    ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot'],
    ...['-global', 'virtio-mmio.force-legacy=false', '-kernel', kernel, '-append', commandLine],
    ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ...disks.flatMap(({ path, serial, readOnly }) => [
      ...['-drive', `file=${path},format=raw,if=none,id=${serial}${readOnly ? ',readonly=on' : ''}`],
      ...['-device', `virtio-blk-device,drive=${serial},serial=${serial}`],
    ]),
    ...(network ? ['-netdev', 'user,id=net', '-device', 'virtio-net-device,netdev=net'] : []),
    ...['-device', 'virtio-rng-device', '-device', 'virtio-balloon-device'],
  ],
  bare: (elf) => [
    ...['qemu-system-riscv64', '-machine', 'virt', '-display', 'none', '-serial', 'stdio', '-monitor', 'none'],
    ...['-bios', 'none', '-kernel', elf],
  ],
};
