// What the host is: for `info` and `doctor`.

import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import { type Hierarchies, modeOf } from '../cgroups/hierarchy.ts';

export interface HostFacts {
  readonly id: string;
  readonly name: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly operatingSystemVersion: string;
  /** As uname -m says it: "x86_64". */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: 1 | 2;
  readonly storageDriver: string;
  readonly rootDirectory: string;
  readonly securityOptions: readonly string[];
  readonly labels: readonly string[];
  readonly warnings: readonly string[];
}

const machines: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };

export function readHostFacts(hierarchies: Hierarchies, stateDirectory: string): HostFacts {
  const system = parseOsRelease();
  return {
    id: readId(`${stateDirectory}/engine-id`),
    name: hostname(),
    kernelVersion: release(),
    operatingSystem: system.PRETTY_NAME ?? 'Linux',
    operatingSystemVersion: system.VERSION_ID ?? '',
    architecture: machines[arch()] ?? arch(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    cgroupVersion: modeOf(hierarchies) === 'v2' ? 2 : 1,
    storageDriver: 'overlay2',
    rootDirectory: stateDirectory,
    securityOptions: ['name=seccomp,profile=builtin', ...(modeOf(hierarchies) === 'v2' ? ['name=cgroupns'] : [])],
    labels: [],
    warnings: [],
  };
}

/** Made once, so that clients know this engine again. */
function readId(path: string): string {
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  const id = randomUUID();
  mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true });
  writeFileSync(path, `${id}\n`);
  return id;
}

/** os-release(5). */
function parseOsRelease(): Record<string, string | undefined> {
  const path = ['/etc/os-release', '/usr/lib/os-release'].find((candidate) => existsSync(candidate));
  if (path === undefined) return {};
  const rows = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => /^([A-Z_]+)="?(.*?)"?$/.exec(line));
  return Object.fromEntries(rows.filter((row) => row !== null).map((row) => [row[1], row[2]]));
}
