// The report as text: a block a row of the measures, a line for each who took part, a line for each aim.
import type { MeasureResult, RowResult } from '../start/take.ts';
import { formatNumber } from './numbers.ts';
import { judge, times } from './verdict.ts';

/** Whom the others are compared with. */
const reference = 'holm';

/** A measure's lines. With `color`, verdicts are green and red. */
export function formatMeasure(result: MeasureResult, color: boolean): string {
  const blocks = result.rows.filter(({ of }) => of.size > 0).map((row) => formatRow(row, color));
  const failures = [...result.failures].map(([name, why]) => paint(`  ${name} failed: ${why}`, 31, color));
  return [...blocks, ...failures].join('\n');
}

function formatRow(result: RowResult, color: boolean): string {
  const { row, of } = result;
  const base = of.get(reference)?.median;
  const head = row.drawn === false ? row.title.trim() : paint(row.title, 1, color);
  const lines = [...of].map(([name, { median, p95, count }]) => {
    const ratio = base === undefined || name === reference ? '' : `${times(median / base)} ${reference}`;
    const cells = [name.padEnd(22), formatNumber(median).padStart(9), formatNumber(p95).padStart(9)];
    return `  ${cells.join(' ')}  ${row.unit.padEnd(8)} ${ratio.padStart(14)}   n=${count}`;
  });
  const verdicts = judge(result).map(({ aim, isReached, words }) => {
    const mark = isReached === undefined ? '?' : isReached ? '✓' : '✗';
    return paint(`  ${mark} ${aim}: ${words}`, isReached === undefined ? 33 : isReached ? 32 : 31, color);
  });
  return [`\n${head}`, ...lines, ...verdicts].join('\n');
}

/** What stands over the numbers. */
export const tableHead: string = `  ${['', 'median', '95th', ''].map((text, at) => (at === 0 ? text.padEnd(22) : text.padStart(9))).join(' ')}`;

/** The last lines: how many aims are reached, and which are not. */
export function formatVerdicts(results: readonly MeasureResult[], color: boolean): string {
  const all = results.flatMap(({ rows }) => rows.flatMap((row) => judge(row).map((verdict) => ({ row, verdict }))));
  const reached = all.filter(({ verdict }) => verdict.isReached === true).length;
  const missed = all.filter(({ verdict }) => verdict.isReached === false);
  const unknown = all.length - reached - missed.length;
  const lines = missed.map(({ row, verdict }) => `  ✗ ${row.row.title}: ${verdict.aim}: ${verdict.words}`);
  const open = unknown === 0 ? '' : `, ${unknown} not known`;
  return [`\n${reached} of ${all.length} aims reached${open}`, ...lines.map((line) => paint(line, 31, color))].join(
    '\n',
  );
}

function paint(text: string, code: number, color: boolean): string {
  return color ? `\x1b[${code}m${text}\x1b[0m` : text;
}
