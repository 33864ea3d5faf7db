// Routes for networks. There are three of them, and no others can be made yet (unsupported.ts).
import { formatTime } from '../base/clock.ts';
import { HolmError, kindOf } from '../base/error.ts';
import type { Network } from '../networks/network.ts';
import type { Call } from './call.ts';
import type { Route } from './router.ts';

type Json = Record<string, unknown>;

function networkJson(network: Network): Json {
  return {
    Name: network.name,
    Id: network.id,
    Created: formatTime(network.createdAt),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: network.subnets.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway })),
    },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Options: network.options,
    Labels: network.labels,
  };
}

/** The running containers of a network, by id. */
function membersJson(call: Call, network: Network): Json {
  const members: Json = {};
  for (const { id, name, state, endpoints } of call.backend.containers.list()) {
    if (state.is !== 'running' && state.is !== 'paused') continue;
    const endpoint = endpoints.find(({ networkId }) => networkId === network.id);
    if (endpoint === undefined) continue;
    members[id] = {
      Name: name,
      EndpointID: endpoint.endpointId,
      MacAddress: endpoint.macAddress,
      IPv4Address: endpoint.address === '' ? '' : `${endpoint.address}/${endpoint.prefixLength}`,
      IPv6Address: '',
    };
  }
  return members;
}

function list(call: Call): void {
  const filters = call.query.filters(['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
  const networks = call.backend.networks
    .list()
    .filter(
      (network) =>
        filters.pattern('name', network.name) &&
        filters.pattern('id', network.id) &&
        filters.exact('driver', network.driver) &&
        filters.exact('scope', 'local') &&
        filters.exact('type', 'builtin') &&
        filters.labels(network.labels) &&
        !filters.flag('dangling', false),
    );
  call.send(
    200,
    networks.map((network) => ({ ...networkJson(network), Containers: {} })),
  );
}

function inspect(call: Call): void {
  const name = call.param(0);
  let network: Network;
  try {
    network = call.backend.networks.get(name);
  } catch (error) {
    if (kindOf(error) === 'notFound') throw new HolmError('notFound', `network ${name} not found`);
    throw error;
  }
  const scope = call.query.text('scope');
  if (scope !== '' && scope !== 'local') throw new HolmError('notFound', `network ${name} not found`);
  call.send(200, { ...networkJson(network), Containers: membersJson(call, network) });
}

export const networkRoutes: readonly Route[] = [
  { method: 'GET', path: '/networks', handle: list },
  { method: 'POST', path: '/networks/prune', handle: (call) => call.send(200, { NetworksDeleted: null }) },
  { method: 'GET', path: '/networks/{name}', handle: inspect },
];
