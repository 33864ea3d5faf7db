// The whole of `npm run bench -- start`, inside its enclosure: makes the images, starts the engines, takes the measures one
// after the other, reports. Ends in order on Ctrl-C, with what was measured so far.
import { mkdirSync } from 'node:fs';
import { command, output } from '../../scripts/command.ts';
import { enclosedPlace } from '../enclosure.ts';
import { dockerd } from '../engines/dockerd.ts';
import { Engine, type EngineKind } from '../engines/engine.ts';
import { Floor } from '../engines/floor.ts';
import { holm } from '../engines/holm.ts';
import { makeImages } from '../images.ts';
import { type Options, readOptions } from '../options.ts';
import { findPeers, type Peers } from '../peers.ts';
import type { Bench } from './bench.ts';
import { measures } from './measures.ts';
import { type MeasureResult, take } from './take.ts';

const { place, args } = enclosedPlace();
const options = readOptions(args);
const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt.abort());
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
  const images = await makeImages(madeDirectory(`${place.directory}/images`));
  const floor = undo.use(await Floor.open(place, images.rootfs));
  const engines: Engine[] = [];
  for (const kind of kindsOf(peers)) {
    const engine = undo.use(new Engine(kind, place));
    await engine.start();
    await load(engine, images.archive);
    engines.push(engine);
  }
  const runtimes = peers.found.filter(({ name }) => name === 'runc' || name === 'crun');
  const bench: Bench = { place, images, engines, floor, runtimes, quick: options.quick };
  const results: MeasureResult[] = [];
  for (const measure of chosen) {
    const rounds = options.rounds ?? (options.quick ? measure.rounds.quick : measure.rounds.full);
    const result = await take(measure, bench, rounds, { signal: interrupt.signal });
    results.push(result);
    for (const { row, of } of result.rows)
      for (const [name, summary] of of)
        console.log(row.name.padEnd(10), name.padEnd(20), summary.median.toFixed(2), summary.p95.toFixed(2), row.unit);
    for (const [name, why] of result.failures) console.log(`${name} failed: ${why}`);
  }
}

function chooseMeasures({ only }: Options): typeof measures {
  const names = measures.map(({ name }) => name);
  const unknown = only?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`There is no measure "${unknown.join(', ')}". There are: ${names.join(', ')}`);
  return measures.filter(({ name }) => only === undefined || only.includes(name));
}

function kindsOf({ found }: Peers): EngineKind[] {
  const kinds = [holm(options.profile)];
  for (const { name, path, version } of found) {
    if (name === 'dockerd') kinds.push(dockerd(path, version));
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
