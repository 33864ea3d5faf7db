// What a shared directory asks of Node, a call or two each: paths by descriptor, what a node is, errors by their number.
import * as fs from 'node:fs';
import { errno, FsError } from '../../devices/fs/errno.ts';
import type { HostNode, Place } from '../../devices/fs/host-directory.ts';

/** A node of the tree, held by an O_PATH descriptor. */
export interface Node extends HostNode {
  readonly fd: number;
  readonly key: string;
  /** Of a link, which never changes. */
  readonly target: Uint8Array | undefined;
}

export function selfPath(node: Node): string {
  return `/proc/self/fd/${node.fd}`;
}

export function pathOf({ parent, name }: Place): Buffer {
  return Buffer.concat([Buffer.from(`${selfPath(parent as Node)}/`), name]);
}

/** The target of the link at `path`, if the node `key` still stands there once it was read. */
export function targetOf(path: Buffer, key: string): Uint8Array {
  const target = fs.readlinkSync(path, { encoding: 'buffer' });
  const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && keyOf(stats) === key ? target : fail(errno.ESTALE);
}

export function keyOf(stats: fs.BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

export function kindOf(stats: fs.BigIntStats): HostNode['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

/** As in `struct dirent`. */
export function typeOf(entry: fs.Dirent<Buffer>): number {
  if (entry.isFile()) return 8;
  if (entry.isDirectory()) return 4;
  if (entry.isSymbolicLink()) return 10;
  if (entry.isFIFO()) return 1;
  if (entry.isCharacterDevice()) return 2;
  if (entry.isBlockDevice()) return 6;
  return entry.isSocket() ? 12 : 0;
}

/** As Node wants times; a microsecond is lost at most. */
export function secondsOf(time: bigint | 'now'): number {
  return time === 'now' ? Date.now() / 1e3 : Number(time) / 1e9;
}

/** Node would take a position that it cannot hold for "the current one". */
export function positionOf(offset: number): number {
  return Number.isSafeInteger(offset) ? offset : fail(errno.EINVAL);
}

export function fail(number: number): never {
  throw new FsError(number);
}

/** Does `work`; an error of the system keeps its number. */
export function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FsError) throw error;
    const number = (error as NodeJS.ErrnoException).errno;
    throw new FsError(number === undefined ? errno.EINVAL : -number);
  }
}

/** Whether this process has CAP_CHOWN, the lowest bit of its effective capabilities. */
export function canChangeOwners(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & 1n) === 1n;
}
