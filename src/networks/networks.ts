// The store of networks: the three predefined ones, and the endpoints of containers in them. A record is written before
// anything is made in its name; what the records do not name is removed by recover().
import type { DatabaseSync } from 'node:sqlite';
import { nowNanos } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import { createId } from '../base/id.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { parseMac } from '../netlink/address.ts';
import { buildBridge, demolishBridge, mtuOf, observe, openTheWay, removeHostEnds, routedElsewhere } from './bridge.ts';
import { hostEndOf, type Join, joinBridge, joinNone, macOf, nothing } from './join.ts';
import { Leases } from './leases.ts';
import type { Endpoint, EndpointRequest, Network } from './network.ts';
import { NetworkRecords } from './network-records.ts';
import { chooseSubnet, formatSubnet, overlaps, parseSubnet, type Subnet, toNumber, toText } from './subnet.ts';

export interface NetworksConfig {
  /** Name of the default bridge's link: "holm0". */
  readonly bridge: string;
  /** Its subnet; without one 172.17.0.0/16, or the next private range that the host does not route. */
  readonly subnet?: string;
  /** Without one the MTU of the host's default route, at most 1500. */
  readonly mtu?: number;
}

/** A container's place in a network, and the programs that put it there when it starts. */
export interface Connection extends Join {
  readonly endpoint: Endpoint;
}

interface ReadyBridge {
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  readonly leases: Leases;
}

export class Networks {
  readonly #records: NetworkRecords;
  readonly #kernel: Kernel;
  readonly #config: NetworksConfig;
  #bridge: ReadyBridge | undefined;
  #building: Promise<void> | undefined;

