// The daemon's configuration: one table. Flags, variables, help and docs come from it.
import { parseArgs } from 'node:util';
import { HolmError } from '../base/error.ts';
import { type LogLevel, logLevels } from '../base/log.ts';

interface Setting {
  readonly name: SettingName;
  readonly flag: string;
  readonly variable: string;
  readonly byDefault: string;
  readonly sentence: string;
}

const settings: readonly Setting[] = [
  {
    name: 'stateDirectory',
    flag: 'state',
    variable: 'HOLM_STATE',
    byDefault: '/var/lib/holm',
    sentence: 'Directory of images, containers, volumes and records',
  },
  {
    name: 'runDirectory',
    flag: 'run',
    variable: 'HOLM_RUN',
    byDefault: '/run/holm',
    sentence: 'Directory of sockets and running guests',
  },
  {
    name: 'socketPath',
    flag: 'socket',
    variable: 'HOLM_SOCKET',
    byDefault: '',
    sentence: 'Socket of the API (default: holm.sock in the run directory)',
  },
  {
    name: 'bridge',
    flag: 'bridge',
    variable: 'HOLM_BRIDGE',
    byDefault: 'holm0',
    sentence: 'Name of the default bridge',
  },
  {
    name: 'subnet',
    flag: 'subnet',
    variable: 'HOLM_SUBNET',
    byDefault: '172.17.0.0/16',
    sentence: 'Addresses of the default bridge',
  },
  {
    name: 'cgroupParent',
    flag: 'cgroup-parent',
    variable: 'HOLM_CGROUP_PARENT',
    byDefault: 'holm',
    sentence: 'Name of the cgroup that holds all guests',
  },
  {
    name: 'userns',
    flag: 'userns',
    variable: 'HOLM_USERNS',
    byDefault: 'host',
    sentence: 'User namespace of containers that do not say: auto (ids of its own) or host',
  },
  {
    name: 'usernsIds',
    flag: 'userns-ids',
    variable: 'HOLM_USERNS_IDS',
    byDefault: '',
    sentence:
      'Ids of the host that auto gives to containers, FIRST:COUNT (default: of "holm" in /etc/subuid and subgid, else 1879048192:268304384)',
  },
  {
    name: 'warmSlots',
    flag: 'warm-slots',
    variable: 'HOLM_WARM_SLOTS',
    byDefault: '2',
    sentence: 'Most containers that are prepared before they are asked for',
  },
  {
    name: 'keeper',
    flag: 'keeper',
    variable: 'HOLM_KEEPER',
    byDefault: '',
    sentence: 'Path of the keeper (default: the one built with this package)',
  },
  {
    name: 'logLevel',
    flag: 'log-level',
    variable: 'HOLM_LOG_LEVEL',
    byDefault: 'info',
    sentence: 'debug, info, warn or error',
  },
];

type SettingName =
  | 'stateDirectory'
  | 'runDirectory'
  | 'socketPath'
  | 'bridge'
  | 'subnet'
  | 'cgroupParent'
  | 'userns'
  | 'usernsIds'
  | 'warmSlots'
  | 'keeper'
  | 'logLevel';
export type Configuration = Readonly<Record<Exclude<SettingName, 'logLevel' | 'userns' | 'warmSlots'>, string>> & {
  readonly userns: 'auto' | 'host';
  readonly logLevel: LogLevel;
  readonly warmSlots: number;
};

/** Reads the configuration from flags, then variables, then defaults. Throws `invalid` on an unknown flag or value. */
export function readConfiguration(args: readonly string[], environment: NodeJS.ProcessEnv): Configuration {
  const given = parseFlags(args);
  const values = Object.fromEntries(
    settings.map((setting) => [
      setting.name,
      given[setting.flag] ?? environment[setting.variable] ?? setting.byDefault,
    ]),
  ) as Record<SettingName, string>;
  const logLevel = logLevels.find((level) => level === values.logLevel);
  if (logLevel === undefined)
    throw new HolmError('invalid', `Cannot use log level "${values.logLevel}": must be one of ${logLevels.join(', ')}`);
  const warmSlots = Number(values.warmSlots);
  if (!Number.isInteger(warmSlots) || warmSlots < 0 || warmSlots > 64) {
    throw new HolmError('invalid', `Cannot keep "${values.warmSlots}" warm slots: must be a number from 0 to 64`);
  }
  const { userns } = values;
  if (userns !== 'auto' && userns !== 'host')
    throw new HolmError('invalid', `Cannot use "${userns}" for user namespaces: must be auto or host`);
  return {
    ...values,
    userns,
    warmSlots,
    socketPath: values.socketPath || `${values.runDirectory}/holm.sock`,
    logLevel,
  };
}

/** The help of holmd: a line a setting. */
export function describeConfiguration(): string {
  const rows = settings.map((setting) => {
    const left = `  --${setting.flag} VALUE`.padEnd(26);
    const byDefault = setting.byDefault === '' ? '' : ` (default ${setting.byDefault})`;
    return `${left}${setting.sentence}${byDefault}; ${setting.variable}`;
  });
  return `Usage: holmd [OPTIONS]\n\nThe daemon of holm.\n\n${rows.join('\n')}\n  --help                  Print this\n`;
}

function parseFlags(args: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(settings.map((setting) => [setting.flag, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values as Record<
      string,
      string | undefined
    >;
  } catch (cause) {
    throw new HolmError(
      'invalid',
      `Cannot read the options of holmd: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
}
