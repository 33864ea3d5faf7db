// holmd as a process, for the scripts: where it lives, whether it runs, starting it in the background, ending it.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfiguration } from '../src/engine/configuration.ts';
import { ping } from './engine-client.ts';

export const projectRoot: string = join(import.meta.dirname, '..');

const configuration = readConfiguration([], process.env);
const state = configuration.stateDirectory;

interface DaemonPaths {
  readonly state: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly log: string;
}

/** The places of the system's holmd. Its guests survive it: nothing here may be removed to "start afresh". */
export const daemonPaths: DaemonPaths = {
  state,
  socket: configuration.socketPath,
  pidFile: join(configuration.runDirectory, 'holmd.pid'),
  log: join(state, 'holmd.log'),
};

/** The pid of the running holmd. A pid file that names a process which is not holmd is an old one: undefined. */
export function findDaemon(pidFile: string = daemonPaths.pidFile): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 && isDaemon(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isDaemon(pid: number): boolean {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    return title.startsWith('holmd') || (title.includes('--title=holmd') && title.includes('daemon'));
  } catch {
    return false;
  }
}

/** Starts holmd in the background, its output in the log, and gives its pid once its socket answers. */
export async function startDaemon(): Promise<number> {
  mkdirSync(state, { recursive: true, mode: 0o711 });
  const log = openSync(daemonPaths.log, 'a', 0o600);
  const child = spawn(join(projectRoot, 'bin/holmd'), [], { cwd: '/', detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  let end: string | undefined;
  child.on('error', (error) => {
    end = error.message;
  });
  child.on('exit', (code, signal) => {
    end = signal === null ? `it ended with ${code}` : `it was ended by ${signal}`;
  });
  const deadline = Date.now() + 60_000;
  while (!(await ping(daemonPaths.socket))) {
    if (end !== undefined) throw new Error(`holmd did not start: ${end}\n${lastLines(daemonPaths.log, 15)}`);
    if (Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`holmd did not answer within 60 s\n${lastLines(daemonPaths.log, 15)}`);
    }
    await sleep(25);
  }
  child.unref();
  return child.pid ?? 0;
}

/** Ends holmd and waits until it is gone; its guests run on. */
export async function stopDaemon(pid: number, timeoutMs = 20_000): Promise<void> {
  process.kill(pid, 'SIGTERM');
  const deadline = Date.now() + timeoutMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) throw new Error(`holmd (${pid}) did not end within ${timeoutMs / 1000} s of SIGTERM`);
    await sleep(25);
  }
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return true;
  } catch {
    return false;
  }
}

function lastLines(path: string, count: number): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}
