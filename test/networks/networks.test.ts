// The default bridge with the real keeper and real packets, in a network world of its own (island.ts). Needs root.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { act } from '../../src/netlink/expressions.ts';
import { changeLink, removeLink } from '../../src/netlink/link.ts';
import {
  addRule,
  createChain,
  createTable,
  decodeChains,
  listChains,
  priorities,
  removeTable,
  transaction,
} from '../../src/netlink/nftables.ts';
import { exchange, NETLINK_NETFILTER } from '../../src/netlink/program.ts';
import { readInterfaces } from '../../src/networks/interface-usage.ts';
import { hostEndOf } from '../../src/networks/join.ts';
import { Networks } from '../../src/networks/networks.ts';
import { echoServer, eventually, hostAddress, Island, type IslandGuest, outsideAddress } from './island.ts';

const { kernel, island, networks, database } = await open();
const inside = `
  const [eth0] = (os.networkInterfaces().eth0 ?? []).filter(({ family }) => family === 'IPv4');
  const read = (name) => fs.readFileSync('/proc/sys/net/ipv6/conf/' + name + '/disable_ipv6', 'utf8').trim();
  const routes = fs.readFileSync('/proc/net/route', 'utf8').trim().split('\\n').slice(1).map((line) => line.split('\\t')[2]);
  const six = Object.values(os.networkInterfaces()).flat().filter(({ family }) => family === 'IPv6');
  tell(JSON.stringify([eth0?.cidr, eth0?.mac, read('eth0'), routes, six.map(({ address }) => address)]));`;

async function open(): Promise<{ island: Island; kernel: Kernel; networks: Networks; database: DatabaseSync }> {
  const island = await Island.open();
  const database = new DatabaseSync(':memory:');
  const networks = new Networks(database, island.kernel, { bridge: 'holm0' });
  await networks.ensureBridge();
  return { island, kernel: island.kernel, networks, database };
}

let server: IslandGuest;
let served = '';
before(async () => {
  const connection = networks.connect('server', 'bridge');
  served = connection.endpoint.address;
  server = await island.guest(echoServer, connection);
  await server.told();
});

after(async () => {
  await using _ = island;
  await server.end();
  await networks.removeBridge();
  await networks.removeBridge();
  const known = ['lo', 'uplink'];
  await eventually(async () => (await island.links()).every(({ name }) => known.includes(name)));
  assert.deepEqual(await chains(), []);
});

async function chains(): Promise<string[]> {
  return decodeChains(await exchange(kernel, NETLINK_NETFILTER, [listChains()], 'list chains')).map(
    ({ table, name }) => `${table} ${name}`,
  );
}

/** What a new container on the bridge gets from an address. */
async function ask(address: string, store: Networks = networks): Promise<{ own: string; told: string }> {
  const connection = store.connect('asker', 'bridge');
  const told = await island.ask(address, connection);
  store.disconnect('asker');
  return { own: connection.endpoint.address, told };
}

test('a container has its address, its MAC address, its way out, and no IPv6 but the loopback', async () => {
  const connection = networks.connect('c1', 'bridge', { macAddress: '02:00:00:00:00:77' });
  const guest = await island.guest(inside, connection);
  const { address } = connection.endpoint;
  assert.deepEqual(JSON.parse(await guest.told()), [
    `${address}/16`,
    '02:00:00:00:00:77',
    '1',
    ['010011AC', '00000000'], // 172.17.0.1 for the default route, none for the subnet
    ['::1'],
  ]);
  await guest.end();
  networks.disconnect('c1');
});

test('where holm switched forwarding on, the host does not begin to route between its network cards', async () => {
  assert.ok((await chains()).includes('holm router'));
  await networks.ensureBridge();
  assert.ok((await chains()).includes('holm router'));
});

test('containers reach each other under their own addresses', async () => {
  const { own, told } = await ask(served);
  assert.equal(told, own);
});

test('the host reaches a container, and a container the host', async () => {
  assert.equal(await island.ask(served, 'host'), '172.17.0.1');
  const host = await island.guest(echoServer, 'host');
  await host.told();
  const { own, told } = await ask(hostAddress);
  assert.equal(told, own);
  await host.end();
});

test('outside, a container appears under the host’s address', async () => {
  assert.equal((await ask(outsideAddress)).told, hostAddress);
});

test('from outside no container is reached, though there is a route', async () => {
  assert.equal(await island.ask(hostAddress, 'outside'), 'ECONNREFUSED');
  assert.equal(await island.ask(served, 'outside'), 'no answer');
});

