// What a container's interfaces have received and sent, from /proc/<pid>/net/dev (proc(5)).
import { readFileSync } from 'node:fs';
import { hasCode } from '../base/error.ts';

export interface InterfaceUsage {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly receivedErrors: number;
  readonly receivedDropped: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly sentErrors: number;
  readonly sentDropped: number;
}

/** The interfaces of a process's network namespace by name, the loopback left out; none if the process is gone. */
export function readInterfaces(pid: number): Record<string, InterfaceUsage> {
  try {
    return parseInterfaces(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].some((code) => hasCode(error, code))) return {};
    throw error;
  }
}

export function parseInterfaces(text: string): Record<string, InterfaceUsage> {
  const found: Record<string, InterfaceUsage> = {};
  for (const line of text.split('\n').slice(2)) {
    const [, name, rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || name === 'lo') continue;
    const [receivedBytes, receivedPackets, receivedErrors, receivedDropped, , , , , ...sent] = numbers(rest);
    const [sentBytes, sentPackets, sentErrors, sentDropped] = sent;
    found[name] = {
      receivedBytes: receivedBytes ?? 0,
      receivedPackets: receivedPackets ?? 0,
      receivedErrors: receivedErrors ?? 0,
      receivedDropped: receivedDropped ?? 0,
      sentBytes: sentBytes ?? 0,
      sentPackets: sentPackets ?? 0,
      sentErrors: sentErrors ?? 0,
      sentDropped: sentDropped ?? 0,
    };
  }
  return found;
}

function numbers(text: string): number[] {
  return text.trim().split(/\s+/).map(Number);
}
