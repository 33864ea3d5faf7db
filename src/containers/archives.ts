// Files of a container, in and out (docker cp, export, diff, commit). The work is done by a child of the keeper inside the
// container's own root (roots.ts), so a path, whatever links stand in it, leads nowhere else.
import { existsSync, statSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { HolmError } from '../base/error.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, errno, O_CLOEXEC, O_PATH, RESOLVE_IN_ROOT } from '../kernel/constants.ts';
import { StepError } from '../kernel/keeper.ts';
import { connection, type Program, register, step } from '../kernel/steps.ts';
import type { BindMount } from '../mounts/mount.ts';
import { openHow } from '../mounts/overlay.ts';
import { RootView } from '../rootfs/view.ts';
import { treeBytes } from '../volumes/volumes.ts';
import type { Container } from './container.ts';
import { isUp } from './container.ts';
import { depthOf } from './default-mounts.ts';
import type { Facilities } from './facilities.ts';
import type { PathStat } from './requests.ts';
import { enterRoot, mostUnpackedBytes, mostUnpackedEntries, packFlags, unpackFlags } from './roots.ts';

const statxBytes = 256;
const statxBasicStats = 0x7ff;
const linkBytes = 4096;

export type ChangeKind = 'modified' | 'added' | 'deleted';

/** What stands at a path of a container; a final link itself, not its target. Throws notFound. */
export async function statPath(facilities: Facilities, container: Container, path: string): Promise<PathStat> {
  const entering = enter(facilities, container);
  const at = normalize(path);
  const fork = facilities.kernel.fork([
    ...entering,
    step('statx', [AT_FDCWD, at, AT_SYMLINK_NOFOLLOW, statxBasicStats, { outBytes: statxBytes }], `read "${path}"`),
    step('readlinkat', [AT_FDCWD, at, { outBytes: linkBytes }, linkBytes], 'read the link', {
      tolerate: [errno.EINVAL],
      result: register(5),
    }),
  ]);
  try {
    const outcome = await fork.outcome;
    const link = outcome.register(register(5));
    const target = link > 0 ? Buffer.from(outcome.output(entering.length + 1) ?? []).toString('utf8', 0, link) : '';
    return decodeStat(at, Buffer.from(outcome.output(entering.length)!), target);
  } catch (error) {
    throw withoutPath(error, container, path);
  }
}

/** A path of a container as a tar, named by its last component. */
export async function readArchive(
  facilities: Facilities,
  container: Container,
  path: string,
): Promise<{ stat: PathStat; tar: Readable }> {
  const stat = await statPath(facilities, container, path);
  const fork = facilities.kernel.fork([
    ...enter(facilities, container),
    step(
      'pack',
      [connection, normalize(path), packFlags.namedByLastComponent | packFlags.hardLinks, -1],
      `read "${path}"`,
    ),
  ]);
  fork.outcome.catch(() => undefined);
  return { stat, tar: fork.output as Readable };
}

/** Unpacks a tar into a directory of a container. */
export async function writeArchive(
  facilities: Facilities,
  container: Container,
  path: string,
  tar: Readable,
  options: { noOverwriteDirNonDir: boolean },
): Promise<void> {
  if (container.config.readOnlyRoot && isUp(container)) {
    throw new HolmError('denied', 'container rootfs is marked read-only');
  }
  const flags = options.noOverwriteDirNonDir ? unpackFlags.keepKinds : 0;
  const fork = facilities.kernel.fork([
    ...enter(facilities, container),
    step('openat2', [AT_FDCWD, normalize(path), openHow(O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT), 24], `open "${path}"`, {
      result: register(5),
    }),
    step('fchdir', [register(5)], `enter "${path}"`),
    step('unpack', [connection, flags, mostUnpackedBytes, mostUnpackedEntries], `unpack into "${path}"`),
  ]);
  tar.on('error', () => fork.close());
  tar.pipe(fork.input);
  try {
    await fork.outcome;
  } catch (error) {
    tar.unpipe();
    if (error instanceof StepError && error.errno === errno.ENOTDIR)
      throw new HolmError('invalid', `extraction point is not a directory`, { cause: error });
    throw withoutPath(error, container, path);
  }
}

/** What a container changed of its image's files. */
export async function changesOf(container: Container): Promise<{ path: string; kind: ChangeKind }[]> {
  const below = new RootView(container.lowerDirectories);
  const changes: { path: string; kind: ChangeKind }[] = [];
  const walk = async (path: string): Promise<boolean> => {
    let changed = false;
    for (const entry of (await readdir(`${container.upperDirectory}${path}`)).toSorted()) {
      const inner = `${path}/${entry}`;
      const stats = await lstat(`${container.upperDirectory}${inner}`);
      const before = below.find(inner);
      if (stats.isCharacterDevice() && stats.rdev === 0) changes.push({ path: inner, kind: 'deleted' });
      else if (before === undefined) changes.push({ path: inner, kind: 'added' });
      const at = changes.length;
      const innerChanged = stats.isDirectory() && (await walk(inner));
      // A directory that is only there because something in it changed counts as modified, before what is in it.
      if (
        before !== undefined &&
        !(stats.isCharacterDevice() && stats.rdev === 0) &&
        (innerChanged || !isSame(stats, before.stats) || !stats.isDirectory())
      ) {
        changes.splice(at, 0, { path: inner, kind: 'modified' });
      }
      changed = true;
    }
    return changed;
  };
  await walk('');
  return changes;
}

function isSame(
  a: { mode: number; uid: number; gid: number; mtimeMs: number },
  b: { mode: number; uid: number; gid: number; mtimeMs: number },
): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtimeMs === b.mtimeMs;
}

