// What a run could leave behind on the host: mounts, links, cgroups, nftables tables, processes, namespaces, temporary
// directories. Take a snapshot before, compare after. Read only; needs root to see all namespaces.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../../scripts/command.ts';

/** Of each kind of thing, what there is. */
export type Snapshot = Readonly<Record<string, ReadonlySet<string>>>;

export async function takeSnapshot(): Promise<Snapshot> {
  return {
    mount: new Set(mounts()),
    link: new Set(readNames('/sys/class/net')),
    cgroup: new Set(cgroups()),
    'nftables table': new Set(await tables()),
    process: new Set(processes()),
    namespace: new Set(namespaces()),
    'temporary directory': new Set(
      readNames(tmpdir())
        .filter((name) => name.startsWith('holm-'))
        .map((name) => join(tmpdir(), name)),
    ),
  };
}

/** What is there now and was not before, a sentence each. `isOurs` picks; all by default. */
export function findLeftovers(
  before: Snapshot,
  after: Snapshot,
  isOurs: (thing: string) => boolean = () => true,
): readonly string[] {
  return Object.entries(after).flatMap(([kind, things]) =>
    [...things].filter((thing) => !before[kind]?.has(thing) && isOurs(thing)).map((thing) => `${kind} ${thing}`),
  );
}

/** Gives what is left once the kernel has had time to finish: it removes namespaces and their links after their last user left. */
export async function settleLeftovers(
  before: Snapshot,
  isOurs?: (thing: string) => boolean,
  timeoutMs = 10_000,
): Promise<readonly string[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = findLeftovers(before, await takeSnapshot(), isOurs);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(100);
  }
}

// "36 35 98:0 /root /mount/point rw … - ext4 /dev/sda rw": point, type and source tell a mount apart across runs.
function mounts(): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      return `${before.split(' ')[4]} (${after.split(' ').slice(0, 2).join(' ')})`;
    });
}

// All directories two levels below every hierarchy's root: holm's own groups and those of its guests.
function cgroups(): readonly string[] {
  const found: string[] = [];
  const visit = (directory: string, depth: number): void => {
    for (const entry of readEntries(directory)) {
      if (!entry.isDirectory()) continue;
      const path = join(directory, entry.name);
      found.push(path);
      if (depth > 0) visit(path, depth - 1);
    }
  };
  visit('/sys/fs/cgroup', 3);
  return found;
}

async function tables(): Promise<readonly string[]> {
  const listed = await command(['nft', 'list', 'tables'], { timeoutMs: 10_000 });
  return listed.code === 0 ? listed.stdout.split('\n').filter((line) => line.startsWith('table ')) : [];
}

// Processes that are holm's by their title or their program: "1234 holm-guard 5f2a…".
function processes(): readonly string[] {
  return pids().flatMap((pid) => {
    const title = readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    return /^holm|\/holm-keeper|--title=holmd/.test(title) ? [`${pid} ${title}`] : [];
  });
}

function namespaces(): readonly string[] {
  const found = new Set<string>();
  for (const pid of pids()) {
    for (const name of readNames(`/proc/${pid}/ns`)) {
      try {
        found.add(readlinkSync(`/proc/${pid}/ns/${name}`));
      } catch {
        // The process has just ended.
      }
    }
  }
  return [...found];
}

function pids(): readonly string[] {
  return readNames('/proc').filter((name) => /^\d+$/.test(name));
}

function readNames(directory: string): readonly string[] {
  return readEntries(directory).map((entry) => entry.name);
}

function readEntries(directory: string): readonly { name: string; isDirectory(): boolean }[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
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
