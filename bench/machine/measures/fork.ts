// 300 times fork, exec and wait, by busybox's shell with a small static program: in a fresh machine, and once more.
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs, setUp, waitUntilReady } from '../bench.ts';
import { Guest } from '../guest.ts';
import type { MachineKind } from '../kinds.ts';

const count = 300;
const loop = `i=0; while [ $i -lt ${count} ]; do nothing; i=$((i+1)); done`;

export const forkMeasure: Measure<Bench> = {
  name: 'fork',
  rows: [
    { name: 'fork', title: `${count} fork + exec in a fresh machine, CPU time`, unit: 's', better: 'less', aims: [] },
    { name: 'fork wall', title: '  the same by the wall clock', unit: 's', better: 'less', aims: [], drawn: false },
    {
      name: 'fork again',
      title: `  ${count} more in the same machine, CPU time`,
      unit: 's',
      better: 'less',
      aims: [],
      drawn: false,
    },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) =>
    bench.machines(['translator', 'interpreter']).map((kind) => ({ name: kind.name, sample: () => fork(kind, bench) })),
};

async function fork(kind: MachineKind, bench: Bench): Promise<Sample> {
  await using guest = Guest.start(kind, await setUp(bench), bench.place);
  await waitUntilReady(guest);
  const first = await guest.command(loop, limitMs.work);
  const again = await guest.command(loop, limitMs.work);
  return { fork: first.cpuSeconds, 'fork wall': first.seconds, 'fork again': again.cpuSeconds };
}
