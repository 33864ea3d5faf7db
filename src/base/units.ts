// Amounts as people write them, and back: bytes.
import { HolmError } from './error.ts';

const letters = ['', 'k', 'm', 'g', 't', 'p'];

/** Parses "512m", "1.5GiB", "64kb" (powers of 1024, as Docker's clients do for memory) to bytes. */
export function parseBytes(text: string): number {
  return parseAmount(text, 1024);
}

/** The same in powers of 1000, as Docker takes the size of a log. */
export function parseDecimalBytes(text: string): number {
  return parseAmount(text, 1000);
}

function parseAmount(text: string, step: number): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null)
    throw new HolmError('invalid', `Cannot read size "${text}": not a number with a unit such as 512m or 2g`);
  const power = Math.max(0, letters.indexOf(match[2]!.toLowerCase()));
  return Math.floor(Number(match[1]) * step ** power);
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

/** Formats bytes in powers of 1024 with at most four significant digits, as memory is told: "1.5MiB". */
export function formatBinaryBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let at = 0;
  while (value >= 1024 && at < names.length - 1) {
    value /= 1024;
    at++;
  }
  return `${Number(value.toPrecision(4))}${names[at]}`;
}
