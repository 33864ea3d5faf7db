// An image of one large layer with many files, from an archive into the engine's store. Each round has an archive of its own,
// and nothing is removed before the end: for minutes after a removal of many files ext4 passes over their inodes one by one
// (fs/ext4/ialloc.c, recently_deleted), and that would be what is measured.
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { output } from '../../scripts/command.ts';
import type { Engine, Place } from '../engines/engine.ts';
import { makeLargeArchive } from '../images.ts';
import type { Measure, Sample, Subject } from './measure.ts';

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
    const archives = new Archives(place);
    return [
      subject('tar -x', archives, (archive, round) => unpack(archive, join(place.directory, `unpacked-${round}`))),
      ...engines.map((engine) => subject(engine.name, archives, (archive) => load(engine, archive))),
    ];
  },
};

function subject(name: string, archives: Archives, work: (archive: string, round: number) => Promise<Sample>): Subject {
  let round = 0;
  return {
    name,
    sample: async () => {
      round += 1;
      return await work(await archives.get(round), round);
    },
  };
}

/** The archives of the rounds, made when they are asked for first. */
class Archives {
  readonly #place: Place;
  readonly #made = new Map<number, Promise<string>>();

  constructor(place: Place) {
    this.#place = place;
  }

  get(round: number): Promise<string> {
    const made = this.#made.get(round) ?? this.#make(round);
    this.#made.set(round, made);
    return made;
  }

  async #make(round: number): Promise<string> {
    const { directory, run } = this.#place;
    const archive = join(directory, `large-${round}.tar`);
    await makeLargeArchive(archive, run, round);
    // Not what the disk is still busy with is to be measured.
    await output(['sync', '-f', directory]);
    return archive;
  }
}

/** What the files alone take: the archive's layer unpacked by tar, nothing verified, nothing made durable. */
async function unpack(archive: string, target: string): Promise<Sample> {
  mkdirSync(target);
  const begin = performance.now();
  await output(['sh', '-c', 'tar -xOf "$1" layer0.tar | tar -x -C "$2"', 'sh', archive, target]);
  return { load: (performance.now() - begin) / 1000 };
}

async function load({ api }: Engine, archive: string): Promise<Sample> {
  const stream = createReadStream(archive, { highWaterMark: 1 << 20 });
  const begin = performance.now();
  const { body } = await api.call('POST', '/images/load?quiet=1', {
    upload: { bytes: statSync(archive).size, stream },
  });
  const seconds = (performance.now() - begin) / 1000;
  if (/"error"/.test(body)) throw new Error(body.slice(0, 500));
  return { load: seconds };
}
