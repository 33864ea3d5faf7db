// What a private holmd of the tests is called on the host, and how that is removed: gently after an orderly end, by force after a
// failure, so that the next test file starts on clean ground. Touches nothing that does not bear these names. Synchronous,
// for it must work while the test's process exits.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a private holmd is known by on the host. */
export interface Names {
  readonly directory: string;
  readonly bridge: string;
  readonly cgroupParent: string;
}

const prefix = join(tmpdir(), 'holm-test-');

/** Makes a directory for a private holmd; its other names follow from it. What tests that were killed left is swept first. */
export function makeNames(): Names {
  sweepStale();
  const directory = mkdtempSync(prefix);
  writeFileSync(join(directory, 'test.pid'), String(process.pid));
  return namesOf(directory);
}

function namesOf(directory: string): Names {
  const suffix = directory.slice(prefix.length).toLowerCase();
  return { directory, bridge: `ht${suffix}`, cgroupParent: `holm-test-${suffix}` };
}

function sweepStale(): void {
  for (const name of entriesOf(tmpdir())) {
    const directory = join(tmpdir(), name);
    const pid = readText(join(directory, 'test.pid'));
    if (directory.startsWith(prefix) && pid !== '' && readText(`/proc/${pid}/comm`) === '') sweep(namesOf(directory));
  }
}

/**
 * Removes what holmd keeps for its next start when it ends in an orderly way: the bridge, the nftables table, its cgroup.
 * A cgroup that still has a guest's in it stays.
 */
export function dismantle(names: Names): void {
  for (const parent of cgroupParents(names.cgroupParent)) removeDirectory(parent);
  run('ip', 'link', 'delete', names.bridge);
  for (const table of tablesOf(names.bridge)) run('nft', 'delete', 'table', ...table.split(' '));
}

/** Kills its processes, unmounts, removes its cgroups, its bridge, its nftables table and its directory. */
export function sweep(names: Names): void {
  for (let round = 0; round < 20; round++) {
    const pids = processesOf(names);
    if (pids.length === 0) break;
    for (const pid of pids) kill(pid);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  for (const point of mountsBelow(names.directory)) run('umount', '-l', point);
  for (const directory of cgroupsOf(names.cgroupParent)) removeDirectory(directory);
  dismantle(names);
  rmSync(names.directory, { recursive: true, force: true });
}

function run(...argv: readonly [string, ...string[]]): string {
  const [file, ...rest] = argv;
  return spawnSync(file, rest, { encoding: 'utf8', timeout: 10_000 }).stdout ?? '';
}

// By an open file or an argument below its directory, or by its cgroup.
function processesOf(names: Names): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      if (readText(`/proc/${pid}/cgroup`).includes(`/${names.cgroupParent}/`)) return true;
      if (readText(`/proc/${pid}/cmdline`).includes(`${names.directory}/`)) return true;
      return linksOf(`/proc/${pid}/fd`).some((target) => target.startsWith(`${names.directory}/`));
    })
    .map(Number)
    .filter((pid) => !ancestors().has(pid));
}

// The test itself and its runner may hold files there too.
function ancestors(): ReadonlySet<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 1 && !found.has(pid); ) {
    found.add(pid);
    pid = Number(/^PPid:\s*(\d+)$/m.exec(readText(`/proc/${pid}/status`))?.[1] ?? 1);
  }
  return found;
}

function mountsBelow(directory: string): readonly string[] {
  const points = readText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point.startsWith(`${directory}/`)).reverse();
}

// Deepest first, as rmdir(2) wants.
function cgroupsOf(parent: string): readonly string[] {
  const below = (directory: string): readonly string[] =>
    entriesOf(directory).flatMap((name) => [...below(join(directory, name)), join(directory, name)]);
  return cgroupParents(parent).flatMap((directory) => below(directory));
}

// In every hierarchy of version 1 and in version 2's.
function cgroupParents(parent: string): readonly string[] {
  const roots = ['/sys/fs/cgroup', ...entriesOf('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  return roots.map((root) => join(root, parent));
}

function entriesOf(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

function tablesOf(bridge: string): readonly string[] {
  const tables = run('nft', 'list', 'tables')
    .split('\n')
    .flatMap((line) => /^table (\S+ \S+)$/.exec(line)?.[1] ?? []);
  return tables.filter((table) => table.includes(bridge));
}

function linksOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((name) => readlinkSync(join(directory, name)));
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // It is gone, or was never there.
  }
}
