// A read-only look at the union of layers without mounting it: what a name is, and the text of small files such as
// /etc/passwd. Symbolic links are followed within the root only, so a hostile image cannot point the engine at the host.
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { HolmError, hasCode } from '../base/error.ts';
import { O_PATH } from '../kernel/constants.ts';

const mostLinks = 40;
const mostTextBytes = 4 << 20;

export class RootView {
  readonly #directories: readonly string[];

  /** Directories highest first: the container's own changes, then the layers from the top. */
  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** What stands at `path` after following links, and in which directory; undefined if nothing. */
  find(path: string): { stats: Stats; hostPath: string; path: string } | undefined {
    const left = split(path);
    const done: string[] = [];
    let links = 0;
    let last = this.#lookup([]);
    while (left.length > 0) {
      const name = left.shift()!;
      if (name === '..') {
        done.pop();
        last = this.#lookup(done);
        continue;
      }
      const found = this.#lookup([...done, name]);
      if (found === undefined) return undefined;
      if (found.stats.isSymbolicLink()) {
        if (++links > mostLinks) throw new HolmError('invalid', `Cannot look up "${path}": too many symbolic links`);
        const target = readlinkSync(found.hostPath);
        if (target.startsWith('/')) done.length = 0;
        left.unshift(...split(target));
        last = this.#lookup(done);
        continue;
      }
      if (left.length > 0 && !found.stats.isDirectory()) return undefined;
      done.push(name);
      last = found;
    }
    return last === undefined ? undefined : { ...last, path: `/${done.join('/')}` };
  }

  /** The text of a regular file of at most 4 MiB; undefined if there is none. */
  readText(file: string): string | undefined {
    const found = this.find(file);
    if (found === undefined || !found.stats.isFile()) return undefined;
    // The guest may put a device in its place meanwhile: it is looked at before it is opened.
    const path = openSync(found.hostPath, O_PATH | constants.O_NOFOLLOW);
    try {
      const stats = fstatSync(path);
      if (!stats.isFile()) return undefined;
      if (stats.size > mostTextBytes) throw new HolmError('invalid', `Cannot read "${file}": it is larger than 4 MiB`);
      return readAtMost(`/proc/self/fd/${path}`);
    } finally {
      closeSync(path);
    }
  }

  /** The topmost entry of a path whose parents hold no links. Whiteouts hide what lies below; opaque
   * directories do not, as their mark is an extended attribute, which Node cannot read. */
  #lookup(names: readonly string[]): { stats: Stats; hostPath: string } | undefined {
    let visible = this.#directories;
    let first: { stats: Stats; hostPath: string } | undefined;
    for (const [at, name] of ['', ...names].entries()) {
      first = undefined;
      const below: string[] = [];
      const prefix = names.slice(0, Math.max(0, at - 1)).join('/');
      for (const directory of visible) {
        const hostPath = at === 0 ? directory : `${directory}/${prefix === '' ? '' : `${prefix}/`}${name}`;
        const stats = lstat(hostPath);
        if (stats === undefined) continue;
        if (isWhiteout(stats)) break;
        first ??= { stats, hostPath };
        if (!stats.isDirectory()) break;
        below.push(directory);
      }
      if (first === undefined) return undefined;
      visible = below;
    }
    return first;
  }
}

function readAtMost(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.allocUnsafe(mostTextBytes);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, mostTextBytes, 0));
  } finally {
    closeSync(fd);
  }
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}

function lstat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
