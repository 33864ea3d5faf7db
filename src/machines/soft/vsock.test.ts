import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { TransportFixture } from '../../devices/virtio/transport-fixture.ts';
import { Vsock } from '../../devices/virtio/vsock.ts';
import { encodeVsock, operation, parseVsock, type VsockHeader, vsockHeaderBytes } from '../../devices/vsock/packet.ts';
import { VsockSockets } from './vsock.ts';

const cid = 3;
const directory = fs.mkdtempSync(join(tmpdir(), 'holm-vsock-'));
const path = join(directory, 'vsock');
const host = new VsockSockets(path);
const device = new Vsock({ cid, host });
const transport = new TransportFixture(device);
const [receive, send] = [transport.drivers[0]!, transport.drivers[1]!];
for (let i = 0; i < 64; i++) receive.add([], [4096]);
const received: { readonly header: VsockHeader; readonly text: string }[] = [];

after(async () => {
  await host.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function next(): Promise<{ readonly header: VsockHeader; readonly text: string }> {
  for (const end = performance.now() + 5000; received.length === 0; ) {
    assert.ok(performance.now() < end, 'nothing came');
    await new Promise(setImmediate);
    for (const { bytes } of receive.take()) {
      received.push({ header: parseVsock(bytes)!, text: Buffer.from(bytes.subarray(vsockHeaderBytes)).toString() });
      receive.add([], [4096]);
    }
  }
  return received.shift()!;
}

function packet(to: number, from: number, kind: number, body = '', flags = 0): void {
  const ports = { sourceCid: cid, destinationCid: 2, sourcePort: from, destinationPort: to };
  const header = { ...ports, bytes: body.length, type: 1, operation: kind, flags, bufferBytes: 65_536, forwarded: 0 };
  send.request([encodeVsock(header), ...(body === '' ? [] : [Buffer.from(body)])], []);
}

async function line(socket: Socket): Promise<string> {
  return (await once(socket, 'data'))[0].toString();
}

describe("vsock over the host's unix sockets", () => {
  it('takes a call of the host: CONNECT, OK, the stream, its end', async () => {
    await host.listen(device);
    const client = connect(path);
    client.write('CONNECT 22\nearly');
    const { header } = await next();
    assert.deepEqual([header.operation, header.destinationPort], [operation.request, 22]);
    packet(header.sourcePort, 22, operation.response);
    assert.equal(await line(client), `OK ${header.sourcePort}\n`);
    assert.equal((await next()).text, 'early');
    packet(header.sourcePort, 22, operation.data, 'welcome');
    assert.equal(await line(client), 'welcome');
    client.end();
    assert.equal((await next()).header.operation, operation.shutdown);
    packet(header.sourcePort, 22, operation.shutdown, '', 3);
    assert.equal((await next()).header.operation, operation.reset);
    await once(client, 'close');
    assert.equal(device.connections, 0);
  });

  it('ends a call that the guest refuses, and one that makes no sense', async () => {
    const client = connect(path);
    client.resume();
    client.write('CONNECT 23\n');
    const { header } = await next();
    packet(header.sourcePort, 23, operation.reset);
    await once(client, 'close');
    for (const bad of ['GET / HTTP/1.1\n', 'CONNECT 99999999999\n', 'x'.repeat(100)]) {
      const other = connect(path);
      other.resume();
      other.on('error', () => undefined);
      other.write(bad);
      await once(other, 'close');
    }
    assert.equal(device.connections, 0);
  });

  it('passes a call of the guest on to PATH_PORT, and refuses others', async () => {
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(`${path}_1234`);
    await once(server, 'listening');
    packet(1234, 5000, operation.request);
    assert.equal((await next()).header.operation, operation.response);
    packet(1234, 5000, operation.data, 'echo');
    assert.equal((await next()).text, 'echo');
    packet(1234, 5000, operation.shutdown, '', 3);
    assert.equal((await next()).header.operation, operation.reset);
    packet(1235, 5000, operation.request);
    assert.equal((await next()).header.operation, operation.reset);
    server.close();
  });
});