test('what the host’s own firewall drops stays dropped', async () => {
  const table = 'strict';
  const base = { type: 'filter', hook: 'forward', priority: priorities.filter } as const;
  const strict = [
    createTable(table),
    createChain({ table, name: 'forward', base }),
    addRule(table, 'forward', [act.verdict('drop')]),
  ];
  await exchange(kernel, NETLINK_NETFILTER, transaction(strict), 'write a strict table');
  assert.equal((await ask(outsideAddress)).told, 'no answer');
  await exchange(kernel, NETLINK_NETFILTER, transaction([removeTable(table)]), 'remove the strict table');
  assert.equal((await ask(outsideAddress)).told, hostAddress);
});

test('two daemons on one host: other ranges, and apart from each other', async () => {
  const other = new Networks(new DatabaseSync(':memory:'), kernel, { bridge: 'holm1' });
  await other.ensureBridge();
  assert.equal(other.get('bridge').subnets[0]?.subnet, '172.18.0.0/16');
  assert.equal((await ask(served, other)).told, 'no answer');
  assert.equal((await ask(outsideAddress, other)).told, hostAddress);
  await other.removeBridge();
  assert.equal(
    (await chains()).some((chain) => chain.startsWith('holm-holm1')),
    false,
  );
});

test('network "none" is a loopback', async () => {
  const script = 'tell(JSON.stringify(Object.keys(os.networkInterfaces())))';
  const guest = await island.guest(script, networks.connect('c1', 'none'));
  assert.equal(await guest.told(), '["lo"]');
  await guest.end();
  networks.disconnect('c1');
});

test('ensureBridge mends what was changed, and nothing else', async () => {
  const find = async () => (await island.links()).find(({ name }) => name === 'holm0')!;
  const { index } = await find();
  await island.change([changeLink({ index, up: false })]);
  await exchange(kernel, NETLINK_NETFILTER, transaction([removeTable('holm')]), 'remove the table');
  await networks.ensureBridge();
  assert.deepEqual([(await find()).index, (await find()).up], [index, true]);
  assert.equal((await ask(served)).told.startsWith('172.17.'), true);
  assert.equal((await ask(outsideAddress)).told, hostAddress);
  assert.deepEqual(await chains(), ['holm forward', 'holm postrouting']);
});

test('many start at once, each with an address of its own, and ready for its first packet', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `many${index}`);
  const guests = await Promise.all(
    names.map((name) => island.guest("tell('here'); setInterval(() => {}, 1e6)", networks.connect(name, 'bridge'))),
  );
  const addresses = names.map((name) => networks.endpointsOf(name)[0]!.address);
  assert.equal(new Set(addresses).size, names.length);
  const links = await island.links();
  for (const name of names) {
    const end = links.find((link) => link.name === hostEndOf(networks.endpointsOf(name)[0]!));
    assert.equal(end?.operational, true);
  }
  await Promise.all(guests.map((guest) => guest.told()));
  assert.ok(readInterfaces(guests[0]!.pid).eth0);
  await Promise.all(guests.map((guest) => guest.end()));
  for (const name of names) networks.disconnect(name);
});

test('recovery gives up what is not running, and removes its link; the rest goes on', async () => {
  const connection = networks.connect('lost', 'bridge');
  const lost = await island.guest('setInterval(() => {}, 1e6)', connection);
  const name = hostEndOf(connection.endpoint);
  const restarted = new Networks(database, kernel, { bridge: 'holm0' });
  await restarted.ensureBridge();
  await restarted.recover(['server', 'lost']);
  assert.ok((await island.links()).some((link) => link.name === name));
  await restarted.recover(['server']);
  await restarted.recover(['server']);
  assert.equal(
    (await island.links()).some((link) => link.name === name),
    false,
  );
  assert.deepEqual(
    restarted.endpointsOn('bridge').map(({ containerId }) => containerId),
    ['server'],
  );
  assert.equal(await island.ask(served, 'host'), '172.17.0.1');
  await lost.end();
});

test('a container that ends takes its link along', async () => {
  const connection = networks.connect('c1', 'bridge');
  const guest = await island.guest("tell('here')", connection);
  await guest.end();
  networks.disconnect('c1');
  const name = hostEndOf(connection.endpoint);
  await eventually(async () => !(await island.links()).some((link) => link.name === name));
});

test('a start whose bridge is gone fails, and leaves nothing', async () => {
  const connection = networks.connect('c1', 'bridge');
  const [bridge] = (await island.links()).filter(({ name }) => name === 'holm0');
  const name = hostEndOf(connection.endpoint);
  await island.change([removeLink({ index: bridge!.index })]);
  await assert.rejects(island.guest("tell('here')", connection), /Cannot join the container to network "bridge"/);
  await eventually(async () => !(await island.links()).some((link) => link.name === name));
  networks.disconnect('c1');
  await networks.ensureBridge();
  assert.equal((await ask(outsideAddress)).told, hostAddress);
});
