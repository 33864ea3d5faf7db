// Lists as docker prints them: a table with headings, JSON lines, or a template, from one description of the fields.
import { HolmError } from '../../base/error.ts';
import { compileTemplate } from './template.ts';

export interface Field<Row> {
  readonly heading: string;
  readonly value: (row: Row) => string;
}

export type Fields<Row> = Readonly<Record<string, Field<Row>>>;

/** `columns` are the fields of the default table; `format` is the text of --format, '' for the default. */
export function formatRows<Row>(
  rows: readonly Row[],
  fields: Fields<Row>,
  columns: readonly string[],
  format: string = '',
): string {
  if (format === 'json') return rows.map((row) => `${JSON.stringify(valuesOf(row, fields))}\n`).join('');
  if (format === '' || format === 'table') {
    const lines = rows.map((row) => columns.map((name) => fields[name]!.value(row)));
    return alignColumns([columns.map((name) => fields[name]!.heading), ...lines]);
  }
  const isTable = /^table(\s|\\t)/.test(format);
  const template = compileTemplate(isTable ? format.slice('table'.length).trimStart() : format);
  for (const name of template.fields)
    if (fields[name] === undefined)
      throw new HolmError('invalid', `template: :1: executing "" at <.${name}>: can't evaluate field ${name}`);
  const lines = rows.map((row) => template(valuesOf(row, fields)));
  if (!isTable) return lines.map((line) => `${line}\n`).join('');
  const headings = Object.fromEntries(Object.entries(fields).map(([name, { heading }]) => [name, heading]));
  return alignColumns([template(headings), ...lines].map((line) => line.split('\t')));
}

/** All fields; each is computed when it is read. */
function valuesOf<Row>(row: Row, fields: Fields<Row>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, field] of Object.entries(fields))
    Object.defineProperty(values, name, { enumerable: true, get: () => field.value(row) });
  return values;
}

/** Columns 3 apart and at least so wide, as docker's. */
export function alignColumns(lines: readonly (readonly string[])[], least = 10): string {
  const widths: number[] = [];
  for (const line of lines)
    for (const [at, cell] of line.entries())
      if (at < line.length - 1) widths[at] = Math.max(widths[at] ?? least, cell.length + 3);
  const pad = (cell: string, at: number, line: readonly string[]) =>
    at < line.length - 1 ? cell.padEnd(widths[at]!) : cell;
  return lines.map((line) => `${line.map((cell, at) => pad(cell, at, line)).join('')}\n`).join('');
}

/** "a=b,c=d" of labels, ordered by key. */
export function formatPairs(pairs: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(pairs ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** --filter values as the API takes them: {"status":{"exited":true}}; undefined for none. */
export function formatFilters(filters: readonly string[]): string | undefined {
  if (filters.length === 0) return undefined;
  const sets: Record<string, Record<string, true>> = {};
  for (const text of filters) {
    const at = text.indexOf('=');
    if (at < 1) throw new HolmError('invalid', `bad format of filter (expected name=value): ${text}`);
    const name = text.slice(0, at).trim().toLowerCase();
    sets[name] = { ...sets[name], [text.slice(at + 1).trim()]: true };
  }
  return JSON.stringify(sets);
}
