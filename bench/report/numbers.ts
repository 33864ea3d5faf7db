// How the report writes numbers: three digits that count.

import type { Unit } from '../start/measure.ts';

export function formatNumber(value: number): string {
  if (value >= 99.95) return Math.round(value).toLocaleString('en-US');
  if (value >= 9.995) return value.toFixed(1);
  return value >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
}

/** A number with its unit; seconds from a thousand milliseconds on. */
export function formatQuantity(value: number, unit: Unit): string {
  if (unit === 'ms' && value >= 999.5) return `${formatNumber(value / 1000)} s`;
  return `${formatNumber(value)} ${unit === 'a second' ? '/s' : unit}`;
}
