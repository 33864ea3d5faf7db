// Removes by force what a private holmd of the tests left on the host: after a failure only, so that the next test file
// starts on clean ground. It touches nothing that does not bear that daemon's own names.
import { readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../../scripts/command.ts';
import type { Names } from './daemon.ts';

/** Kills its processes, unmounts, removes its cgroups, its bridge and its nftables table. */
export async function sweep(names: Names): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const pid of processesOf(names)) kill(pid);
    await sleep(100);
  }
  for (const point of mountsBelow(names.directory)) await command(['umount', '-l', point]);
  for (const directory of cgroupsOf(names.cgroupParent)) removeDirectory(directory);
  await command(['ip', 'link', 'delete', names.bridge]);
  for (const table of await tablesOf(names.bridge)) await command(['nft', 'delete', 'table', ...table.split(' ')]);
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
  const roots = ['/sys/fs/cgroup', ...entriesOf('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  return roots.map((root) => join(root, parent)).flatMap((directory) => [...below(directory), directory]);
}

function entriesOf(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function tablesOf(bridge: string): Promise<readonly string[]> {
  const listed = await command(['nft', 'list', 'tables']);
  const tables = listed.stdout.split('\n').flatMap((line) => /^table (\S+ \S+)$/.exec(line)?.[1] ?? []);
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
