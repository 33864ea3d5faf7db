// The whole of `npm run bench -- machine`, inside its enclosure: makes what the machines boot from, takes the measures one after
// the other, tells how the goals stand. Ends in order on Ctrl-C, with what was measured so far.
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { output } from '../../scripts/command.ts';
import { enclosedPlace } from '../enclosure.ts';
import { describeHost, type Results, writeResults } from '../report/results.ts';
import { formatMeasure, tableHead } from '../report/table.ts';
import { type MeasureResult, take } from '../start/take.ts';
import { type Bench, openBench, versionsOf } from './bench.ts';
import { groups, measures } from './measures.ts';
import { type Options, readOptions } from './options.ts';
import { drawPicture } from './report/picture.ts';
import { standingsOf, unknownGoals } from './report/standings.ts';
import { formatMarkdown, formatStandings } from './report/table.ts';

const { place, args } = enclosedPlace();
const options = readOptions(args);
const interrupt = new AbortController();
const hasColor = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const quickNote = 'Quick: one round, small amounts. To see that it works, not to be quoted.';
const resultsDirectory = join(import.meta.dirname, '../results');
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupt.signal.aborted) process.exit(130); // The enclosure ends all that is left.
    console.error('\nEnding after the present sample; once more ends at once …');
    interrupt.abort();
  });
}
try {
  await run();
} catch (error) {
  if (!interrupt.signal.aborted) console.error(`holm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
}
process.exit();

async function run(): Promise<void> {
  const chosen = chooseMeasures(options);
  await output(['mount', '-t', 'tmpfs', 'tmpfs', place.run]);
  const bench = await openBench(place, options, (status) => console.log(status));
  if (options.quick) console.log(quickNote);
  console.log(`Load of the host: ${describeLoad()}`);
  console.log(tableHead);
  const measured: MeasureResult[] = [];
  try {
    for (const measure of chosen) {
      const rounds = options.rounds ?? (options.quick ? measure.rounds.quick : measure.rounds.full);
      const result = await take(measure, bench, rounds, { signal: interrupt.signal });
      measured.push(result);
      console.log(formatMeasure(result, hasColor));
    }
  } finally {
    if (measured.length > 0) await report(measured, bench, chosen.length === measures.length);
  }
  if (measured.some(({ failures }) => failures.size > 0)) process.exitCode = 1;
}

// A run of all measures is kept under its own name: those of a part do not take its place.
async function report(measured: readonly MeasureResult[], bench: Bench, isWhole: boolean): Promise<void> {
  const artefacts = await bench.openedArtefacts()?.catch(() => undefined);
  const versions = { ...(await versionsOf()), ...(artefacts && { 'guest kernel': artefacts.kernelVersion }) };
  const at = new Date().toISOString();
  const host = describeHost();
  const standings = standingsOf(measured);
  const results: Results = { at, isQuick: options.quick, host, versions, measures: measured, standings };
  const name = isWhole && !options.quick && !interrupt.signal.aborted ? 'machine' : 'machine-part';
  const path = join(resultsDirectory, name);
  writeResults(`${path}.json`, results);
  writeFileSync(`${path}.svg`, drawPicture({ ...results, standings }));
  const lines = Object.entries(versions).map(([what, version]) => `${what} ${version}`);
  const about = `${host.cpus} × ${host.cpuModel}, Linux ${host.kernel}; ${lines.join(', ')}; ${at}; load ${describeLoad()}`;
  const unknown = isWhole ? unknownGoals(standings).map((title) => `Not measured: ${title}`) : [];
  const failed = measured.flatMap(({ measure, failures }) =>
    [...failures].map(([who, why]) => `${measure}: ${who} failed: ${why.split('\n')[0]}`),
  );
  const remarks = [...unknown, ...failed, about].join('\n\n');
  writeFileSync(`${path}.md`, `${formatMarkdown(standings)}\n\n${remarks}\n`);
  console.log(`\n${formatStandings(standings, hasColor)}`);
  for (const remark of [...unknown, ...failed]) console.log(remark);
  console.log(`\n${about}\n${path}.json, .svg and .md`);
}

function describeLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(1))
    .join(' ');
}

function chooseMeasures({ only }: Options): typeof measures {
  const wanted = only?.flatMap((name) => groups[name] ?? name);
  const names = measures.map(({ name }) => name);
  const unknown = wanted?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0) {
    const known = [...Object.keys(groups), ...names].join(', ');
    throw new Error(`There is no measure "${unknown.join(', ')}". There are: ${known}`);
  }
  return measures.filter(({ name }) => wanted === undefined || wanted.includes(name));
}
