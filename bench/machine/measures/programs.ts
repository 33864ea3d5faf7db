// Bare programs, the same ELF file on both: CPU time of the whole process, from its start to its end. The results must agree.
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs } from '../bench.ts';
import { compileBare } from '../compile.ts';
import { Guest } from '../guest.ts';
import type { MachineKind } from '../kinds.ts';

/** The fixed ten of the geometric mean. */
export const tenPrograms: readonly string[] = [
  ...['alu', 'sieve', 'crc32', 'memcpy', 'quicksort', 'sha256', 'mandelbrot', 'indirect', 'chase', 'muldiv'],
];
const furtherPrograms = ['integer', 'orbits'];
const titles: Readonly<Record<string, string>> = {
  integer: 'CoreMark-like integer work: lists, matrices, a state machine, CRC',
  mandelbrot: 'mandelbrot, in double precision with exact flags',
  orbits: 'five bodies in double precision, flags read and cleared at each step',
};

/** A measure for each, so that both take turns at every program. */
export const programMeasures: readonly Measure<Bench>[] = [...tenPrograms, ...furtherPrograms].map((program) => ({
  name: program,
  rows: [
    {
      name: program,
      title: titles[program] ?? program,
      unit: 's',
      better: 'less',
      aims: [],
    },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) => {
    const elf = await compileBare(program, bench.place.directory);
    const results = new Set<string>();
    return bench.machines().map((kind) => ({
      name: kind.name,
      sample: async () => ({ [program]: await run(kind, elf, bench, results) }),
    }));
  },
}));

async function run(kind: MachineKind, elf: string, { place }: Bench, results: Set<string>): Promise<number> {
  await using guest = new Guest(kind.name, kind.bare(elf), place);
  const { output, cpuSeconds } = await guest.end(limitMs.work);
  const result = /[0-9a-f]{16}/.exec(output)?.[0];
  if (result === undefined) throw new Error(`${kind.name} gave no result: ${guest.lastLines()}`);
  results.add(result);
  if (results.size > 1) throw new Error(`the results differ: ${[...results].join(', ')}`);
  return cpuSeconds;
}

/** How fast the interpreter alone is: the same number of instructions of each of the ten. */
export const interpreterMeasure: Measure<Bench> = {
  name: 'interpreter',
  rows: [
    {
      name: 'interpreter',
      title: 'the interpreter alone, the same number of instructions of each of the ten programs',
      unit: 'MIPS',
      better: 'more',
      aims: [],
    },
    ...tenPrograms.map((program) => ({
      name: `interpreter ${program}`,
      title: `  of this: ${program}`,
      unit: 'MIPS' as const,
      better: 'more' as const,
      aims: [],
      drawn: false,
    })),
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 0,
  open: async (bench) => {
    const [interpreter] = bench.machines(['interpreter']).filter(({ name }) => name === 'holm-interpreter');
    if (interpreter === undefined) return [];
    const files = await Promise.all(tenPrograms.map((program) => compileBare(program, bench.place.directory)));
    return [{ name: interpreter.name, sample: () => speeds(interpreter, files, bench) }];
  },
};

async function speeds(kind: MachineKind, files: readonly string[], { place, quick }: Bench): Promise<Sample> {
  const sample: Record<string, number> = {};
  let [all, seconds] = [0, 0];
  for (const [index, file] of files.entries()) {
    await using guest = new Guest(kind.name, [...kind.bare(file), String(quick ? 100e6 : 500e6)], place);
    const { output } = await guest.end(limitMs.work);
    const { instructions, cpuSeconds } = JSON.parse(output) as { instructions: number; cpuSeconds: number };
    sample[`interpreter ${tenPrograms[index]}`] = instructions / cpuSeconds / 1e6;
    all += instructions;
    seconds += cpuSeconds;
  }
  return { ...sample, interpreter: all / seconds / 1e6 };
}
