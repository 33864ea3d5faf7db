// From the kernel's entry to its first program: Debian's kernel with the image's own initial RAM disk. The kernel tells both
// moments on its console, by the early console of the serial port that both machines have.
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs, setUp } from '../bench.ts';
import { Guest } from '../guest.ts';
import type { MachineKind } from '../kinds.ts';

const commandLine = 'console=ttyS0 earlycon=uart8250,mmio,0x10000000';

export const bootMeasure: Measure<Bench> = {
  name: 'boot',
  rows: [
    {
      name: 'boot',
      title: "kernel entry to /init, CPU time of the machine's process",
      unit: 's',
      better: 'less',
      aims: [],
    },
    { name: 'boot wall', title: '  the same by the wall clock', unit: 's', better: 'less', aims: [], drawn: false },
    {
      name: 'before',
      title: '  process start to kernel entry, CPU time',
      unit: 's',
      better: 'less',
      aims: [],
      drawn: false,
    },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) => {
    const { initramfs: initrd } = await bench.artefacts();
    const setup = await setUp(bench, { initrd, commandLine });
    return bench.machines(['translator', 'interpreter']).map((kind) => ({
      name: kind.name,
      sample: () => boot(kind, setup, bench),
    }));
  },
};

async function boot(kind: MachineKind, setup: Parameters<typeof Guest.start>[1], { place }: Bench): Promise<Sample> {
  await using guest = Guest.start(kind, setup, place);
  const entry = await guest.waitFor(/Linux version/, limitMs.boot);
  const init = await guest.waitFor(/Run \/init as init process/, limitMs.boot);
  return {
    boot: init.cpuSeconds - entry.cpuSeconds,
    'boot wall': init.seconds - entry.seconds,
    before: entry.cpuSeconds,
  };
}
