// What can be asked of a running container: its processes and what it uses.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HolmError, messageOf } from '../base/error.ts';
import { processes } from '../cgroups/kill.ts';
import { readUsage } from '../cgroups/usage.ts';
import { readInterfaces } from '../networks/interface-usage.ts';
import type { Container, Usage } from './container.ts';
import { cgroupOf, type Facilities } from './facilities.ts';

const run = promisify(execFile);
const psMs = 10_000;

/** What a container used so far. */
export function usageOf(facilities: Facilities, container: Container, pid: number): Usage {
  const group = readUsage(facilities.hierarchies, cgroupOf(facilities, container));
  const ownNetwork = container.config.network.from === 'network';
  return { ...group, networks: ownNetwork ? readInterfaces(pid) : {} };
}

/** The processes of a container as the host's `ps` prints them. */
export async function topOf(
  facilities: Facilities,
  container: Container,
  psArguments: string,
): Promise<{ titles: readonly string[]; processes: readonly (readonly string[])[] }> {
  const args = psArguments.trim() === '' ? ['-ef'] : psArguments.trim().split(/\s+/);
  const pids = processes(facilities.hierarchies, cgroupOf(facilities, container)).map(String);
  // Where ps does not take -q (busybox), the rows are chosen here.
  const { stdout } = await ps([...args, `-q${pids.join(',')}`])
    .catch(() => ps(args))
    .catch((cause: unknown) => {
      throw new HolmError('invalid', `Cannot list the processes of "${container.name}": ps: ${messageOf(cause)}`, {
        cause,
      });
    });
  const [head = '', ...lines] = stdout.trimEnd().split('\n');
  const titles = head.trim().split(/\s+/);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn === -1) throw new HolmError('invalid', "Couldn't find PID field in ps output");
  const inside = new Set(pids);
  const rows = lines.map((line) => splitRow(line, titles.length)).filter((row) => inside.has(row[pidColumn] ?? ''));
  return { titles, processes: rows };
}

function ps(args: readonly string[]): Promise<{ stdout: string }> {
  return run('ps', args, { timeout: psMs, maxBuffer: 64 << 20 });
}

/** The last column takes the rest of the line. */
function splitRow(line: string, columns: number): string[] {
  const fields = line.trim().split(/\s+/);
  return [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(' ')];
}
