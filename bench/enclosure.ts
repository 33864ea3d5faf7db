// Where a benchmark happens: a pid and a mount namespace, a directory and cgroups of its own. However it ends, be it killed,
// the kernel ends every process in it and drops every mount; what is left, directories and cgroups, is removed here.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildKeeper } from '../scripts/build-keeper.ts';
import { cgroupRoots, removeGroups } from './engine-group.ts';
import type { Place } from './engines/engine.ts';

/** On a disk: /tmp may be a tmpfs. */
const parent = '/var/tmp';
const prefix = 'holm-bench-';

/** Runs a script with arguments in an enclosure, where `enclosedPlace()` finds its place; gives its exit code. */
export async function runEnclosed(script: string, args: readonly string[]): Promise<number> {
  // The keeper's tiny init reaps what engines leave to the first process of their pid namespace.
  const init = [await buildKeeper(), 'init', '--'];
  const directory = mkdtempSync(join(parent, prefix));
  const name = directory.slice(parent.length + 1);
  try {
    mkdirSync(join(directory, 'run'));
    const argv = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const child = spawn('unshare', [...argv, ...init, process.execPath, script, directory, name, ...args], {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    // On a terminal, Ctrl-C reaches the child too; it ends in order, and then so does this process.
    process.on('SIGINT', () => {});
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.disconnect());
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
    });
  } finally {
    await removeRemains(directory, name);
  }
}

/** In the enclosure: its place, and the arguments that are the script's own. Ends this process if the outer one has gone. */
export function enclosedPlace(): { place: Place; args: readonly string[] } {
  const [directory = '', cgroup = '', ...args] = process.argv.slice(2);
  process.once('disconnect', () => process.exit(1));
  process.channel?.unref();
  return { place: { directory, run: join(directory, 'run'), cgroup }, args };
}

/** Removes what earlier benchmarks left that were killed from outside. */
export async function removeOldRemains(): Promise<void> {
  const used = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(commandLineOf);
  const names = new Set(
    [parent, ...cgroupRoots()].flatMap((directory) => readdirSync(directory).filter((name) => name.startsWith(prefix))),
  );
  for (const name of names) {
    if (!used.some((line) => line.includes(name))) await removeRemains(join(parent, name), name);
  }
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

// The kernel takes a moment to end all processes of a pid namespace.
async function removeRemains(directory: string, name: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    removeGroups(name);
    if (!cgroupRoots().some((root) => readdirSync(root).includes(name))) break;
    await sleep(50);
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
