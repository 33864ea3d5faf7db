// The network part of a create request: NetworkMode, NetworkingConfig, names and resolvers.
import { HolmError } from '../base/error.ts';
import type { ContainerConfig, NetworkMode } from '../containers/container.ts';
import { changedIn } from './api-version.ts';
import type { Fields } from './fields.ts';
import { notYet } from './wording.ts';

type NetworkPart = Pick<
  ContainerConfig,
  'network' | 'macAddress' | 'networkAliases' | 'dnsServers' | 'dnsSearch' | 'dnsOptions' | 'extraHosts'
>;

/** Reads the network part. Throws with the texts of Docker's daemon where options exclude each other. */
export function parseNetwork(body: Fields, host: Fields, minor: number): NetworkPart {
  const network = body.boolean('NetworkDisabled') ? ({ from: 'none' } as const) : parseMode(host.string('NetworkMode'));
  const endpoint = findEndpoint(body, network);
  const macAddress =
    body.string('MacAddress') || (minor >= changedIn.endpointMacAddress ? endpoint?.string('MacAddress') : '') || '';
  if (macAddress !== '' && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(macAddress))
    throw new HolmError('invalid', `invalid MAC address: ${macAddress}`);
  const part = {
    network,
    macAddress,
    networkAliases: endpoint?.strings('Aliases') ?? [],
    dnsServers: host.strings('Dns'),
    dnsSearch: host.strings('DnsSearch'),
    dnsOptions: host.strings('DnsOptions'),
    extraHosts: host.strings('ExtraHosts'),
  };
  for (const entry of part.extraHosts)
    if (!/^[^:=]+[:=].+$/.test(entry)) throw new HolmError('invalid', `bad format for add-host: "${entry}"`);
  checkEndpoint(endpoint, network);
  if (network.from === 'container') checkJoined(body, part);
  if (network.from === 'host' && macAddress !== '') throw conflicting('mac-address');
  return part;
}

function parseMode(text: string): NetworkMode {
  if (text === '' || text === 'default' || text === 'bridge') return { from: 'network', network: 'bridge' };
  if (text === 'none' || text === 'host') return { from: text };
  if (text === 'container:' || text === 'container')
    throw new HolmError('invalid', 'invalid container format container:<name|id>');
  if (text.startsWith('container:')) return { from: 'container', container: text.slice('container:'.length) };
  return { from: 'network', network: text };
}

/** The settings for the one network that the container joins. */
function findEndpoint(body: Fields, network: NetworkMode): Fields | undefined {
  const configs = body.object('NetworkingConfig')?.object('EndpointsConfig');
  if (configs === undefined) return undefined;
  const names = body.object('NetworkingConfig')!.keys('EndpointsConfig');
  const own = network.from === 'network' ? network.network : network.from;
  const isOwn = (name: string): boolean => name === own || (name === 'default' && own === 'bridge');
  const others = names.filter((name) => !isOwn(name));
  if (others.length > 0 && (names.length > 1 || network.from !== 'network'))
    throw notYet('containers in several networks are');
  const name = names.find(isOwn) ?? names[0];
  return name === undefined ? undefined : configs.object(name);
}

function checkEndpoint(endpoint: Fields | undefined, network: NetworkMode): void {
  if (endpoint === undefined) return;
  const ipam = endpoint.object('IPAMConfig');
  if (ipam !== undefined && (ipam.string('IPv4Address') !== '' || ipam.string('IPv6Address') !== ''))
    throw new HolmError('invalid', 'user specified IP address is supported on user defined networks only');
  if (endpoint.strings('Links').length > 0) throw notYet('links are');
  if (endpoint.keys('DriverOpts').length > 0) throw notYet('driver options of network endpoints are');
  if (endpoint.strings('Aliases').length > 0 && network.from === 'network' && network.network === 'bridge')
    throw new HolmError('invalid', 'network-scoped aliases are only supported for user-defined networks');
}

function conflicting(option: string): HolmError {
  return new HolmError('invalid', `conflicting options: ${option} and the network mode`);
}

/** What a container that joins another's network cannot have of its own. */
function checkJoined(body: Fields, part: NetworkPart): void {
  if (body.string('Hostname') !== '') throw conflicting('hostname');
  if (part.dnsServers.length > 0) throw conflicting('dns');
  if (part.extraHosts.length > 0) throw conflicting('custom host-to-IP mapping');
  if (part.macAddress !== '') throw conflicting('mac-address');
  if (body.keys('ExposedPorts').length > 0) throw conflicting('port exposing');
}
