// The last part of the report: how the goals stand, for a terminal and as the table of docs/machine-speed.md.
import { formatNumber } from '../../report/numbers.ts';
import type { Standing } from './standings.ts';

type Cells = readonly string[];

const head: Cells = ['measure', 'holm', 'QEMU', 'holm against QEMU', 'must reach', 'aim', ''];

/** Lines of equal columns; green where the aim is reached, yellow where only what must be, red below. */
export function formatStandings(standings: readonly Standing[], color: boolean): string {
  const rows = [head, ...standings.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 || column === 6 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  const colors = [1, ...standings.map((standing) => (standing.reachesAim ? 32 : standing.keepsMust ? 33 : 31))];
  return lines.map((line, index) => (color ? `\x1b[${colors[index]}m${line}\x1b[0m` : line)).join('\n');
}

/** The same as Markdown. */
export function formatMarkdown(standings: readonly Standing[]): string {
  const rows = [
    head,
    head.map((_, column) => (column === 0 || column === 6 ? '---' : '---:')),
    ...standings.map(cellsOf),
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cellsOf(standing: Standing): Cells {
  const { title, unit, better, must, aim, value, quantity } = standing;
  const bound = better === 'more' ? 'at least' : 'at most';
  const amount = (number: number | undefined): string =>
    number === undefined ? '' : `${formatNumber(number)}${quantity === '/s' ? ' /s' : ` ${quantity}`}`;
  return [
    title,
    amount(standing.ours),
    amount(standing.theirs),
    `${formatNumber(value)} ${unit}`,
    `${bound} ${must} ${unit}`,
    `${bound} ${aim} ${unit}`,
    verdictOf(standing),
  ];
}

function verdictOf({ reachesAim, keepsMust, margin }: Standing): string {
  if (reachesAim) return 'aim reached';
  const distance = `aim missed by ${(1 / margin).toFixed(2)} ×`;
  return keepsMust ? distance : `${distance}, below what must be`;
}
