// Time as records keep it: nanoseconds since 1970, and RFC 3339 text with nine digits, as Docker writes it.

/** Now, in nanoseconds since 1970; the finest that the system's clock gives through Node. */
export function nowNanos(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n;
}

/** RFC 3339 in UTC with nanoseconds: "2026-01-31T12:00:00.123456789Z". */
export function formatTime(nanos: bigint): string {
  const seconds = new Date(Number(nanos / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanos % 1_000_000_000n).padStart(9, '0')}Z`;
}

/** Parses RFC 3339 with up to nine digits of a second; undefined when the text is none. */
export function parseTime(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const millis = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(millis)) return undefined;
  return BigInt(millis) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** The time Docker shows for "never". */
export const zeroTime = '0001-01-01T00:00:00Z';
