// Times as Docker's API writes them: unix seconds with nanoseconds, RFC 3339, durations of Go, and "About an hour".
import { parseTime } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';

const unitNanos: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Parses a duration of Go ("1h30m", "1.5s") to nanoseconds; undefined when the text is none. */
export function parseDuration(text: string): bigint | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0n;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += BigInt(Math.round(Number(amount) * Number(unitNanos[unit!])));
  return total;
}

/** Parses "1700000000.000000123", RFC 3339 with or without zone or time, or a duration before `now`; to nanoseconds. */
export function parseTimestamp(text: string, now: bigint): bigint {
  const unix = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1]!) * 1_000_000_000n + BigInt((unix[2] ?? '').padEnd(9, '0'));
  const duration = parseDuration(text);
  if (duration !== undefined) return now - duration;
  const padded = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text;
  const time = parseTime(/(Z|[+-]\d\d:\d\d)$/.test(padded) ? padded : `${padded}Z`);
  if (time === undefined) throw new HolmError('invalid', `failed to parse value "${text}" as a time or a duration`);
  return time;
}

/** Words for a duration as Docker shows them: "Less than a second", "3 minutes", "About an hour", "2 weeks". */
export function formatDuration(nanos: bigint): string {
  const seconds = Math.floor(Number(nanos) / 1e9);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(Number(nanos) / 3.6e12 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}
