// Directories to plain tars, written by a child of the keeper that is confined to the directory. The same tree gives the
// same bytes: entries are sorted by name.
import { Readable } from 'node:stream';
import type { Kernel } from '../kernel/kernel.ts';
import { connection, step } from '../kernel/steps.ts';
import { confine } from './confine.ts';

export interface PackOptions {
  /** Overlay's whiteouts become those of OCI layers: the directory is an upper one. */
  readonly convertWhiteouts?: boolean;
  readonly crossFileSystems?: boolean;
  /** Seconds since 1970; nothing in the tar is younger. */
  readonly mostTime?: number;
}

/** Flags of the keeper's pack (docs/keeper.md). */
const flags = { whiteouts: 1, oneFileSystem: 4, hardLinks: 8 } as const;

/** The content of a directory as a plain tar. Destroying the stream ends the child. */
export function packDirectory(kernel: Kernel, directory: string, options: PackOptions = {}): Readable {
  const chosen =
    flags.hardLinks |
    (options.convertWhiteouts === true ? flags.whiteouts : 0) |
    (options.crossFileSystems === true ? 0 : flags.oneFileSystem);
  return Readable.from(pack(kernel, directory, chosen, options.mostTime ?? -1), {
    objectMode: false,
    highWaterMark: 1024 * 1024,
  });
}

async function* pack(kernel: Kernel, directory: string, chosen: number, mostTime: number): AsyncGenerator<Uint8Array> {
  const fork = kernel.fork([
    ...confine(directory),
    step('pack', [connection, '/', chosen, mostTime], `pack "${directory}"`),
  ]);
  try {
    yield* fork.output;
    await fork.outcome;
  } finally {
    fork.close();
  }
}
