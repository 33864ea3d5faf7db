import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import type { Outcome } from '../kernel/kernel.ts';
import { Recorder } from '../kernel/recorder.ts';
import type { Patched, Program } from '../kernel/steps.ts';
import { createLink, decodeLinks } from '../netlink/link.ts';
import { decodeMessages, encodeMessages, type Message } from '../netlink/message.ts';
import { NETLINK_ROUTE } from '../netlink/program.ts';
import { addRoute, type Route } from '../netlink/route.ts';
import { Networks } from './networks.ts';

const RTM_GETLINK = 18;
const RTM_GETROUTE = 26;

/** A host that has the bridge once it was made, and the given routes; it remembers what it was asked. */
class Host extends Recorder {
  routes: readonly Route[] = [];
  readonly #links: Message[] = [];

  override run(program: Program): Promise<Outcome> {
    this.programs.push(program);
    const [socket, step] = program;
    const isRoute = socket?.call === 'socket' && socket.args[2] === NETLINK_ROUTE;
    const answer = isRoute ? this.#answer((step!.args[1] as Patched).bytes) : [];
    const { bytes } = encodeMessages(answer);
    return Promise.resolve({ register: () => 0, output: () => bytes });
  }

  #answer(bytes: Uint8Array): readonly Message[] {
    const [asked] = decodeMessages(bytes);
    if (asked?.type === RTM_GETLINK) return this.#links;
    if (asked?.type === RTM_GETROUTE) return this.routes.map(addRoute);
    for (const { name } of decodeLinks(asked === undefined ? [] : [asked]))
      if (name !== '') this.#links.push(createLink({ index: 7, name, up: true }, { is: 'bridge' }));
    return [];
  }
}

async function open(host = new Host(), database = new DatabaseSync(':memory:'), subnet?: string): Promise<Networks> {
  const networks = new Networks(database, host, { bridge: 'holm0', ...(subnet === undefined ? {} : { subnet }) });
  await networks.ensureBridge();
  return networks;
}

test('the predefined networks are there, and keep their ids', async () => {
  const database = new DatabaseSync(':memory:');
  const networks = await open(new Host(), database);
  assert.deepEqual(
    networks.list().map(({ name, driver }) => [name, driver]),
    [
      ['bridge', 'bridge'],
      ['host', 'host'],
      ['none', 'null'],
    ],
  );
  assert.deepEqual(networks.get('bridge').subnets, [{ subnet: '172.17.0.0/16', gateway: '172.17.0.1' }]);
  assert.deepEqual((await open(new Host(), database)).list(), networks.list());
});

test('a network is found by name, id or a beginning of its id', async () => {
  const networks = await open();
  const { id } = networks.get('host');
  for (const reference of [id, id.slice(0, 12)]) assert.equal(networks.get(reference).name, 'host');
  for (const reference of ['', 'web', `${id}0`])
    assert.throws(() => networks.get(reference), { kind: 'notFound', message: `network ${reference} not found` });
});

test('the subnet gives way to the host’s routes, and stays while it is used', async () => {
  const host = new Host();
  host.routes = [
    { destination: '172.17.3.0', prefixLength: 24, link: 2 },
    { gateway: '192.0.2.1', link: 2 },
  ];
  const database = new DatabaseSync(':memory:');
  const networks = await open(host, database);
  const subnetOf = (store: Networks): string | undefined => store.get('bridge').subnets[0]?.subnet;
  assert.equal(subnetOf(networks), '172.18.0.0/16');
  networks.connect('c1', 'bridge');
  host.routes = [{ destination: '172.18.0.0', prefixLength: 16, link: 2 }];
  assert.equal(subnetOf(await open(host, database)), '172.18.0.0/16');
  networks.disconnect('c1');
  assert.equal(subnetOf(await open(host, database)), '172.17.0.0/16');
  assert.equal(subnetOf(await open(host, database, '10.9.0.0/24')), '10.9.0.0/24');
});

