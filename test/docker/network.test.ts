// The default bridge, the host's network and none, seen from inside, from the host and from beyond it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { command, output } from '../../scripts/command.ts';
import { daemonForFile } from '../harness/daemon.ts';
import { Session } from '../harness/session.ts';

const daemon = await daemonForFile();
const sleeper = ['busybox:test', 'sleep', '300'];

interface Endpoint {
  readonly IPAddress: string;
  readonly Gateway: string;
  readonly IPPrefixLen: number;
  readonly MacAddress: string;
}

async function endpointOf(name: string): Promise<Endpoint> {
  const inspected = await daemon.inspect<{ NetworkSettings: { Networks: { bridge: Endpoint } } }>(name);
  return inspected.NetworkSettings.Networks.bridge;
}

test('the inside has the address, the gateway and the MAC address that inspect tells', async () => {
  await daemon.succeed(['run', '-d', '--name', 'one', ...sleeper]);
  const endpoint = await endpointOf('one');
  const inside = await daemon.succeed([
    'exec',
    'one',
    'sh',
    '-c',
    'ip -o addr show eth0; ip route; cat /sys/class/net/eth0/address',
  ]);
  assert.ok(inside.includes(`inet ${endpoint.IPAddress}/${endpoint.IPPrefixLen}`), inside);
  assert.ok(inside.includes(`default via ${endpoint.Gateway} dev eth0`), inside);
  assert.ok(inside.includes(endpoint.MacAddress), inside);
});

test('two containers reach each other, and have different addresses', async () => {
  await daemon.succeed(['run', '-d', '--name', 'two', ...sleeper]);
  const [one, two] = [await endpointOf('one'), await endpointOf('two')];
  assert.notEqual(one.IPAddress, two.IPAddress);
  assert.notEqual(one.MacAddress, two.MacAddress);
  await daemon.succeed(['exec', 'one', 'ping', '-c', '1', '-W', '2', two.IPAddress]);
  await daemon.succeed(['exec', 'two', 'ping', '-c', '1', '-W', '2', one.IPAddress]);
});

test('an address is given back', async () => {
  const { IPAddress } = await endpointOf('two');
  await daemon.succeed(['rm', '-f', 'two']);
  const addresses = new Set<string>();
  for (let round = 0; round < 5; round++) {
    await daemon.succeed(['run', '-d', '--name', 'next', ...sleeper]);
    addresses.add((await endpointOf('next')).IPAddress);
    await daemon.succeed(['rm', '-f', 'next']);
  }
  assert.ok(!addresses.has((await endpointOf('one')).IPAddress));
  assert.match(IPAddress, /^10\./);
});

test('the host reaches a container, a container reaches the host', async () => {
  const serve = 'while :; do echo from inside | nc -l -p 7000; done';
  await daemon.succeed(['run', '-d', '--name', 'server', 'busybox:test', 'sh', '-c', serve]);
  const { IPAddress, Gateway } = await endpointOf('server');
  const connect = `const s = require('net').connect(7000, '${IPAddress}'); s.pipe(process.stdout)`;
  let heard = '';
  for (let round = 0; round < 20 && heard === ''; round++) {
    heard = (await command([process.execPath, '-e', connect], { timeoutMs: 3000 })).stdout;
    if (heard === '') await sleep(100);
  }
  assert.equal(heard, 'from inside\n');
  const server = createServer((socket) => socket.end('from the host\n')).listen(0, Gateway);
  try {
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    assert.equal(
      await daemon.succeed(['exec', 'one', 'sh', '-c', `nc -w 3 ${Gateway} ${port} < /dev/null`]),
      'from the host',
    );
  } finally {
    server.close();
  }
});

test("beyond the host a container shows the host's address", async () => {
  await using outside = await outsideHost();
  const reply = await daemon.succeed(['exec', 'one', 'sh', '-c', `nc -w 3 ${outside.address} 7000 < /dev/null`]);
  assert.match(reply, new RegExp(`${outside.hostAddress.replaceAll('.', '\\.')}$`));
});

