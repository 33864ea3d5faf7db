// The results as an SVG: a panel for each kind of quantity with a logarithmic axis, a group of horizontal bars for each row,
// whiskers to the 95th percentile, a dashed line where the kernel's floor is, a triangle at each aim. Follows light and dark.
import type { RowResult } from '../start/take.ts';
import { type Axis, axisOf, panelsOf } from './axis.ts';
import { formatQuantity } from './numbers.ts';
import type { Results } from './results.ts';
import { times } from './verdict.ts';

const width = 980;
const margin = 32;
const labels = 168;
const left = margin + labels;
const right = width - margin - 118;
const bar = 13;
const barStep = 18;
const rowHead = 26;
const rowGap = 14;

/** Colours: ours, the kernel's own, and the others in greys that differ. */
const colors: Readonly<Record<string, string>> = {
  floor: '#475569',
  holm: '#0d9488',
  'holm-cold': '#5eb5ab',
  keeper: '#0d9488',
  'docker with holm': '#0d9488',
  "holm's own": '#5eb5ab',
  dockerd: '#6d8fc7',
  'docker with dockerd': '#6d8fc7',
  podman: '#a78bca',
  "podman's own": '#a78bca',
  runc: '#c2975c',
  crun: '#d8b98a',
  'crun-sid': '#d8b98a',
};
const otherColor = '#94a3b8';
const titles: Readonly<Record<string, string>> = { floor: 'kernel’s floor', 'holm-cold': 'holm, no warm slots' };

