// The files by which a container knows names: /etc/hostname, /etc/hosts, /etc/resolv.conf, with the content that docker
// gives them. Texts in, texts out; only readHostFiles() looks at the host.
import { readFileSync, statSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { HolmError } from '../base/error.ts';

export interface NamesRequest {
  /** May be a full name: "web.example.org". */
  readonly hostname: string;
  readonly domainname: string;
  /** Servers, domains and options instead of the host's; "." as the only domain is none. */
  readonly dnsServers: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** "name:address"; the address "host-gateway" is the host's on the default bridge. */
  readonly extraHosts: readonly string[];
  /** Whether the container has the host's own network. */
  readonly sharesHost: boolean;
  /** The container's address, or empty. */
  readonly address: string;
  /** The host's address on the default bridge, or empty. */
  readonly hostGateway: string;
}

export interface HostFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

export interface NameFiles {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Where systemd-resolved keeps the servers that its own stub at 127.0.0.53 asks. */
const resolvedPath = '/run/systemd/resolve/resolv.conf';
const resolvedStub = '127.0.0.53';
/** What docker falls back to when the host's servers are all on its loopback. */
const publicServers: readonly string[] = ['8.8.8.8', '8.8.4.4'];

/** The three files of a container. */
export function nameFiles(request: NamesRequest, host: HostFiles): NameFiles {
  const ownDns = [request.dnsServers, request.dnsSearch, request.dnsOptions].some((list) => list.length > 0);
  return {
    hostname: `${request.hostname}\n`,
    hosts: request.sharesHost && request.extraHosts.length === 0 ? host.hosts : formatHosts(request),
    resolvConf: request.sharesHost && !ownDns ? host.resolvConf : formatResolvConf(request, host.resolvConf),
  };
}

function formatHosts(request: NamesRequest): string {
  const lines: [address: string, names: string][] = [
    ['127.0.0.1', 'localhost'],
    ['::1', 'localhost ip6-localhost ip6-loopback'],
    ['fe00::', 'ip6-localnet'],
    ['ff00::', 'ip6-mcastprefix'],
    ['ff02::1', 'ip6-allnodes'],
    ['ff02::2', 'ip6-allrouters'],
    ...request.extraHosts.map((text) => parseExtraHost(text, request.hostGateway)),
  ];
  if (request.address !== '') {
    const full = request.domainname === '' ? request.hostname : `${request.hostname}.${request.domainname}`;
    const short = full.split('.')[0]!;
    lines.push([request.address, full === short ? full : `${full} ${short}`]);
  }
  return lines.map(([address, names]) => `${address}\t${names}\n`).join('');
}

function parseExtraHost(text: string, hostGateway: string): [string, string] {
  const [, name, written] = /^([^:=\s]+)[:=](\S+)$/.exec(text) ?? [];
  if (name === undefined || written === undefined)
    throw new HolmError('invalid', `invalid extra host "${text}": not of the form name:address`);
  if (written === 'host-gateway') {
    if (hostGateway === '')
      throw new HolmError(
        'unavailable',
        'unable to derive the IP value for host-gateway: the default bridge is not set up',
      );
    return [hostGateway, name];
  }
  const address = written.replace(/^\[(.*)\]$/, '$1');
  if (!isIPv4(address) && !isIPv6(address))
    throw new HolmError('invalid', `invalid IP address in add-host: "${written}"`);
  return [address, name];
}

/** The settings of a resolv.conf(5); other keywords are left out. */
function parseResolvConf(text: string): { servers: string[]; search: string[]; options: string[] } {
  const found = { servers: [] as string[], search: [] as string[], options: [] as string[] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) found.servers.push(values[0]);
    else if (keyword === 'search' || keyword === 'domain') found.search = values;
    else if (keyword === 'options') found.options.push(...values);
  }
  return found;
}

function formatResolvConf(request: NamesRequest, hostText: string): string {
  const host = parseResolvConf(hostText);
  const search = request.dnsSearch.length > 0 ? request.dnsSearch.filter((domain) => domain !== '.') : host.search;
  const options = request.dnsOptions.length > 0 ? request.dnsOptions : host.options;
  const lines = [
    "# Made by holm from the host's resolv.conf and the container's own settings.",
    ...serversOf(request, host.servers).map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** A server on the host's loopback, or one of IPv6, cannot be reached from the default bridge. */
function serversOf(request: NamesRequest, hostServers: readonly string[]): readonly string[] {
  if (request.dnsServers.length > 0) return request.dnsServers;
  if (request.sharesHost) return hostServers;
  const reachable = hostServers.filter((server) => isIPv4(server) && !server.startsWith('127.'));
  return reachable.length > 0 ? reachable : publicServers;
}

/** Reads the host's own; a missing file is empty, as resolv.conf(5) and hosts(5) have it. */
export function readHostFiles(): HostFiles {
  const resolvConf = readText('/etc/resolv.conf');
  const { servers } = parseResolvConf(resolvConf);
  const isStub = servers.length > 0 && servers.every((server) => server === resolvedStub);
  return { hosts: readText('/etc/hosts'), resolvConf: (isStub && readText(resolvedPath)) || resolvConf };
}

/** What was read of a file, and when it had been changed. */
const texts = new Map<string, { readonly mark: string; readonly text: string }>();

function readText(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return '';
  const mark = `${stats.ino} ${stats.mtimeMs} ${stats.size}`;
  const known = texts.get(path);
  if (known?.mark === mark) return known.text;
  const text = readFileSync(path, 'utf8');
  texts.set(path, { mark, text });
  return text;
}
