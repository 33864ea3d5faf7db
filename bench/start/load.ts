// An image of one large layer with many files, from an archive into the engine's store.
import { createReadStream, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { output } from '../../scripts/command.ts';
import type { Engine } from '../engines/engine.ts';
import { largeImage, makeLargeArchive } from '../images.ts';
import type { Measure, Sample } from './measure.ts';

export const loadMeasure: Measure = {
  name: 'load',
  rows: [
    {
      name: 'load',
      title: 'load of a 121 MB one-layer archive of 5,000 files',
      unit: 's',
      better: 'less',
      aims: [{ of: 'holm', against: 'dockerd', factor: 1 / 3 }],
    },
  ],
  rounds: { full: 5, quick: 2 },
  warmUp: 0,
  open: async ({ engines, place }) => {
    const kept = join(place.directory, 'images/large.tar');
    const archive = existsSync(kept) ? kept : await makeLargeArchive(join(place.directory, 'images'));
    const target = join(place.directory, 'images/unpacked');
    return [
      { name: 'tar -x', sample: () => unpack(archive, target) },
      ...engines.map((engine) => ({ name: engine.name, sample: () => load(engine, archive) })),
    ];
  },
};

/** What the files alone take: the archive's layer unpacked by tar, nothing verified, nothing made durable. */
async function unpack(archive: string, target: string): Promise<Sample> {
  mkdirSync(target);
  const begin = performance.now();
  await output(['sh', '-c', 'tar -xOf "$1" layer0.tar | tar -x -C "$2"', 'sh', archive, target]);
  const seconds = (performance.now() - begin) / 1000;
  rmSync(target, { recursive: true });
  return { load: seconds };
}

async function load({ api }: Engine, archive: string): Promise<Sample> {
  const stream = createReadStream(archive, { highWaterMark: 1 << 20 });
  const begin = performance.now();
  const { body } = await api.call('POST', '/images/load?quiet=1', {
    upload: { bytes: statSync(archive).size, stream },
  });
  const seconds = (performance.now() - begin) / 1000;
  if (/"error"/.test(body)) throw new Error(body.slice(0, 500));
  await api.call('DELETE', `/images/${largeImage}`);
  return { load: seconds };
}
