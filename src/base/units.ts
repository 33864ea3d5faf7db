// Amounts as people write them, and back: bytes, and times with nanoseconds.
import { HolmError } from './error.ts';

const binary: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5 };

/** Parses "512m", "1.5GiB", "64kb" (powers of 1024, as Docker's clients do) to bytes. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const unit = match === null ? undefined : binary[match[2]!.toLowerCase()];
  if (match === null || unit === undefined)
    throw new HolmError('invalid', `Cannot read size "${text}": not a number with a unit such as 512m or 2g`);
  return Math.floor(Number(match[1]) * unit);
}

/** Formats bytes in powers of 1000 with at most four significant digits, as `docker images` prints them: "117MB". */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let at = 0;
  while (value >= 1000 && at < names.length - 1) {
    value /= 1000;
    at++;
  }
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))}${names[at]}`;
}
