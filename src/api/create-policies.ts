// Restart policy and log settings of a request.
import { HolmError } from '../base/error.ts';
import { parseDecimalBytes } from '../base/units.ts';
import type { LogRequest, RestartPolicy } from '../containers/container.ts';
import { type Fields, noFields } from './fields.ts';
import { notYet } from './wording.ts';

/** Docker's policy; "no" when none is given. */
export function parseRestartPolicy(from: Fields | undefined): RestartPolicy {
  const name = from?.string('Name') ?? '';
  const most = from?.integer('MaximumRetryCount') ?? 0;
  switch (name) {
    case '':
    case 'no':
    case 'always':
    case 'unless-stopped':
      if (most !== 0)
        throw new HolmError(
          'invalid',
          "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        );
      return { name: name === '' ? 'no' : name };
    case 'on-failure':
      if (most < 0) throw new HolmError('invalid', 'invalid restart policy: maximum retry count cannot be negative');
      return { name, most };
    default:
      throw new HolmError(
        'invalid',
        `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      );
  }
}

const otherDrivers = new Set([
  'local',
  'syslog',
  'journald',
  'gelf',
  'fluentd',
  'awslogs',
  'splunk',
  'etwlogs',
  'gcplogs',
]);

/** Options of json-file that holm does not carry out; they are refused, except where they ask for what is anyway. */
const unservedOptions = new Set([
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
  'compress',
  'mode',
  'max-buffer-size',
]);

/** Log driver and options; json-file when none is given. */
export function parseLogConfig(from: Fields | undefined): LogRequest {
  const { driver, options } = parseDriver(from ?? noFields);
  if (driver === 'none') return { driver, options };
  for (const [name, value] of Object.entries(options)) {
    if (name === 'max-size' || name === 'max-file') continue;
    if (!unservedOptions.has(name))
      throw new HolmError('invalid', `unknown log opt '${name}' for json-file log driver`);
    const isAnyway = (name === 'compress' && value === 'false') || (name === 'mode' && value === 'blocking');
    if (!isAnyway) throw notYet(`log option "${name}" is`);
  }
  const maxSize = options['max-size'];
  const maxBytes = maxSize === undefined || maxSize === '-1' ? undefined : parseDecimalBytes(maxSize);
  const maxFile = options['max-file'];
  if (maxFile !== undefined && !/^[1-9]\d{0,5}$/.test(maxFile))
    throw new HolmError('invalid', 'max-file cannot be less than 1');
  if (maxFile !== undefined && maxFile !== '1' && maxBytes === undefined)
    throw new HolmError('invalid', 'max-file cannot be used without max-size');
  return {
    driver,
    ...(maxBytes !== undefined && { maxBytes }),
    ...(maxFile !== undefined && { maxFiles: Number(maxFile) }),
    options,
  };
}

function parseDriver(from: Fields): { driver: LogRequest['driver']; options: Readonly<Record<string, string>> } {
  const type = from.string('Type');
  const options = from.map('Config');
  if (type === '' || type === 'json-file') return { driver: 'json-file', options };
  if (type === 'none') return { driver: 'none', options };
  if (otherDrivers.has(type)) throw notYet(`log driver "${type}" is`);
  throw new HolmError('invalid', `logger: no log driver named '${type}' is registered`);
}
