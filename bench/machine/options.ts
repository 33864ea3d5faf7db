// The command line of `npm run bench -- machine`: one table, from which the help comes too.
import { parseArgs } from 'node:util';

const flags = [
  { flag: 'rounds', value: 'N', sentence: 'Rounds of every measure (default: five)' },
  { flag: 'only', value: 'NAME,…', sentence: 'Only these measures' },
  {
    flag: 'engine',
    value: 'NAME,…',
    sentence:
      'The engines of holm: translator, interpreter (default: the translator; beside it the interpreter where it is told)',
  },
  { flag: 'quick', sentence: 'One round and small amounts: to see that it works, not to be quoted' },
  { flag: 'install-peers', sentence: "Install QEMU, the compiler and iperf3 from Debian's packages first" },
  {
    flag: 'profile',
    value: 'DIRECTORY',
    sentence: "Run holm's machines with --cpu-prof and leave their profiles there",
  },
  { flag: 'help', sentence: 'Print this' },
] as const;

const engineNames = ['translator', 'interpreter'] as const;
export type EngineName = (typeof engineNames)[number];

export interface Options {
  readonly rounds?: number;
  readonly only?: readonly string[];
  /** Absent: as each measure says. */
  readonly engines?: readonly EngineName[];
  readonly quick: boolean;
  readonly installPeers: boolean;
  /** An absolute path. */
  readonly profile?: string;
  readonly help: boolean;
}

/** Reads the arguments after `machine`; throws an error with a sentence for people. */
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
  const engines = text('engine')?.split(',').map(engineOf);
  const profile = text('profile');
  return {
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
    ...(only === undefined ? {} : { only }),
    ...(engines === undefined ? {} : { engines }),
    ...(profile === undefined ? {} : { profile }),
    quick: values.quick === true,
    installPeers: values['install-peers'] === true,
    help: values.help === true,
  };
}

function engineOf(name: string): EngineName {
  const found = engineNames.find((one) => one === name);
  if (found === undefined) throw new Error(`"--engine ${name}": there are ${engineNames.join(' and ')}`);
  return found;
}

export function describeOptions(): string {
  const rows = flags.map((row) => {
    const left = `  --${row.flag}${'value' in row ? ` ${row.value}` : ''}`;
    return `${left.padEnd(24)}${row.sentence}`;
  });
  return `Usage: npm run bench -- machine [OPTIONS]\n\n${rows.join('\n')}`;
}
