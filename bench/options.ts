// The command line of the benchmarks: one table, from which the help comes too.
import { parseArgs } from 'node:util';

const flags = [
  { flag: 'rounds', value: 'N', sentence: 'Rounds of every measure (default: as each measure says)' },
  { flag: 'only', value: 'NAME,…', sentence: 'Only these measures' },
  {
    flag: 'peers',
    value: 'NAME,…',
    sentence: 'Only these others: dockerd, podman, runc, crun, crun-sid, or none (default: all found)',
  },
  { flag: 'quick', sentence: 'Few rounds and small amounts: to see that it works, not to be quoted' },
  { flag: 'install-peers', sentence: "Install the others from Debian's packages first, without starting any service" },
  { flag: 'profile', value: 'DIRECTORY', sentence: 'Run holmd with --cpu-prof and leave its profile there' },
  { flag: 'help', sentence: 'Print this' },
] as const;

export interface Options {
  readonly rounds?: number;
  readonly only?: readonly string[];
  readonly peers?: readonly string[];
  readonly quick: boolean;
  readonly installPeers: boolean;
  readonly profile?: string;
  readonly help: boolean;
}

/** Reads the arguments after `start`; throws an error with a sentence for people. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    allowPositionals: false,
    options: Object.fromEntries(
      flags.map((row) => [row.flag, { type: 'value' in row ? ('string' as const) : ('boolean' as const) }]),
    ),
  });
  const text = (flag: string): string | undefined => values[flag] as string | undefined;
  const rounds = text('rounds');
  if (rounds !== undefined && !/^[1-9]\d{0,3}$/.test(rounds)) {
    throw new Error(`"--rounds ${rounds}": must be a number from 1 to 9999`);
  }
  const only = text('only')?.split(',');
  const peers = text('peers')?.split(',');
  const profile = text('profile');
  return {
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
    ...(only === undefined ? {} : { only }),
    ...(peers === undefined ? {} : { peers }),
    ...(profile === undefined ? {} : { profile }),
    quick: values.quick === true,
    installPeers: values['install-peers'] === true,
    help: values.help === true,
  };
}

export function describeOptions(): string {
  const rows = flags.map((row) => {
    const left = `  --${row.flag}${'value' in row ? ` ${row.value}` : ''}`;
    return `${left.padEnd(24)}${row.sentence}`;
  });
  return `Usage: npm run bench -- start [OPTIONS]\n\n${rows.join('\n')}`;
}
