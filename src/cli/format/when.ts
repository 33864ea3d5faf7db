// --since and --until: a time, or how long ago.
import { HolmError } from '../../base/error.ts';
import { parseDuration } from './duration.ts';

/** Seconds since 1970 with nine digits, as the API takes them, of "2013-01-02T13:23:37Z", "2013-01-02", "42m" or seconds. */
export function parseWhen(text: string, now: number = Date.now()): string {
  if (/^\d+(\.\d{1,9})?$/.test(text)) return text;
  const ago = parseDuration(text);
  if (ago !== undefined) return (now / 1000 - ago / 1e9).toFixed(9);
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  const [, day = '', minute = '00:00', second = ':00', fraction = '', zone = ''] = match ?? [];
  const millis = Date.parse(`${day}T${minute}${second}${zone}`);
  if (Number.isNaN(millis))
    throw new HolmError('invalid', `Cannot read time "${text}": not a timestamp nor a duration such as 42m`);
  return `${Math.floor(millis / 1000)}.${fraction.padEnd(9, '0')}`;
}