export function drawPicture(results: Results): string {
  const parts: string[] = [];
  let y = margin + 56;
  for (const panel of panelsOf(results.measures.flatMap(({ rows }) => rows))) {
    const axis = axisOf(panel, { left, right });
    const top = y + 46;
    const bottom = top + panel.rows.reduce((sum, row) => sum + heightOf(row), 0);
    parts.push(text(margin, y + 14, panel.title, 'panel'), drawAxis(axis, y + 34, bottom));
    y = top;
    for (const row of panel.rows) {
      parts.push(drawRow(row, axis, y));
      y += heightOf(row);
    }
    y += 26;
  }
  const height = y + 34;
  const { host, versions } = results;
  const memory = `${Math.round(host.memoryBytes / 2 ** 30)} GiB`;
  const machine = `${host.cpus} × ${host.cpuModel}, ${memory}, Linux ${host.kernel}, cgroups ${host.cgroups}`;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const head = [
    text(margin, margin + 14, 'Containers, from request to result', 'title'),
    text(
      margin,
      margin + 36,
      `Medians of one interleaved run; whiskers: 95th percentile; ▼ aim; × as much as holm. Logarithmic.${results.isQuick ? ' A quick run: not to be quoted.' : ''}`,
      'note',
    ),
  ];
  const foot = [
    text(margin, height - 32, `${machine}. ${results.at.slice(0, 10)}`, 'note'),
    text(margin, height - 14, `${names.join(', ')}. npm run bench -- start`, 'note'),
  ];
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`;
  const background = `<rect class="background" width="${width}" height="${height}" rx="12"/>`;
  return `${[open, style, background, ...head, ...parts, ...foot, '</svg>'].join('\n')}\n`;
}

const style = `<style>
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1e293b }
.background { fill: #ffffff } .title { font-size: 20px; font-weight: 700 } .panel { font-size: 14px; font-weight: 700 }
.row { font-size: 12.5px; font-weight: 600 } .note, .tick { font-size: 11px; fill: #64748b } .name { fill: #475569 }
.value { font-variant-numeric: tabular-nums } .ours { font-weight: 700 } .ratio { fill: #94a3b8; font-weight: 400 } .grid { stroke: #e2e8f0 } .whisker { stroke: #334155; stroke-opacity: .55 }
.floor { stroke: #475569; stroke-dasharray: 3 3 } .aim { fill: #dc2626 } .aim.reached { fill: #16a34a }
@media (prefers-color-scheme: dark) {
  text { fill: #e2e8f0 } .background { fill: #0f172a } .note, .tick { fill: #94a3b8 } .name { fill: #cbd5e1 }
  .grid { stroke: #1e293b } .whisker { stroke: #e2e8f0 } .floor { stroke: #cbd5e1 }
}
</style>`;

function heightOf({ of }: RowResult): number {
  return rowHead + of.size * barStep + rowGap;
}

function drawAxis(axis: Axis, top: number, bottom: number): string {
  const lines = axis.ticks.map(({ at, label }) => {
    const x = at.toFixed(1);
    return `<line class="grid" x1="${x}" y1="${top + 6}" x2="${x}" y2="${bottom}"/>${text(at, top, label, 'tick', 'middle')}`;
  });
  return lines.join('\n');
}

function drawRow(result: RowResult, axis: Axis, top: number): string {
  const { row, of } = result;
  const first = top + rowHead;
  const parts = [text(margin, top + 17, row.title, 'row')];
  [...of].forEach(([name, summary], index) => {
    const y = first + index * barStep;
    const end = axis.place(summary.median, row.unit);
    const middle = y + bar / 2;
    const isOurs = /^(holm|keeper|docker with holm)$/.test(name);
    const far = axis.place(summary.p95, row.unit);
    parts.push(
      text(left - 8, y + 11, titles[name] ?? name, isOurs ? 'name ours' : 'name', 'end'),
      `<rect x="${left}" y="${y}" width="${Math.max(1.5, end - left).toFixed(1)}" height="${bar}" rx="2.5" fill="${colors[name] ?? otherColor}"/>`,
      `<path class="whisker" fill="none" d="M${end.toFixed(1)} ${middle}H${far.toFixed(1)}m0 -3v6"/>`,
      drawValue(
        Math.max(end, far) + 7,
        y + 11,
        formatQuantity(summary.median, row.unit),
        ratioOf(result, name),
        isOurs,
      ),
    );
  });
  const rows = [...of.keys()];
  const floor = of.get('floor')?.median;
  if (floor !== undefined && rows.length > 1) {
    const x = axis.place(floor, row.unit).toFixed(1);
    parts.push(`<line class="floor" x1="${x}" y1="${first - 3}" x2="${x}" y2="${first + rows.length * barStep - 2}"/>`);
  }
  return [...parts, ...drawAims(result, axis, first)].join('\n');
}

/** How many times what holm takes; empty for holm itself, and where holm has no part. */
function ratioOf({ of }: RowResult, name: string): string {
  const base = of.get('holm') ?? of.get('docker with holm') ?? of.get('keeper');
  const own = of.get(name);
  if (base === undefined || own === undefined || base === own) return '';
  return times(own.median / base.median);
}

function drawValue(x: number, y: number, value: string, ratio: string, isOurs: boolean): string {
  const tail = ratio === '' ? '' : `<tspan class="ratio" dx="7">${ratio}</tspan>`;
  return `<text class="${isOurs ? 'value ours' : 'value'}" x="${x.toFixed(1)}" y="${y}">${value}${tail}</text>`;
}

/** A small triangle above the bar, where it should end. */
function drawAims({ row, of }: RowResult, axis: Axis, first: number): string[] {
  const names = [...of.keys()];
  return row.aims.flatMap((aim) => {
    const against = 'limit' in aim ? undefined : of.get(aim.against)?.median;
    const limit = 'limit' in aim ? aim.limit : against === undefined ? undefined : against * aim.factor;
    const index = names.indexOf(aim.of);
    const value = of.get(aim.of)?.median;
    if (limit === undefined || value === undefined || index < 0) return [];
    const isReached = row.better === 'less' ? value <= limit : value >= limit;
    const x = axis.place(limit, row.unit).toFixed(1);
    const y = first + index * barStep - 3;
    return [`<path class="aim${isReached ? ' reached' : ''}" d="M${x} ${y + 6}l-4 -6h8z"/>`];
  });
}

function text(x: number, y: number, content: string, kind: string, anchor = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/`/g, '');
  return `<text class="${kind}" x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}
