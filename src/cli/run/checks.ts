// What may be wrong with the value of a flag of `run`, told while the command line is read. Undefined: nothing.
import { isIP } from 'node:net';
import { parseBytes } from '../../base/units.ts';

const rlimits = [
  ...['as', 'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss'],
  ...['rtprio', 'rttime', 'sigpending', 'stack'],
];

export function checkAttach(value: string): string | undefined {
  const known = ['stdin', 'stdout', 'stderr'].includes(value.toLowerCase());
  return known ? undefined : 'valid streams are STDIN, STDOUT and STDERR';
}

export function checkIp(value: string): string | undefined {
  return isIP(value.trim()) === 0 ? `IP address is not correctly formatted: ${value}` : undefined;
}

export function checkAddHost(value: string): string | undefined {
  const match = /^([^:=]+)[:=](.+)$/.exec(value);
  if (match === null) return `bad format for add-host: "${value}"`;
  const address = match[2]!.replace(/^\[(.*)\]$/, '$1');
  if (address === 'host-gateway' || isIP(address) !== 0) return undefined;
  return `invalid IP address in add-host: "${match[2]}"`;
}

/** "/dev/vda:1mb", "/dev/vda:200". */
export function checkThrottle(value: string): string | undefined {
  const [path, rate, ...rest] = value.split(':');
  if (rate === undefined || rest.length > 0) return `bad format: ${value}`;
  if (!path!.startsWith('/dev/')) return `bad format for device path: ${value}`;
  try {
    parseBytes(rate);
    return undefined;
  } catch {
    return `invalid rate for device: ${value}. The correct format is <device-path>:<number>[<unit>]`;
  }
}

/** "/dev/a[:/dev/b][:rwm]", or a CDI name "vendor.com/class=name". */
export function checkDevice(value: string): string | undefined {
  if (isCdiName(value)) return undefined;
  const parts = value.split(':');
  if (parts.length > 3) return `bad format for path: ${value}`;
  const target = parts.length === 1 || isDeviceAccess(parts[1]!) ? parts[0]! : parts[1]!;
  if (!target.startsWith('/')) return `${target} is not an absolute path`;
  return parts[2] === undefined || isDeviceAccess(parts[2]) ? undefined : `bad mode specified: ${parts[2]}`;
}

export function isDeviceAccess(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
}

export function isCdiName(text: string): boolean {
  return /^[a-z][\w.-]*\/[a-z][\w.-]*=[\w.:-]+$/i.test(text);
}

export function checkUlimit(value: string): string | undefined {
  const match = /^([^=]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(value);
  if (match === null) return `invalid ulimit argument: ${value}`;
  if (!rlimits.includes(match[1]!)) return `invalid ulimit type: ${match[1]}`;
  const [soft, hard] = [Number(match[2]), Number(match[3] ?? match[2])];
  if (hard !== -1 && (soft === -1 || soft > hard))
    return `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`;
  return undefined;
}