/** Bytes of a container's own changes. */
export function writableBytes(container: Container): Promise<number> {
  return treeBytes(container.upperDirectory);
}

function enter(facilities: Facilities, container: Container): Program {
  const volumes: BindMount[] = container.mountPoints
    .toSorted((a, b) => depthOf(a.target) - depthOf(b.target))
    .filter((point) => point.kind !== 'tmpfs' && existsSync(point.source))
    .map((point) => ({
      kind: 'bind',
      source: point.source,
      ...(point.subpath === undefined ? {} : { subpath: point.subpath }),
      target: point.target,
      isFile: !statSync(point.subpath === undefined ? point.source : `${point.source}/${point.subpath}`).isDirectory(),
      recursive: true,
      readOnly: point.readOnly,
      propagation: 'rprivate',
      why: 'as the container has it',
    }));
  return enterRoot(facilities, container, isUp(container) ? container.state.pid : undefined, volumes);
}

function normalize(path: string): string {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  return absolute.length > 1 ? absolute.replace(/\/+$/, '') || '/' : absolute;
}

/** Docker's words for a path that is not there. */
function withoutPath(error: unknown, container: Container, path: string): unknown {
  if (!(error instanceof StepError) || error.errno !== errno.ENOENT) return error;
  return new HolmError('notFound', `Could not find the file ${path} in container ${container.id}`, { cause: error });
}

// Go's os.FileMode.
const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  charDevice: 2 ** 21,
  sticky: 2 ** 20,
} as const;
const goTypes: Record<number, number> = {
  4: goMode.directory,
  10: goMode.symlink,
  6: goMode.device,
  2: goMode.device + goMode.charDevice,
  1: goMode.pipe,
  12: goMode.socket,
};

/** struct statx (linux/stat.h): stx_mode at 28, stx_size at 40, stx_mtime at 112. */
function decodeStat(path: string, bytes: Buffer, linkTarget: string): PathStat {
  const mode = bytes.readUInt16LE(28);
  const special =
    (mode & 0o4000 ? goMode.setuid : 0) + (mode & 0o2000 ? goMode.setgid : 0) + (mode & 0o1000 ? goMode.sticky : 0);
  return {
    name: path === '/' ? '/' : path.slice(path.lastIndexOf('/') + 1),
    sizeBytes: Number(bytes.readBigUInt64LE(40)),
    mode: (goTypes[mode >> 12] ?? 0) + special + (mode & 0o777),
    modifiedAt: bytes.readBigInt64LE(112) * 1_000_000_000n + BigInt(bytes.readUInt32LE(120)),
    linkTarget,
  };
}
