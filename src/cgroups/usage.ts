// What a group used so far, from its accounting files: a handful of small reads, as this is asked for every second.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { nowNanos } from '../base/clock.ts';
import type { GroupUsage, ReadFile } from './controller.ts';
import { cpu, cpuUsageV1, cpuUsageV2 } from './cpu.ts';
import { type Hierarchies, locate } from './hierarchy.ts';
import { io, ioUsageV1, ioUsageV2 } from './io.ts';
import { memory, memoryUsageV1, memoryUsageV2 } from './memory.ts';
import { pidsUsage } from './pids.ts';

/** Reads a group's usage; zeros where a controller is missing or the group is gone. */
export function readUsage(
  hierarchies: Hierarchies,
  path: string,
  read: (path: string) => string = readOrEmpty,
): GroupUsage {
  const version = (controller: { v1: string; v2?: string }): 1 | 2 | undefined =>
    locate(hierarchies, controller, path)?.version;
  const readFile: ReadFile = (controller, file) => {
    // The two versions name only one controller differently, and v1 alone has cpuacct.
    const found = locate(hierarchies, { v1: controller === 'io' ? 'blkio' : controller, v2: controller }, path);
    return found === undefined ? '' : read(`${found.directory}/${file}`);
  };
  const hostBytes = totalmem();
  return {
    readAt: nowNanos(),
    ...hostCpu(read('/proc/stat')),
    ...(version(cpu) === 1 ? cpuUsageV1(readFile) : cpuUsageV2(readFile)),
    ...(version(memory) === 1 ? memoryUsageV1(readFile, hostBytes) : memoryUsageV2(readFile, hostBytes)),
    ...pidsUsage(readFile),
    blockIo: version(io) === 1 ? ioUsageV1(readFile) : ioUsageV2(readFile),
  };
}

/** Files to be read at a guest's end, before its group goes; wasOutOfMemory() takes their contents. */
export function exitFiles(hierarchies: Hierarchies, path: string): string[] {
  const found = locate(hierarchies, memory, path);
  if (found === undefined) return [];
  return [`${found.directory}/${found.version === 1 ? 'memory.oom_control' : 'memory.events'}`];
}

/** Whether one of these files counts an out-of-memory kill. */
export function wasOutOfMemory(contents: readonly string[]): boolean {
  return contents.some((content) => Number(/^oom_kill (\d+)$/m.exec(content)?.[1] ?? 0) > 0);
}

/** proc(5), /proc/stat: the first seven times of the "cpu" line (user to softirq), in hundredths of a second, and the CPUs. */
function hostCpu(stat: string): Pick<GroupUsage, 'hostCpuNanos' | 'hostCpus'> {
  const [total = '', ...lines] = stat.split('\n');
  const ticks = total
    .trim()
    .split(/\s+/)
    .slice(1, 8)
    .reduce((sum, field) => sum + Number(field), 0);
  return { hostCpuNanos: ticks * 1e7, hostCpus: lines.filter((line) => /^cpu\d/.test(line)).length };
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
