// The whole of `npm run bench -- start`, inside its enclosure: makes the images, starts the engines, takes the measures one
// after the other, reports. Ends in order on Ctrl-C, with what was measured so far.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, output } from '../../scripts/command.ts';
import { enclosedPlace } from '../enclosure.ts';
import { dockerd } from '../engines/dockerd.ts';
import { Engine, type EngineKind } from '../engines/engine.ts';
import { Floor } from '../engines/floor.ts';
import { holm, packHolm } from '../engines/holm.ts';
import { podman } from '../engines/podman.ts';
import { makeImages } from '../images.ts';
import { type Options, readOptions } from '../options.ts';
import { findPeers, type Peers } from '../peers.ts';
import { drawPicture } from '../report/picture.ts';
import { describeHost, type Results, writeResults } from '../report/results.ts';
import { formatMeasure, formatVerdicts, tableHead } from '../report/table.ts';
import type { Bench } from './bench.ts';
import { measures } from './measures.ts';
import { type MeasureResult, take } from './take.ts';

const { place, args } = enclosedPlace();
const options = readOptions(args);
const interrupt = new AbortController();
const hasColor = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const quickNote =
  'Quick: few rounds, 60 containers in place of 300, small amounts. To see that it works, not to be quoted.';
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
  await using undo = new AsyncDisposableStack();
  await output(['mount', '-t', 'tmpfs', 'tmpfs', place.run]);
  const peers = await findPeers(options.peers);
  for (const sentence of peers.missing) console.log(sentence);
  const bench = await open(peers, undo);
  if (options.quick) console.log(quickNote);
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
    if (measured.length > 0) report(measured, bench, peers, chosen.length === measures.length);
  }
}

async function open(peers: Peers, undo: AsyncDisposableStack): Promise<Bench> {
  const images = await makeImages(madeDirectory(`${place.directory}/images`));
  const start = async (kind: EngineKind): Promise<Engine> => {
    interrupt.signal.throwIfAborted();
    const engine = undo.use(new Engine(kind, place));
    await engine.start();
    await load(engine, images.archive);
    return engine;
  };
  const floor = undo.use(await Floor.open(place, images.rootfs));
  const packed = await packHolm(place.directory);
  const cold = await start(holm(packed, { isCold: true }));
  const engines: Engine[] = [];
  for (const kind of kindsOf(peers, packed)) engines.push(await start(kind));
  const runtimes = peers.found.filter(({ name }) => /^(runc|crun)/.test(name));
  return { place, images, engines, cold, floor, runtimes, quick: options.quick };
}

// A run of all measures is kept under its own name: those of a part do not take its place.
function report(measured: readonly MeasureResult[], bench: Bench, { found }: Peers, isWhole: boolean): void {
  const versions = Object.fromEntries(
    [...bench.engines.map(({ kind }) => kind), ...found].map((one) => [one.name, one.version]),
  );
  const at = new Date().toISOString();
  const results: Results = { at, isQuick: options.quick, host: describeHost(), versions, measures: measured };
  const name = isWhole && !options.quick && !interrupt.signal.aborted ? 'start' : 'start-part';
  writeResults(join(resultsDirectory, `${name}.json`), results);
  writeFileSync(join(resultsDirectory, `${name}.svg`), drawPicture(results));
  console.log(formatVerdicts(measured, hasColor));
  console.log(`\n${join(resultsDirectory, name)}.json and .svg`);
}

function chooseMeasures({ only }: Options): typeof measures {
  const names = measures.map(({ name }) => name);
  const unknown = only?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`There is no measure "${unknown.join(', ')}". There are: ${names.join(', ')}`);
  return measures.filter(({ name }) => only === undefined || only.includes(name));
}

function kindsOf({ found }: Peers, packed: string): EngineKind[] {
  const kinds = [holm(packed, { profileDirectory: options.profile })];
  for (const { name, path, version } of found) {
    if (name === 'dockerd') kinds.push(dockerd(path, version));
    if (name === 'podman') kinds.push(podman(path, version));
  }
  return kinds;
}

async function load(engine: Engine, archive: string): Promise<void> {
  const result = await command(['docker', 'load', '-q', '-i', archive], { env: engine.environment });
  if (result.code !== 0) throw new Error(`${engine.name} cannot load the image: ${result.output}`);
}

function madeDirectory(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