  constructor(database: DatabaseSync, kernel: Kernel, config: NetworksConfig) {
    this.#records = new NetworkRecords(database);
    this.#kernel = kernel;
    this.#config = config;
    for (const [name, driver] of [
      ['bridge', 'bridge'],
      ['host', 'host'],
      ['none', 'null'],
    ] as const) {
      if (this.list().some((network) => network.name === name)) continue;
      this.#records.putNetwork({
        id: createId(),
        name,
        driver,
        createdAt: nowNanos(),
        subnets: [],
        options: {},
        labels: {},
        internal: false,
      });
    }
  }

  list(): readonly Network[] {
    return this.#records.networks();
  }

  /** By name, id, or a beginning that only one id has. */
  get(reference: string): Network {
    const all = this.list();
    const exact = all.find(({ name, id }) => name === reference || id === reference);
    if (exact !== undefined) return exact;
    const matches = reference === '' ? [] : all.filter(({ id }) => id.startsWith(reference));
    if (matches.length > 1)
      throw new HolmError(
        'invalid',
        `network ${reference} is ambiguous (${matches.length} matches found on ID prefix)`,
      );
    if (matches[0] === undefined) throw new HolmError('notFound', `network ${reference} not found`);
    return matches[0];
  }

  /** The endpoints of a network, by container. */
  endpointsOn(reference: string): readonly { readonly containerId: string; readonly endpoint: Endpoint }[] {
    const { id } = this.get(reference);
    return this.#records.endpoints().filter(({ endpoint }) => endpoint.networkId === id);
  }

  endpointsOf(containerId: string): readonly Endpoint[] {
    return this.#records.endpointsOf(containerId).map(({ endpoint }) => endpoint);
  }

  /** The host's address on the default bridge, which "host-gateway" stands for; empty before ensureBridge. */
  get hostGateway(): string {
    return this.get('bridge').subnets[0]?.gateway ?? '';
  }

  /** Makes or mends the default bridge. Once it stands, `connect` needs not wait. */
  ensureBridge(): Promise<void> {
    this.#building ??= this.#ensure().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  async #ensure(): Promise<void> {
    const { bridge: name } = this.#config;
    const surroundings = await observe(this.#kernel);
    const subnet = this.#settleSubnet(routedElsewhere(surroundings, name));
    const leases = this.#leasesOf(subnet);
    const mtu = this.#config.mtu ?? mtuOf(surroundings);
    this.#record(subnet, mtu);
    const index = await buildBridge(this.#kernel, name, subnet, surroundings);
    await openTheWay(this.#kernel, name, subnet);
    this.#bridge = { name, index, mtu, leases };
  }

  /** Configured; else as recorded, while containers hold addresses of it or nothing else routes it; else chosen. */
  #settleSubnet(used: readonly { first: number; prefixLength: number }[]): Subnet {
    if (this.#config.subnet !== undefined) return parseSubnet(this.#config.subnet);
    const [recorded] = this.get('bridge').subnets;
    if (recorded !== undefined) {
      const subnet = { ...parseSubnet(recorded.subnet), gateway: toNumber(recorded.gateway) };
      if (this.endpointsOn('bridge').length > 0 || !used.some((other) => overlaps(subnet, other))) return subnet;
    }
    return chooseSubnet(used);
  }

  #leasesOf(subnet: Subnet): Leases {
    const present = this.#bridge?.leases;
    if (present !== undefined && formatSubnet(present.subnet) === formatSubnet(subnet)) return present;
    const leases = new Leases(subnet);
    for (const { endpoint } of this.endpointsOn('bridge')) leases.claim(toNumber(endpoint.address));
    return leases;
  }

  #record(subnet: Subnet, mtu: number): void {
    const network = this.get('bridge');
    const subnets = [{ subnet: formatSubnet(subnet), gateway: toText(subnet.gateway) }];
    const options = {
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': 'true',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      'com.docker.network.bridge.name': this.#config.bridge,
      'com.docker.network.driver.mtu': String(mtu),
    };
    if (JSON.stringify([network.subnets, network.options]) !== JSON.stringify([subnets, options]))
      this.#records.putNetwork({ ...network, subnets, options });
  }

  /**
   * Gives a container its place in a network, recorded, and the programs that its start carries out. An earlier place
   * in the same network, left of a start that did not come about, is given up.
   */
  connect(containerId: string, reference: string, request: EndpointRequest = {}): Connection {
    const network = this.get(reference);
    for (const record of this.#records.endpointsOf(containerId))
      if (record.endpoint.networkId === network.id) this.#release(record);
    const connection = this.preview(reference, request);
    this.#records.insert({ containerId, endpoint: connection.endpoint });
    if (connection.endpoint.address !== '') this.#bridge?.leases.claim(toNumber(connection.endpoint.address));
    return connection;
  }

  /** What connect would give, with the address that is next; nothing is recorded. */
  preview(reference: string, { macAddress = '' }: EndpointRequest = {}): Connection {
    const { id: networkId, name: networkName, driver } = this.get(reference);
    const named = { networkId, networkName, endpointId: createId() };
    if (driver !== 'bridge') {
      const endpoint = { ...named, gateway: '', address: '', prefixLength: 0, macAddress: '' };
      return { endpoint, ...(driver === 'null' ? joinNone() : nothing) };
    }
    if (macAddress !== '') parseMac(macAddress);
    if (this.#bridge === undefined)
      throw new HolmError('unavailable', `Cannot join network "${networkName}": its bridge is not set up`);
    const { subnet } = this.#bridge.leases;
    const address = this.#bridge.leases.next();
    const endpoint: Endpoint = {
      ...named,
      gateway: toText(subnet.gateway),
      address: toText(address),
      prefixLength: subnet.prefixLength,
      macAddress: macAddress || macOf(address),
    };
    return { endpoint, ...joinBridge(endpoint, this.#bridge) };
  }

  /**
   * Gives up a container's places in all networks. Nothing is removed: the kernel takes the veth when the last process
   * leaves its namespace.
   */
  disconnect(containerId: string): void {
    for (const record of this.#records.endpointsOf(containerId)) this.#release(record);
  }

  #release(record: { readonly containerId: string; readonly endpoint: Endpoint }): void {
    this.#records.remove(record);
    if (record.endpoint.address !== '') this.#bridge?.leases.release(toNumber(record.endpoint.address));
  }

  /** Gives up the places of containers that do not run, and removes what they left on the bridge. After ensureBridge. */
  async recover(running: Iterable<string>): Promise<void> {
    const alive = new Set(running);
    for (const record of this.#records.endpoints()) if (!alive.has(record.containerId)) this.#release(record);
    await this.removeLeftovers();
  }

  /**
   * Removes links on the bridge that belong to no endpoint any more: those of namespaces that something still holds,
   * such as a container that shared its network with one that has ended.
   */
  async removeLeftovers(): Promise<void> {
    if (this.#bridge === undefined) return;
    const inUse = (): Set<string> => new Set(this.#records.endpoints().map(({ endpoint }) => hostEndOf(endpoint)));
    await removeHostEnds(this.#kernel, this.#bridge.index, inUse);
  }

  /** Removes the bridge and the firewall's table; containers on it lose their network. */
  async removeBridge(): Promise<void> {
    await this.#building;
    this.#bridge = undefined;
    await demolishBridge(this.#kernel, this.#config.bridge);
  }
}
