// The standings as an SVG: for each goal how many times better or worse than QEMU, on one logarithmic axis around "as QEMU";
// a red tick where it must be, a green one where it is aimed at. Below, each of the bare programs. Follows light and dark.
import { formatNumber } from '../../report/numbers.ts';
import type { Host } from '../../report/results.ts';
import type { MeasureResult } from '../../start/take.ts';
import { programMeasures } from '../measures/programs.ts';
import { medianIn, type Standing } from './standings.ts';

const width = 980;
const margin = 32;
const left = margin + 268;
const right = width - margin - 130;
const step = 24;
const bar = 13;

interface Line {
  readonly title: string;
  /** Above 1 is better than what it is compared with. */
  readonly goodness: number;
  readonly value: string;
  readonly must?: number;
  readonly aim?: number;
}

export interface PictureInput {
  readonly standings: readonly Standing[];
  readonly measures: readonly MeasureResult[];
  readonly host: Host;
  readonly versions: Readonly<Record<string, string>>;
  readonly at: string;
  readonly isQuick: boolean;
}

export function drawPicture(input: PictureInput): string {
  const goals = input.standings.filter(({ unit }) => unit === '×').map(lineOf);
  const programs = programLines(input.measures);
  const all = [...goals, ...programs].flatMap(({ goodness, must, aim }) => [goodness, must, aim]);
  const known = all.filter((value) => value !== undefined);
  const place = scaleOf(Math.min(0.5, ...known), Math.max(2, ...known));
  const parts: string[] = [];
  let y = margin + 68;
  for (const [title, lines] of [
    ['Against QEMU (longer is better; two harts: against one)', goals],
    ['Bare programs, speed against QEMU', programs],
  ] as const) {
    if (lines.length === 0) continue;
    parts.push(text(margin, y + 14, title, 'panel'), drawAxis(place, y + 34, y + 42 + lines.length * step));
    y += 48;
    for (const line of lines) {
      parts.push(drawLine(line, place, y));
      y += step;
    }
    y += 20;
  }
  const height = y + 42;
  const { host, versions, at, isQuick } = input;
  const memory = `${Math.round(host.memoryBytes / 2 ** 30)} GiB`;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const note = 'Medians of one interleaved run; red tick: must reach, green tick: aim. Logarithmic.';
  const frame = [
    text(margin, margin + 14, 'The software machine beside qemu-system-riscv64 (TCG)', 'title'),
    text(margin, margin + 36, `${note}${isQuick ? ' A quick run: not to be quoted.' : ''}`, 'note'),
    text(
      margin,
      height - 32,
      `${host.cpus} × ${host.cpuModel}, ${memory}, Linux ${host.kernel}. ${at.slice(0, 10)}`,
      'note',
    ),
    text(margin, height - 14, `${names.join(', ')}. npm run bench -- machine`, 'note'),
  ];
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`;
  const background = `<rect class="background" width="${width}" height="${height}" rx="12"/>`;
  return `${[open, style, background, ...frame, ...parts, '</svg>'].join('\n')}\n`;
}

const style = `<style>
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1e293b }
.background { fill: #ffffff } .title { font-size: 20px; font-weight: 700 } .panel { font-size: 14px; font-weight: 700 }
.note, .tick { font-size: 11px; fill: #64748b } .better { fill: #0d9488 } .worse { fill: #c2975c } .grid { stroke: #e2e8f0 }
.even { stroke: #475569; stroke-dasharray: 3 3 } .must { stroke: #dc2626; stroke-width: 2 } .aim { stroke: #16a34a; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e2e8f0 } .background { fill: #0f172a } .note, .tick { fill: #94a3b8 } .grid { stroke: #1e293b } .even { stroke: #cbd5e1 }
}
</style>`;

function lineOf({ title, better, value, must, aim }: Standing): Line {
  const goodness = (amount: number): number => (better === 'more' ? amount : 1 / amount);
  return {
    title,
    goodness: goodness(value),
    value: `${formatNumber(value)} ×`,
    must: goodness(must),
    aim: goodness(aim),
  };
}

function programLines(results: readonly MeasureResult[]): readonly Line[] {
  const median = medianIn(results);
  return programMeasures.flatMap(({ name }) => {
    const [ours, theirs] = [median(name, 'holm'), median(name, 'qemu')];
    if (ours === undefined || theirs === undefined) return [];
    return [{ title: name, goodness: theirs / ours, value: `${formatNumber(theirs / ours)} ×` }];
  });
}

type Place = (value: number) => number;

/** Halves and doubles around 1. */
function scaleOf(least: number, most: number): Place {
  const [from, to] = [Math.floor(Math.log2(least)), Math.ceil(Math.log2(most))];
  return (value) => left + ((right - left) * (Math.log2(value) - from)) / (to - from);
}

function drawAxis(place: Place, top: number, bottom: number): string {
  const lines: string[] = [];
  for (let exponent = -8; exponent <= 8; exponent++) {
    const x = place(2 ** exponent);
    if (x < left - 1 || x > right + 1) continue;
    const label = exponent < 0 ? `1/${2 ** -exponent}` : String(2 ** exponent);
    const kind = exponent === 0 ? 'even' : 'grid';
    lines.push(`<line class="${kind}" x1="${x.toFixed(1)}" y1="${top + 6}" x2="${x.toFixed(1)}" y2="${bottom}"/>`);
    lines.push(text(x, top, `${label} ×`, 'tick', 'middle'));
  }
  return lines.join('\n');
}

function drawLine({ title, goodness, value, must, aim }: Line, place: Place, y: number): string {
  const [even, end] = [place(1), place(goodness)];
  const kind = goodness >= 1 ? 'better' : 'worse';
  const x = Math.min(even, end).toFixed(1);
  const length = Math.max(1.5, Math.abs(end - even)).toFixed(1);
  const ticks = Object.entries({ must, aim }).flatMap(([name, at]) => {
    if (at === undefined) return [];
    const where = place(at).toFixed(1);
    return [`<line class="${name}" x1="${where}" y1="${y - 3}" x2="${where}" y2="${y + bar + 3}"/>`];
  });
  return [
    text(left - 10, y + 11, title, 'name', 'end'),
    `<rect class="${kind}" x="${x}" y="${y}" width="${length}" height="${bar}" rx="2.5"/>`,
    ...ticks,
    text(right + 12, y + 11, value, 'value'),
  ].join('\n');
}

function text(x: number, y: number, content: string, kind: string, anchor = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text class="${kind}" x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}
