// Debian with its own init, from the start of the machine's process to the login prompt on the console; the packages are
// configured already, and each boot has a fresh copy of the writable disk.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { output } from '../../../scripts/command.ts';
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs, setUp } from '../bench.ts';
import { Guest } from '../guest.ts';
import type { MachineKind } from '../kinds.ts';

export const debianMeasure: Measure<Bench> = {
  name: 'debian',
  rows: [
    {
      name: 'debian',
      title: 'Debian to a login prompt with its own init, CPU time of the process',
      unit: 's',
      better: 'less',
      aims: [],
    },
    { name: 'debian wall', title: '  the same by the wall clock', unit: 's', better: 'less', aims: [], drawn: false },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) => bench.machines().map((kind) => ({ name: kind.name, sample: () => logIn(kind, bench) })),
};

async function logIn(kind: MachineKind, bench: Bench): Promise<Sample> {
  const { initramfs: initrd, lower, upper } = await bench.artefacts();
  const copy = join(bench.place.directory, 'upper.img');
  await output(['cp', '--sparse=always', upper, copy]);
  try {
    const setup = await setUp(bench, {
      initrd,
      commandLine: 'console=ttyS0 quiet holm.lower=lower holm.upper=upper',
      disks: [
        { path: lower, serial: 'lower', readOnly: true },
        { path: copy, serial: 'upper', readOnly: false },
      ],
      network: true,
    });
    await using guest = Guest.start(kind, setup, bench.place);
    const { cpuSeconds, seconds } = await guest.waitFor(/ login: /, limitMs.debian);
    return { debian: cpuSeconds, 'debian wall': seconds };
  } finally {
    rmSync(copy, { force: true });
  }
}