test('an endpoint is a lease that outlives the daemon', async () => {
  const database = new DatabaseSync(':memory:');
  const networks = await open(new Host(), database);
  const { endpoint } = networks.connect('c1', 'bridge');
  assert.deepEqual(
    [endpoint.address, endpoint.prefixLength, endpoint.gateway, endpoint.macAddress, endpoint.networkName],
    ['172.17.0.2', 16, '172.17.0.1', '02:42:ac:11:00:02', 'bridge'],
  );
  assert.equal(
    networks.connect('c2', 'bridge', { macAddress: '02:00:00:00:00:09' }).endpoint.macAddress,
    '02:00:00:00:00:09',
  );
  const again = await open(new Host(), database);
  assert.deepEqual(again.endpointsOf('c1'), [endpoint]);
  assert.equal(again.endpointsOn('bridge').length, 2);
  assert.equal(again.connect('c3', 'bridge').endpoint.address, '172.17.0.4');
  await again.recover(['c3']);
  assert.deepEqual(
    again.endpointsOn('bridge').map(({ containerId }) => containerId),
    ['c3'],
  );
  again.disconnect('c3');
  again.disconnect('c3');
  assert.deepEqual(again.endpointsOn('bridge'), []);
});

test('a second connect takes the place of the first', async () => {
  const networks = await open();
  const first = networks.connect('c1', 'bridge').endpoint;
  const second = networks.connect('c1', 'bridge').endpoint;
  assert.notEqual(first.address, second.address);
  assert.deepEqual(networks.endpointsOf('c1'), [second]);
});

test('programs: the guard makes the veth, sets its inner end up from within, and sees both ends up', async () => {
  const networks = await open();
  const { endpoint, after, stage } = networks.connect('c1', 'bridge');
  const callsOf = (program: Program): string => program.map(({ call }) => call).join(' ');
  const opened = 'openat2 socket netlink setns';
  const visit = 'write_file socket netlink close';
  assert.equal(callsOf(after), `${opened} ${visit} setns netlink close close`);
  assert.deepEqual(stage, []);
  const [veth, inner, look] = after.filter(({ call }) => call === 'netlink').map(({ args }) => args[1] as Patched);
  assert.deepEqual(
    veth!.patches.map(({ register }) => register.register),
    [31],
  );
  const [link] = decodeLinks(decodeMessages(veth!.bytes));
  assert.deepEqual([link!.name, link!.master, link!.up], [`holm${endpoint.endpointId.slice(0, 11)}`, 7, true]);
  const asked = [...decodeMessages(inner!.bytes), ...decodeMessages(look!.bytes)].filter(
    ({ type }) => type === RTM_GETLINK,
  );
  assert.deepEqual(
    asked.map(({ payload }) => Buffer.from(payload).readInt32LE(4)),
    [32, link!.index],
  );
  for (const { call, args } of after) if (call === 'netlink') assert.equal(args[2], 1);
  assert.equal(callsOf(networks.connect('c2', 'none').stage), 'socket netlink close');
  const shared = networks.connect('c3', 'host');
  assert.deepEqual([shared.after, shared.stage, shared.endpoint.address], [[], [], '']);
});

test('a preview is what connect gives next, and records nothing', async () => {
  const networks = await open();
  const { endpoint } = networks.preview('bridge');
  assert.deepEqual(networks.endpointsOn('bridge'), []);
  assert.equal(networks.connect('c1', 'bridge').endpoint.address, endpoint.address);
  assert.equal(networks.hostGateway, endpoint.gateway);
});

test('connect refuses what cannot be', async () => {
  const networks = await open();
  assert.throws(() => networks.connect('c1', 'web'), { kind: 'notFound' });
  assert.throws(() => networks.connect('c1', 'bridge', { macAddress: 'x' }), HolmError);
  const early = new Networks(new DatabaseSync(':memory:'), new Host(), { bridge: 'holm0' });
  assert.throws(() => early.connect('c1', 'bridge'), { kind: 'unavailable' });
  assert.deepEqual(early.endpointsOf('c1'), []);
});
