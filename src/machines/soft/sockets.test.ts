import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { at, GuestFixture, type GuestTcp } from '../../devices/net/guest-fixture.ts';
import { UserStack } from '../../devices/net/user-stack.ts';
import { hostSockets } from './sockets.ts';

const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

function setting(): { stack: UserStack; guest: GuestFixture } {
  const stack = new UserStack({ sockets: hostSockets(), hostLoopback: true });
  closing.push(() => stack.close());
  return { stack, guest: new GuestFixture(stack) };
}

async function serve(work: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    work(socket);
  });
  closing.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Lets the host's sockets move, and the guest answer, until `done`. */
async function until(guest: GuestFixture, done: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !done(); ) {
    assert.ok(performance.now() < end, 'nothing moves any more');
    await new Promise(setImmediate);
    guest.flush();
  }
}

async function open(guest: GuestFixture, port: number): Promise<GuestTcp> {
  const tcp = guest.connect(40_000, at('10.0.2.2', port));
  await until(guest, () => tcp.state !== 'calling');
  return tcp;
}

describe("the stack over the host's sockets", () => {
  it('carries a megabyte there and back, and both ends', async () => {
    const { guest, stack } = setting();
    const port = await serve((socket) => socket.pipe(socket));
    const tcp = await open(guest, port);
    const sent = new Uint8Array(1 << 20).map((_, at) => at * 31 + (at >> 9));
    tcp.send(sent);
    tcp.close();
    await until(guest, () => tcp.ended);
    assert.deepEqual(Buffer.concat(tcp.received), Buffer.from(sent));
    await until(guest, () => stack.tcp.connections === 0);
  });

  it('tells of a port where nobody listens, and of a reset', async () => {
    const { guest } = setting();
    const free = await serve(() => undefined);
    closing.pop()!();
    assert.equal((await open(guest, free)).state, 'reset');
    const port = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const tcp = await open(setting().guest, port);
    assert.equal(tcp.state, 'open');
  });

  it('forwards TCP and UDP ports', async () => {
    const { guest, stack } = setting();
    guest.sendUdp(9, at('10.0.2.2', 9), new Uint8Array(1));
    const tcp = await stack.forward('tcp', { host: '127.0.0.1', port: 0 }, { port: 80 });
    const client = connect(tcp.at.port, '127.0.0.1');
    client.write('GET /');
    guest.packets.length = 0;
    await until(guest, () => guest.packets.some(({ header }) => header.protocol === 6));
    const server = guest.accept();
    await until(guest, () => server.text() === 'GET /');
    server.send('hello');
    server.close();
    assert.equal((await once(client, 'data'))[0].toString(), 'hello');
    client.end();
    await until(guest, () => stack.tcp.connections === 0);
    const udp = await stack.forward('udp', { host: '127.0.0.1', port: 0 }, { port: 53 });
    const asker = createSocket('udp4');
    closing.push(() => asker.close());
    guest.packets.length = 0;
    asker.send('query', udp.at.port, '127.0.0.1');
    await until(guest, () => guest.packets.length > 0);
    const { header, payload } = guest.packets[0]!;
    assert.equal(new TextDecoder().decode(payload.subarray(8)), 'query');
    const answer = once(asker, 'message');
    guest.sendUdp(
      53,
      { address: header.source, port: (payload[0]! << 8) | payload[1]! },
      new TextEncoder().encode('answer'),
    );
    assert.equal((await answer)[0].toString(), 'answer');
    await assert.rejects(stack.forward('tcp', tcp.at, { port: 81 }), /Cannot listen on tcp "127.0.0.1:/);
  });

  it('is fast', async (test) => {
    const bytes = 24 << 20;
    const { guest } = setting();
    guest.verifies = false;
    let taken = 0;
    const sink = await serve((socket) => socket.on('data', (data) => (taken += data.length)));
    const out = await open(guest, sink);
    let start = performance.now();
    const piece = new Uint8Array(65_495);
    for (let left = bytes; left > 0; left -= piece.length) {
      out.send(piece);
      if (out.unsentBytes > 1 << 20) await until(guest, () => out.unsentBytes < 1 << 19);
    }
    await until(guest, () => taken >= bytes);
    const up = bytes / (performance.now() - start) / 1e3;
    const source = await serve((socket) => {
      const block = Buffer.alloc(1 << 20);
      let left = bytes;
      const more = (): void => {
        while (left > 0 && socket.write(block)) left -= block.length;
      };
      socket.on('drain', more);
      more();
    });
    start = performance.now();
    const { guest: other } = setting();
    const down = await open(other, source);
    other.verifies = false;
    down.keeps = false;
    await until(other, () => down.receivedBytes >= bytes);
    const rate = bytes / (performance.now() - start) / 1e3;
    test.diagnostic(
      `to the host ${up.toFixed(0)} MB/s, to the guest ${rate.toFixed(0)} MB/s, the peer in the same thread`,
    );
    assert.ok(up > 20 && rate > 20);
  });
});
