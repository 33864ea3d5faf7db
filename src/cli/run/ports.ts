// -p and --expose as Docker's JSON wants them: "[address:][hostPort]:port[/protocol]", ports being ranges too.
import { HolmError } from '../../base/error.ts';
import { parseCsv } from '../format/csv.ts';

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface Ports {
  /** "80/tcp": {} */
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, PortBinding[]>;
}

export function parsePorts(publish: readonly string[], expose: readonly string[]): Ports {
  const ports: Ports = { exposed: {}, bindings: {} };
  for (const text of publish) publishOne(ports, text.includes('=') ? fromLongForm(text) : text);
  for (const text of expose) {
    if (text.includes(':')) throw new HolmError('invalid', `invalid port format for --expose: ${text}`);
    const [range, protocol = 'tcp'] = text.split('/');
    const [first, last] = parseRange(range!, `invalid range format for --expose: ${text}`);
    for (let port = first; port <= last; port++) ports.exposed[`${port}/${protocol.toLowerCase()}`] = {};
  }
  return ports;
}

function publishOne(ports: Ports, text: string): void {
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?([^:]*):)?([^:/]*)(?:\/(\w+))?$/.exec(text);
  if (match === null) throw new HolmError('invalid', `invalid hostPort or address: ${text}`);
  const [, address = '', host = '', guest = '', protocol = 'tcp'] = match;
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase()))
    throw new HolmError('invalid', `invalid proto: ${protocol}`);
  if (guest === '') throw new HolmError('invalid', `no port specified: ${text}<empty>`);
  const [first, last] = parseRange(guest, `invalid containerPort: ${guest}`);
  const [hostFirst, hostLast] = host === '' ? [0, 0] : parseRange(host, `invalid hostPort: ${host}`);
  if (host !== '' && last - first !== hostLast - hostFirst && last !== first)
    throw new HolmError('invalid', `invalid ranges specified for container and host Ports: ${guest} and ${host}`);
  for (let port = first; port <= last; port++) {
    const key = `${port}/${protocol.toLowerCase()}`;
    const single = hostFirst === hostLast || last !== first;
    const hostPort = host === '' ? '' : single ? String(hostFirst + port - first) : `${hostFirst}-${hostLast}`;
    ports.exposed[key] = {};
    ports.bindings[key] ??= [];
    ports.bindings[key].push({ HostIp: address.replace(/^\[(.*)\]$/, '$1'), HostPort: hostPort });
  }
}

/** "target=80,published=8080,protocol=tcp" to the short form. */
function fromLongForm(text: string): string {
  const fields = Object.fromEntries(parseCsv(text).map((field) => field.split('=', 2) as [string, string]));
  const known = ['target', 'published', 'protocol', 'mode'];
  const unknown = Object.keys(fields).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new HolmError('invalid', `invalid field key ${unknown}`);
  if (fields.target === undefined) throw new HolmError('invalid', `missing mandatory field "target"`);
  return `${fields.published === undefined ? '' : `${fields.published}:`}${fields.target}/${fields.protocol ?? 'tcp'}`;
}

function parseRange(text: string, message: string): [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first > last || last > 65535) throw new HolmError('invalid', message);
  return [first, last];
}
