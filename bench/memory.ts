// The memory of an engine: its daemon, and what it has beside its daemon for its containers (shims, monitors, guards). The
// containers' own processes do not count; they are those in another pid namespace.
import { readFileSync, readlinkSync } from 'node:fs';
import type { Engine } from './engines/engine.ts';

export interface EngineMemory {
  /** Resident memory of the daemon. */
  readonly daemonBytes: number;
  /** Proportional share (PSS) of all other processes of the engine together. */
  readonly helpersBytes: number;
}

export function memoryOf(engine: Engine): EngineMemory {
  const own = readlinkSync('/proc/self/ns/pid');
  const helpers = engine.group.pids().filter((pid) => pid !== engine.pid && isIn(pid, own));
  return {
    daemonBytes: kilobytes(`/proc/${engine.pid}/status`, 'VmRSS') * 1024,
    helpersBytes: helpers.reduce((sum, pid) => sum + kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss') * 1024, 0),
  };
}

function isIn(pid: number, namespace: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
  } catch {
    return false; // It has just ended.
  }
}

function kilobytes(file: string, key: string): number {
  try {
    return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // It has just ended.
  }
}
