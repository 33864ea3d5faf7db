// Two harts against one on the same work: a kernel Image of our own (guest/harts.c) that both machines enter in S mode, timed
// by the guest's clock from the moment when all harts are there. Wall time, so the host must be quiet and have two CPUs.
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs } from '../bench.ts';
import { compileHarts } from '../compile.ts';
import { Guest } from '../guest.ts';
import type { MachineKind } from '../kinds.ts';

const timebaseHertz = 10_000_000;

export const hartsMeasure: Measure<Bench> = {
  name: 'harts',
  rows: [
    { name: 'one hart', title: 'parallel work on one hart, by the wall clock', unit: 's', better: 'less', aims: [] },
    { name: 'two harts', title: 'the same work on two harts', unit: 's', better: 'less', aims: [] },
    // Alike, if harts do not stand in each other's way; then what the wall clock shows less is the host's.
    { name: 'one hart cpu', title: '  one hart, CPU time', unit: 's', better: 'less', aims: [], drawn: false },
    { name: 'two harts cpu', title: '  two harts, CPU time', unit: 's', better: 'less', aims: [], drawn: false },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) => {
    const kernel = await compileHarts(bench.place.directory);
    return bench.machines().map((kind) => ({ name: kind.name, sample: () => both(kind, kernel, bench) }));
  },
};

async function both(kind: MachineKind, kernel: string, bench: Bench): Promise<Sample> {
  const [one, two] = [await run(kind, kernel, 1, bench), await run(kind, kernel, 2, bench)];
  if (one.sum !== two.sum) throw new Error(`the results differ: ${one.sum}, ${two.sum}`);
  return {
    ...{ 'one hart': one.seconds, 'two harts': two.seconds },
    ...{ 'one hart cpu': one.cpuSeconds, 'two harts cpu': two.cpuSeconds },
  };
}

async function run(
  kind: MachineKind,
  kernel: string,
  harts: number,
  { place }: Bench,
): Promise<{ sum: string; seconds: number; cpuSeconds: number }> {
  const setup = { harts, ramBytes: 64 * 2 ** 20, kernel, commandLine: '', disks: [], network: false };
  await using guest = Guest.start(kind, setup, place);
  const { match, cpuSeconds } = await guest.waitFor(/^([0-9a-f]{16})\n([0-9a-f]{16})\n([0-9a-f]{16})\n/m, limitMs.work);
  if (Number(`0x${match[2]}`) !== harts) throw new Error(`${kind.name} ran ${match[2]} harts, not ${harts}`);
  return { sum: match[3]!, seconds: Number(`0x${match[1]}`) / timebaseHertz, cpuSeconds };
}
