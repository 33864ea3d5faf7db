import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeArp, parseArp } from './arp.ts';
import { broadcastMac } from './ethernet.ts';
import { at, GuestFixture, guestMac } from './guest-fixture.ts';
import { ClockFixture, SocketsFixture, type StreamFixture } from './host-fixture.ts';
import { parseAddress } from './ipv4.ts';
import { setU32, u16, u32 } from './network-order.ts';
import { maxConnections } from './tcp-nat.ts';
import { UserStack, type UserStackOptions } from './user-stack.ts';

const outside = at('198.51.100.7', 80);

interface Setting {
  readonly sockets: SocketsFixture;
  readonly clock: ClockFixture;
  readonly stack: UserStack;
  readonly guest: GuestFixture;
}

function setting(options: Partial<UserStackOptions> = {}): Setting {
  const sockets = new SocketsFixture();
  const clock = new ClockFixture();
  const stack = new UserStack({ sockets, clock, random: () => 0xffff_ff00, ...options });
  const guest = new GuestFixture(stack, options.mtu);
  clock.afterStep = () => guest.flush();
  return { sockets, clock, stack, guest };
}

function open(to = outside, options: Partial<UserStackOptions> = {}) {
  const all = setting(options);
  const tcp = all.guest.connect(40_000, to);
  const stream = all.sockets.streams[0]!;
  stream.events.connected();
  all.guest.flush();
  assert.equal(tcp.state, 'open');
  return { ...all, tcp, stream };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('the user-mode stack', () => {
  it('answers ARP for its two addresses only', () => {
    const { guest } = setting();
    for (const target of ['10.0.2.2', '10.0.2.3', '10.0.2.9']) {
      const sender = guest.address;
      const who = { operation: 'request', senderMac: guestMac, sender, targetMac: broadcastMac } as const;
      guest.sendFrame(encodeArp({ ...who, target: parseAddress(target)! }, broadcastMac));
    }
    const answers = guest.frames.map((frame) => parseArp(frame)!);
    assert.deepEqual(
      answers.map(({ operation, sender }) => [operation, sender]),
      [
        ['reply', parseAddress('10.0.2.2')],
        ['reply', parseAddress('10.0.2.3')],
      ],
    );
  });

  it('leases an address with gateway, name server and MTU', () => {
    const { guest } = setting({ mtu: 1400, hostName: 'web' });
    const ask = (kind: number, requested?: number): Uint8Array => {
      const query = new Uint8Array(300);
      query.set([1, 1, 6, 0, 1, 2, 3, 4]);
      query.set(guestMac, 28);
      setU32(query, 236, 0x6382_5363);
      query.set([53, 1, kind, 50, 4], 240);
      setU32(query, 245, requested ?? 0);
      query[249] = 255;
      guest.sendUdp(68, at('255.255.255.255', 67), query);
      return guest.packets.pop()!.payload.subarray(8);
    };
    const offer = ask(1);
    assert.equal(u32(offer, 16), parseAddress('10.0.2.15'));
    assert.equal(offer[242], 2);
    const ack = ask(3, parseAddress('10.0.2.15'));
    assert.equal(ack[242], 5);
    const options = new Map<number, Uint8Array>();
    for (let i = 240; ack[i] !== 255; i += 2 + ack[i + 1]!)
      options.set(ack[i]!, ack.subarray(i + 2, i + 2 + ack[i + 1]!));
    assert.equal(u32(options.get(1)!, 0), 0xffff_ff00);
    assert.equal(u32(options.get(3)!, 0), parseAddress('10.0.2.2'));
    assert.equal(u32(options.get(6)!, 0), parseAddress('10.0.2.3'));
    assert.equal(u16(options.get(26)!, 0), 1400);
    assert.equal(new TextDecoder().decode(options.get(12)), 'web');
    assert.equal(ask(3, parseAddress('10.0.2.99'))[242], 6, 'another address is refused');
  });

  it('carries a connection both ways and ends it half by half', () => {
    const { tcp, stream, stack, guest } = open();
    assert.deepEqual(stream.to, { host: '198.51.100.7', port: 80 });
    tcp.send('GET /');
    tcp.close();
    assert.equal(stream.text(), 'GET /');
    assert.equal(stream.state, 'ended');
    stream.events.received(text('hello '));
    stream.events.received(text('world'));
    stream.events.ended();
    guest.flush();
    assert.equal(tcp.text(), 'hello world');
    assert.equal(tcp.ended, true);
    assert.equal(stack.tcp.connections, 0);
  });

  it('ends when the host ends first', () => {
    const { tcp, stream, stack, guest } = open();
    stream.events.ended();
    guest.flush();
    assert.equal(tcp.ended, true);
    assert.equal(stack.tcp.connections, 1);
    tcp.send('late');
    tcp.close();
    assert.equal(stream.text(), 'late');
    assert.equal(stream.state, 'ended');
    assert.equal(stack.tcp.connections, 0);
  });

  it('passes resets on, both ways', () => {
    const one = open();
    one.tcp.reset();
    assert.equal(one.stream.state, 'reset');
    assert.equal(one.stack.tcp.connections, 0);
    const two = open();
    two.stream.events.closed('reset');
    two.guest.flush();
    assert.equal(two.tcp.state, 'reset');
    assert.equal(two.stack.tcp.connections, 0);
  });

  it('tells a refused call by a reset and an unreachable host by ICMP', () => {
    const { guest, sockets, stack } = setting();
    const tcp = guest.connect(40_000, outside);
    sockets.streams[0]!.events.closed('refused');
    guest.flush();
    assert.equal(tcp.state, 'reset');
    guest.connect(40_001, outside);
    sockets.streams[1]!.events.closed('unreachable');
    guest.flush();
    const icmp = guest.packets.pop()!;
    assert.equal(icmp.header.protocol, 1);
    assert.deepEqual([...icmp.payload.subarray(0, 2)], [3, 1]);
    assert.equal(u16(icmp.payload, 8 + 20), 40_001, "the guest's own port is quoted");
    assert.equal(u32(icmp.payload, 8 + 24), 1000, 'and its sequence number');
    assert.equal(stack.tcp.connections, 0);
  });

  it('reaches what its owner allows, loopback at the gateway when told', () => {
    const cases = [
      { to: '198.51.100.7', reached: '198.51.100.7' },
      { to: '10.0.2.2', reached: undefined },
      { to: '10.0.2.2', options: { hostLoopback: true }, reached: '127.0.0.1' },
      { to: '10.0.2.3', reached: undefined },
      { to: '127.0.0.1', reached: undefined },
      { to: '0.0.0.0', reached: undefined },
      { to: '10.0.2.77', reached: undefined },
      { to: '198.51.100.7', options: { allows: () => false }, reached: undefined },
    ];
    for (const { to, options, reached } of cases) {
      const { guest, sockets } = setting(options);
      guest.connect(40_000, at(to, 80));
      assert.equal(sockets.streams[0]?.to.host, reached, `${to} ${JSON.stringify(options)}`);
    }
    const { guest, sockets } = setting();
    guest.connect(40_000, at('10.0.2.3', 53));
    assert.deepEqual(sockets.streams[0]?.to, { host: '192.0.2.53', port: 53 });
  });

  it('holds no more than its buffers when the host is slow, and goes on when it is not', () => {
    const { tcp, stream, guest } = open();
    stream.holds = true;
    const megabytes = 5 * 2 ** 20;
    for (let sent = 0; sent < megabytes; sent += 65_536) tcp.send(new Uint8Array(65_536));
    assert.ok(stream.writtenBytes <= 2 ** 20, `${stream.writtenBytes} bytes taken`);
    assert.ok(tcp.unsentBytes >= 4 * 2 ** 20);
    for (let turns = 0; tcp.unsentBytes > 0 && turns < 20; turns++) {
      stream.release();
      guest.flush();
      stream.holds = true;
    }
    stream.release();
    guest.flush();
    assert.equal(stream.writtenBytes, megabytes);
  });

  it('pauses the host when the guest does not read, and sends what its window lets it', () => {
    const { tcp, stream, guest, clock } = open();
    tcp.window = 100_000;
    tcp.acknowledge();
    tcp.acknowledges = false;
    while (!stream.paused) stream.events.received(new Uint8Array(65_536).fill(7));
    guest.flush();
    assert.ok(tcp.receivedBytes > 90_000 && tcp.receivedBytes <= 100_000, `${tcp.receivedBytes} bytes`);
    tcp.window = 0;
    tcp.acknowledge();
    const before = tcp.receivedBytes;
    guest.flush();
    assert.equal(tcp.receivedBytes, before);
    // The window opens, but the news of it are lost: a probe asks.
    tcp.window = 2 ** 22;
    tcp.acknowledges = true;
    clock.advance(5000);
    assert.equal(stream.paused, false);
    assert.equal(tcp.receivedBytes, 2 ** 20);
  });

  it('waits for a full card, and keeps order', () => {
    const { tcp, stream, guest } = open();
    guest.room = 0;
    const parts = Array.from({ length: 50 }, (_, part) => `part ${part};`);
    for (const part of parts) stream.events.received(text(part));
    stream.events.ended();
    assert.equal(tcp.text(), '');
    for (let turn = 0; turn < 60; turn++) guest.makeRoom(1);
    assert.equal(tcp.text(), parts.join(''));
    assert.equal(tcp.ended, true);
  });

  it('sends once more what the guest lost', () => {
    const { tcp, stream, guest, clock } = open();
    guest.loses = (count) => count % 3 === 1;
    const sent = new Uint8Array(500_000).map((_, at) => at * 7 + (at >> 8));
    for (let at = 0; at < sent.length; at += 10_000) stream.events.received(sent.slice(at, at + 10_000));
    stream.events.ended();
    guest.flush();
    clock.advance(60_000);
    assert.deepEqual(Buffer.concat(tcp.received), Buffer.from(sent));
    assert.equal(tcp.ended, true);
    tcp.close();
    guest.loses = () => false;
    clock.advance(120_000);
    assert.equal(clock.timers, 0, 'no timer without a connection');
  });

  it('forwards a port of the host to the guest', async () => {
    const { guest, sockets, stack } = setting();
    await stack.forward('tcp', { host: '127.0.0.1', port: 8080 }, { port: 80 });
    guest.sendUdp(5000, at('10.0.2.3', 53), text('so that the stack knows the guest'));
    const stream = sockets.call({ host: '127.0.0.1', port: 51_000 });
    guest.flush();
    const tcp = guest.accept();
    stream.events.received(text('GET /'));
    guest.flush();
    assert.equal(tcp.text(), 'GET /');
    tcp.send('hello');
    tcp.close();
    assert.equal(stream.text(), 'hello');
    stream.events.ended();
    guest.flush();
    assert.equal(stack.tcp.connections, 0);
  });

  it('gives a forwarded call up when no guest answers', async () => {
    const { sockets, stack, clock } = setting();
    await stack.forward('tcp', { host: '127.0.0.1', port: 8080 }, { port: 80 });
    const stream = sockets.call({ host: '127.0.0.1', port: 51_000 });
    clock.advance(300_000);
    assert.equal(stream.state, 'reset');
    assert.equal(stack.tcp.connections, 0);
  });

  it('carries UDP, the name server, fragments and "port unreachable"', () => {
    const { guest, sockets } = setting();
    guest.sendUdp(5000, at('10.0.2.3', 53), text('query'));
    assert.deepEqual(sockets.datagrams[0]?.to, { host: '192.0.2.53', port: 53 });
    sockets.udp[0]!.received(new Uint8Array(4000).fill(9), { host: '192.0.2.53', port: 53 });
    guest.flush();
    const pieces = guest.packets.splice(0);
    assert.equal(pieces.length, 3);
    assert.equal(pieces[0]!.header.source, parseAddress('10.0.2.3'));
    assert.equal(
      pieces.reduce((sum, { payload }) => sum + payload.length, 0),
      4008,
    );
    sockets.udp[0]!.received(text('unasked'), { host: '203.0.113.1', port: 53 });
    guest.flush();
    assert.equal(guest.packets.length, 0, 'only whom the guest wrote to is heard');
    sockets.udp[0]!.failed();
    guest.flush();
    assert.deepEqual([...guest.packets[0]!.payload.subarray(0, 2)], [3, 3]);
  });

  it('forgets idle UDP flows and bounds them', () => {
    const { guest, sockets, clock, stack } = setting();
    for (let port = 1; port <= 2000; port++) guest.sendUdp(port, outside, text('x'));
    assert.ok(stack.udp.flows <= 512 && sockets.openUdpSockets === stack.udp.flows);
    clock.advance(150_000);
    assert.equal(sockets.openUdpSockets, 0);
    assert.equal(clock.timers, 0);
  });

  it('bounds its connections', () => {
    const { guest, sockets, stack } = setting();
    for (let port = 1; port <= maxConnections + 50; port++) guest.connect(port, outside);
    assert.equal(stack.tcp.connections, maxConnections);
    assert.equal(sockets.streams.length, maxConnections);
    stack.reset();
    assert.ok(sockets.streams.every((stream: StreamFixture) => stream.state === 'reset'));
  });

  it('resets the connections that a save cut, and keeps leases', () => {
    const { stack, tcp } = open();
    const state = structuredClone(stack.save());
    const later = new UserStack({ sockets: new SocketsFixture(), clock: new ClockFixture() });
    const guest = new GuestFixture(later);
    later.load(state);
    guest.flush();
    assert.equal(tcp.state, 'open', 'the old machine is as it was');
    const reset = guest.packets[0]!;
    assert.equal(reset.payload[13]! & 4, 4);
    assert.equal(u16(reset.payload, 2), 40_000);
    assert.deepEqual(later.save().connections, []);
  });
});
