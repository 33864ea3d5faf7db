// --network and what belongs to it: the network mode, and one endpoint's settings for each network.
import { HolmError } from '../../base/error.ts';
import { parseCsv } from '../format/csv.ts';
import type { FlagValues } from '../parse.ts';
import { toMap } from './files.ts';

interface Attachment {
  name: string;
  aliases: string[];
  links: readonly string[];
  ip: string;
  ip6: string;
  linkLocal: readonly string[];
  macAddress: string;
  driverOptions: string[];
  priority: number;
}

export function parseNetworks(flags: FlagValues): { mode: string; endpoints: Record<string, object> } {
  const attachments = flags.list('network').map(parseNetwork);
  if (attachments.length === 0) attachments.push(attachment('default'));
  const first = attachments[0]!;
  first.aliases.push(...flags.list('network-alias'));
  first.links = flags.list('link');
  first.linkLocal = flags.list('link-local-ip');
  if (flags.has('ip')) first.ip = flags.text('ip');
  if (flags.has('ip6')) first.ip6 = flags.text('ip6');
  if (flags.has('mac-address')) first.macAddress = flags.text('mac-address');
  const endpoints: Record<string, object> = {};
  for (const one of attachments) {
    if (one.name === 'none' || one.name === 'host' || one.name.startsWith('container:')) continue;
    if (endpoints[one.name] !== undefined)
      throw new HolmError('invalid', `network "${one.name}" is specified multiple times`);
    endpoints[one.name] = endpoint(one);
  }
  return { mode: first.name, endpoints };
}

function attachment(name: string): Attachment {
  const empty = { ip: '', ip6: '', macAddress: '', priority: 0 };
  return { name, aliases: [], links: [], linkLocal: [], driverOptions: [], ...empty };
}

/** "mine", or "name=mine,alias=db,ip=10.0.0.2". */
function parseNetwork(text: string): Attachment {
  if (text === '') throw new HolmError('invalid', 'no name set for network');
  if (!text.includes('=')) return attachment(text);
  const one = attachment('');
  for (const field of parseCsv(text)) {
    const at = field.indexOf('=');
    const [key, value] = [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
    if (at < 0) throw new HolmError('invalid', `invalid field ${field}`);
    if (key === 'name') one.name = value;
    else if (key === 'alias') one.aliases.push(value);
    else if (key === 'ip') one.ip = value;
    else if (key === 'ip6') one.ip6 = value;
    else if (key === 'mac-address') one.macAddress = value;
    else if (key === 'link-local-ip') one.linkLocal = [...one.linkLocal, value];
    else if (key === 'driver-opt') one.driverOptions.push(value);
    else if (key === 'gw-priority') one.priority = Number(value);
    else throw new HolmError('invalid', `invalid field key ${key}`);
  }
  if (one.name === '') throw new HolmError('invalid', 'no name set for network');
  return one;
}

function endpoint(one: Attachment): object {
  const ipam = {
    ...(one.ip === '' ? {} : { IPv4Address: one.ip }),
    ...(one.ip6 === '' ? {} : { IPv6Address: one.ip6 }),
    ...(one.linkLocal.length === 0 ? {} : { LinkLocalIPs: one.linkLocal }),
  };
  return {
    IPAMConfig: Object.keys(ipam).length === 0 ? null : ipam,
    Links: one.links.length === 0 ? null : one.links,
    Aliases: one.aliases.length === 0 ? null : one.aliases,
    MacAddress: one.macAddress,
    DriverOpts: one.driverOptions.length === 0 ? null : toMap(one.driverOptions),
    GwPriority: one.priority,
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}