// A host of its own behind a link: a network namespace with a server that tells its clients their address. It lives as long
// as the server: "ip netns" would leave a mount on the machine.
async function outsideHost(): Promise<{ address: string; hostAddress: string } & AsyncDisposable> {
  const name = `ho${process.pid}`;
  const third = process.pid % 200;
  const [address, hostAddress] = [`198.18.${third}.2`, `198.18.${third}.1`];
  const undo = new AsyncDisposableStack();
  const program =
    "require('net').createServer((s) => s.end(s.remoteAddress)).listen(7000, '0.0.0.0', () => console.log('up'))";
  const server = undo.use(new Session(['unshare', '--net', process.execPath, '-e', program], { env: process.env }));
  await server.waitFor(/up/);
  const inside = (...argv: readonly string[]) => output(['nsenter', `--net=/proc/${server.pid}/ns/net`, ...argv]);
  const peer = ['peer', 'name', 'eth0', 'netns', String(server.pid)];
  await output(['ip', 'link', 'add', name, 'type', 'veth', ...peer]);
  undo.defer(async () => void (await command(['ip', 'link', 'delete', name])));
  await output(['ip', 'address', 'add', `${hostAddress}/24`, 'dev', name]);
  await output(['ip', 'link', 'set', name, 'up']);
  await inside('ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
  await inside('ip', 'link', 'set', 'eth0', 'up');
  return { address, hostAddress, [Symbol.asyncDispose]: () => undo.disposeAsync() };
}

test('resolv.conf and hosts', async () => {
  const { IPAddress } = await endpointOf('one');
  const id = (await daemon.succeed(['inspect', '-f', '{{.Id}}', 'one'])).slice(0, 12);
  const hosts = await daemon.succeed(['exec', 'one', 'cat', '/etc/hosts']);
  assert.match(hosts, /^127\.0\.0\.1\s+localhost/m);
  assert.match(hosts, new RegExp(`^${IPAddress.replaceAll('.', '\\.')}\\s+${id}$`, 'm'));
  const servers = (text: string): readonly string[] =>
    [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
  const host = servers(readFileSync('/etc/resolv.conf', 'utf8')).filter((server) => !/^(?:127\.|::1)/.test(server));
  const inside = servers(await daemon.succeed(['exec', 'one', 'cat', '/etc/resolv.conf']));
  if (host.length > 0) assert.deepEqual(inside, host);
  else
    assert.ok(
      inside.every((server) => !server.startsWith('127.')),
      'no loopback address of the host',
    );
});

test('a restart keeps the network working', async () => {
  await daemon.succeed(['restart', '-t', '0', 'one']);
  const { Gateway } = await endpointOf('one');
  await daemon.succeed(['exec', 'one', 'ping', '-c', '1', '-W', '2', Gateway]);
});

test('--network none has no way out', async () => {
  const stdout = await daemon.succeed([
    'run',
    '--rm',
    '--network',
    'none',
    'busybox:test',
    'sh',
    '-c',
    'ip route; ip -o link',
  ]);
  assert.match(stdout, /^1: lo: <LOOPBACK,UP/);
  assert.equal(stdout.split('\n').length, 1);
});

test('a container has CAP_NET_RAW for ping and not CAP_NET_ADMIN', async () => {
  const result = await daemon.docker(['exec', 'one', 'ip', 'link', 'set', 'eth0', 'down']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /Operation not permitted/);
});

test('network ls and inspect', async () => {
  assert.equal(
    await daemon.succeed(['network', 'ls', '--format', '{{.Name}} {{.Driver}}']),
    'bridge bridge\nhost host\nnone null',
  );
  interface Inspected {
    IPAM: { Config: { Subnet: string; Gateway: string }[] };
    Containers: Record<string, { Name: string; IPv4Address: string }>;
  }
  const [bridge] = JSON.parse(await daemon.succeed(['network', 'inspect', 'bridge'])) as Inspected[];
  const { IPAddress, Gateway } = await endpointOf('one');
  assert.equal(bridge?.IPAM.Config[0]?.Gateway, Gateway);
  const one = Object.values(bridge?.Containers ?? {}).find((container) => container.Name === 'one');
  assert.equal(one?.IPv4Address, `${IPAddress}/24`);
});

test("the bridge is on the host, with the gateway's address", async () => {
  const { Gateway } = await endpointOf('one');
  assert.ok((await output(['ip', '-o', 'address', 'show', 'dev', daemon.names.bridge])).includes(`inet ${Gateway}/24`));
});
