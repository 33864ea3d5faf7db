// npm run bench -- start: measures how fast containers start and all that goes with it, beside the kernel's floor and beside
// every peer found on this machine. npm run bench -- machine: the software machine beside QEMU. Each has --help.
import { join } from 'node:path';
import { removeOldRemains, runEnclosed } from './enclosure.ts';
import { describeOptions as describeMachineOptions, readOptions as readMachineOptions } from './machine/options.ts';
import { installPeers as installMachinePeers, requirePeers } from './machine/peers.ts';
import { describeOptions, readOptions } from './options.ts';
import { installPeers } from './peers.ts';

interface Benchmark {
  /** Run inside the enclosure, with the arguments. */
  readonly script: string;
  readOptions(args: readonly string[]): { readonly help: boolean; readonly installPeers: boolean };
  describeOptions(): string;
  installPeers(): Promise<void>;
  /** Throws if something is missing without which nothing can be measured. */
  requirePeers?(): void;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  start: { script: 'start/run.ts', readOptions, describeOptions, installPeers },
  machine: {
    script: 'machine/run.ts',
    readOptions: readMachineOptions,
    describeOptions: describeMachineOptions,
    installPeers: installMachinePeers,
    requirePeers,
  },
};

try {
  process.exitCode = await bench(process.argv.slice(2));
} catch (error) {
  console.error(`holm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function bench([name = '', ...args]: readonly string[]): Promise<number> {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) {
    const all = Object.values(benchmarks).map((one) => one.describeOptions());
    console.log(all.join('\n\n'));
    return name === '--help' ? 0 : 2;
  }
  const options = benchmark.readOptions(args);
  if (options.help) {
    console.log(benchmark.describeOptions());
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error(`Measuring takes root. Run: sudo npm run bench -- ${name}`);
  if (options.installPeers) await benchmark.installPeers();
  benchmark.requirePeers?.();
  await removeOldRemains();
  return await runEnclosed(join(import.meta.dirname, benchmark.script), args);
}
