// Memory of a machine's process beyond what its guest touched, after a boot and a program that writes to 128 MB: the process's
// proportional share (PSS) less the pages of the guest's RAM that are there. Those are counted by the kernel, page by page.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { layout, pageBytes } from '../../../src/memory/layout.ts';
import type { Measure, Sample } from '../../start/measure.ts';
import { type Bench, limitMs, setUp, waitUntilReady } from '../bench.ts';
import { Guest } from '../guest.ts';
import type { MachineKind, MachineSetup } from '../kinds.ts';

const touchedMegabytes = 128;
const megabyte = 1e6;

export const memoryMeasure: Measure<Bench> = {
  name: 'memory',
  rows: [
    {
      name: 'memory',
      title: 'memory of the process beyond the RAM that its guest touched',
      unit: 'MB',
      better: 'less',
      aims: [],
    },
    { name: 'memory all', title: '  all of the process (PSS)', unit: 'MB', better: 'less', aims: [], drawn: false },
    {
      name: 'memory touched',
      title: '  RAM that the guest touched',
      unit: 'MB',
      better: 'less',
      aims: [],
      drawn: false,
    },
  ],
  rounds: { full: 3, quick: 1 },
  warmUp: 0,
  open: async (bench) => bench.machines().map((kind) => ({ name: kind.name, sample: () => weigh(kind, bench) })),
};

async function weigh(kind: MachineKind, bench: Bench): Promise<Sample> {
  const setup = await setUp(bench);
  await using guest = Guest.start(kind, setup, bench.place);
  await waitUntilReady(guest);
  guest.write(`hold ${touchedMegabytes} &\n`);
  await guest.waitFor(/bench: holds/, limitMs.work);
  const touched = residentRam(guest.pid, setup);
  if (touched < touchedMegabytes * 2 ** 20) throw new Error(`only ${touched} bytes of the RAM are there`);
  const all = shareOf(guest.pid);
  return {
    memory: (all - touched) / megabyte,
    'memory all': all / megabyte,
    'memory touched': touched / megabyte,
  };
}

/** The guest's RAM in the process: in QEMU a mapping of just that size, in ours the end of the machine's one memory. */
function residentRam(pid: number, { harts, ramBytes }: MachineSetup): number {
  const { totalBytes, ram } = layout(harts, ramBytes);
  const mappings = mappingsOf(pid);
  const whole = mappings.find(({ bytes }) => bytes === ramBytes);
  if (whole !== undefined) return whole.residentBytes;
  const own = mappings.find(({ bytes }) => bytes === totalBytes);
  if (own === undefined) throw new Error('the memory of the guest is not found in the process');
  return residentBytes(pid, own.start + ram, ramBytes);
}

interface Mapping {
  readonly start: number;
  readonly bytes: number;
  readonly residentBytes: number;
}

/** proc(5), smaps. */
function mappingsOf(pid: number): readonly Mapping[] {
  const text = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  return [...text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) [\s\S]*?^Rss:\s+(\d+) kB/gm)].map(([, start, end, resident]) => ({
    start: Number(`0x${start}`),
    bytes: Number(`0x${end}`) - Number(`0x${start}`),
    residentBytes: Number(resident) * 1024,
  }));
}

/** Pages that are present or swapped out (the kernel's Documentation/admin-guide/mm/pagemap.rst, bits 63 and 62). */
function residentBytes(pid: number, start: number, bytes: number): number {
  const entries = Buffer.alloc((bytes / pageBytes) * 8);
  const file = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    readSync(file, entries, 0, entries.length, (start / pageBytes) * 8);
  } finally {
    closeSync(file);
  }
  let pages = 0;
  for (let at = 7; at < entries.length; at += 8) if ((entries[at]! & 0xc0) !== 0) pages++;
  return pages * pageBytes;
}

/** proc(5), smaps_rollup. */
function shareOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
