// What a container writes, into docker's json-file log, and the log read back: MiB of the container's own bytes a second.
import { performance } from 'node:perf_hooks';
import type { Engine } from '../engines/engine.ts';
import { create, remove, start, wait } from './bench.ts';
import type { Measure, Row, Sample } from './measure.ts';

const mebibyte = 1 << 20;

interface Kind {
  readonly row: string;
  readonly lineBytes: number;
  readonly mebibytes: { readonly full: number; readonly quick: number };
}

const kinds: readonly Kind[] = [
  { row: 'log 80', lineBytes: 80, mebibytes: { full: 64, quick: 16 } },
  { row: 'log 2', lineBytes: 2, mebibytes: { full: 4, quick: 2 } },
];

const rowsOf = ({ row, lineBytes }: Kind): Row[] => [
  {
    name: row,
    title: `json-file log of ${lineBytes}-byte lines, written`,
    unit: 'MiB/s',
    better: 'more',
    aims: [
      { of: 'holm', against: 'dockerd', factor: 4 },
      { of: 'holm', against: 'podman', factor: 1 },
    ],
  },
  {
    name: `${row} read`,
    title: `json-file log of ${lineBytes}-byte lines, read back`,
    unit: 'MiB/s',
    better: 'more',
    aims: [{ of: 'holm', against: 'dockerd', factor: 5 }],
  },
];

export const logMeasure: Measure = {
  name: 'logs',
  rows: kinds.flatMap(rowsOf),
  rounds: { full: 3, quick: 2 },
  warmUp: 0,
  open: async ({ engines, quick }) =>
    engines.map((engine) => ({ name: engine.name, sample: () => writeAndRead(engine, quick) })),
};

async function writeAndRead(engine: Engine, quick: boolean): Promise<Sample> {
  const sample: Record<string, number> = {};
  for (const { row, lineBytes, mebibytes } of kinds) {
    const amount = quick ? mebibytes.quick : mebibytes.full;
    const id = await create(engine, ['emit', String(amount * mebibyte), String(lineBytes)], {
      HostConfig: { LogConfig: { Type: 'json-file', Config: {} } },
    });
    const begin = performance.now();
    await start(engine, id);
    await wait(engine, id);
    const written = performance.now();
    const bytes = await readLog(engine, id);
    const read = performance.now();
    await remove(engine, id);
    if (bytes < amount * mebibyte) throw new Error(`The log has ${bytes} of ${amount * mebibyte} bytes`);
    sample[row] = amount / ((written - begin) / 1000);
    sample[`${row} read`] = amount / ((read - written) / 1000);
  }
  return sample;
}

/** Reads a whole log; gives the bytes of the container in it, without docker's headers of 8 bytes a frame. */
async function readLog({ api }: Engine, id: string): Promise<number> {
  const counter = new FrameCounter();
  await api.call('GET', `/containers/${id}/logs?stdout=1&stderr=1`, { onBody: (chunk) => counter.take(chunk) });
  return counter.bytes;
}

/** Counts the content of docker's frames: a byte for the stream, three of zero, a length, the content. */
export class FrameCounter {
  bytes = 0;
  #left = 0;
  #header: Buffer = Buffer.alloc(0);

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const used = Math.min(this.#left, chunk.length - at);
        this.#left -= used;
        this.bytes += used;
        at += used;
        continue;
      }
      const missing = 8 - this.#header.length;
      if (missing === 8 && chunk.length - at >= 8) {
        this.#left = chunk.readUInt32BE(at + 4);
        at += 8;
        continue;
      }
      const part = chunk.subarray(at, at + missing);
      this.#header = Buffer.concat([this.#header, part]);
      at += part.length;
      if (this.#header.length < 8) continue;
      this.#left = this.#header.readUInt32BE(4);
      this.#header = Buffer.alloc(0);
    }
  }
}
