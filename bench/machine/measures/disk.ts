// Reads of a virtio disk in the guest, past the guest's page cache and out of the host's: one at a time, 4 KB in random places
// and 1 MB in order. Time is the guest's; both machines stay for all rounds.
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Measure, Subject } from '../../start/measure.ts';
import { type Bench, limitMs, setUp, waitUntilReady } from '../bench.ts';
import { Guest } from '../guest.ts';

const diskBytes = 256 * 2 ** 20;
const mebibyte = 2 ** 20;

export const diskMeasure: Measure<Bench> = {
  name: 'disk',
  rows: [
    { name: 'disk 4k', title: 'virtio disk: 4 KB reads in random places', unit: 'a second', better: 'more', aims: [] },
    { name: 'disk 1m', title: 'virtio disk: 1 MB reads in order', unit: 'MiB/s', better: 'more', aims: [] },
    {
      name: 'disk 4k cpu',
      title: '  CPU time of 1,000 of the small ones',
      unit: 'ms',
      better: 'less',
      aims: [],
      drawn: false,
    },
    {
      name: 'disk 1m cpu',
      title: '  CPU time of 1 GiB of the large ones',
      unit: 'ms',
      better: 'less',
      aims: [],
      drawn: false,
    },
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 1,
  open: async (bench) => {
    const path = join(bench.place.directory, 'disk.img');
    fill(path);
    const setup = await setUp(bench, { disks: [{ path, serial: 'measured', readOnly: false }] });
    const small = bench.quick ? 3000 : 20_000;
    const large = bench.quick ? 256 : 1024;
    return bench.machines().map((kind): Subject => {
      const guest = Guest.start(kind, setup, bench.place);
      const ready = waitUntilReady(guest);
      ready.catch(() => {});
      return {
        name: kind.name,
        sample: async () => {
          await ready;
          const [four, one] = [
            await read(guest, 4096, small, 'random'),
            await read(guest, 2 ** 20, large, 'sequential'),
          ];
          return {
            'disk 4k': small / four.seconds,
            'disk 1m': large / one.seconds,
            'disk 4k cpu': (four.cpuSeconds / small) * 1e6,
            'disk 1m cpu': (one.cpuSeconds / large) * 1024 * 1e3,
          };
        },
        close: async () => await guest[Symbol.asyncDispose](),
      };
    });
  },
};

async function read(
  guest: Guest,
  bytes: number,
  count: number,
  order: string,
): Promise<{ seconds: number; cpuSeconds: number }> {
  const { output, cpuSeconds } = await guest.command(`reads /dev/vda ${bytes} ${count} ${order}`, limitMs.work);
  const nanoseconds = /nanoseconds (\d+)/.exec(output)?.[1];
  if (nanoseconds === undefined) throw new Error(`no time in "${output}"`);
  return { seconds: Number(nanoseconds) / 1e9, cpuSeconds };
}

/** Nothing that a store could leave out. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(mebibyte);
  for (let at = 0; at < diskBytes; at += mebibyte) {
    randomFillSync(block);
    writeSync(file, block);
  }
  closeSync(file);
}
