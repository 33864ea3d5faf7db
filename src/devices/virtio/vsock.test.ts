import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StreamFixture } from '../net/host-fixture.ts';
import type { Stream, StreamEvents } from '../net/stream.ts';
import { encodeVsock, operation, parseVsock, type VsockHeader, vsockHeaderBytes } from '../vsock/packet.ts';
import { TransportFixture } from './transport-fixture.ts';
import { maxVsockConnections, Vsock } from './vsock.ts';

const cid = 42;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

interface Received {
  readonly header: VsockHeader;
  readonly text: string;
  readonly bytes: number;
}

function setting(buffers = 64) {
  const streams: StreamFixture[] = [];
  const host = {
    connect: (port: number, events: StreamEvents): Stream | undefined => {
      if (port === 9) return undefined;
      streams.push(new StreamFixture({ host: '', port }, events));
      return streams.at(-1);
    },
  };
  const device = new Vsock({ cid, host });
  const transport = new TransportFixture(device);
  const [receive, send, event] = transport.drivers;
  for (let i = 0; i < buffers; i++) receive!.add([], [4096]);
  const packet = (fields: Partial<VsockHeader>, body: Uint8Array = new Uint8Array(0)): void => {
    const header = {
      sourceCid: cid,
      destinationCid: 2,
      sourcePort: 1000,
      destinationPort: 5,
      bytes: body.length,
      type: 1,
      operation: operation.data,
      flags: 0,
      bufferBytes: 100_000,
      forwarded: 0,
      ...fields,
    };
    send!.request(body.length === 0 ? [encodeVsock(header)] : [encodeVsock(header), body], []);
  };
  /** What came, each buffer given back at once. */
  const received = (): Received[] => {
    const found = receive!.take().map(({ bytes }) => {
      const payload = bytes.subarray(vsockHeaderBytes);
      return { header: parseVsock(bytes)!, text: new TextDecoder().decode(payload), bytes: payload.length };
    });
    for (const _ of found) receive!.add([], [4096]);
    if (found.length > 0) receive!.kick();
    return found;
  };
  const open = (): StreamFixture => {
    packet({ operation: operation.request });
    const stream = streams.at(-1)!;
    stream.events.connected();
    assert.equal(received()[0]!.header.operation, operation.response);
    return stream;
  };
  return { device, transport, streams, packet, received, open, receive: receive!, event: event! };
}

const operations = (packets: Received[]): number[] => packets.map(({ header }) => header.operation);

describe('the virtio socket device', () => {
  it('carries a call of the guest, both ways, to its end', () => {
    const { packet, received, open, device } = setting();
    const stream = open();
    assert.equal(stream.to.port, 5);
    packet({}, text('ping'));
    assert.equal(stream.text(), 'ping');
    stream.events.received(text('pong'));
    const [answer] = received();
    assert.equal(answer!.text, 'pong');
    assert.equal(answer!.header.forwarded, 4);
    packet({ operation: operation.shutdown, flags: 2 });
    assert.equal(stream.state, 'ended');
    stream.events.received(text('last words'));
    stream.events.ended();
    const rest = received();
    assert.deepEqual(operations(rest), [operation.data, operation.shutdown]);
    assert.equal(rest[1]!.header.flags, 3);
    packet({ operation: operation.reset });
    assert.equal(stream.state, 'closed');
    assert.equal(device.connections, 0);
  });

  it('answers the end of a guest by a reset, after what it sent', () => {
    const { packet, received, open, device } = setting();
    const stream = open();
    packet({}, text('bye'));
    packet({ operation: operation.shutdown, flags: 3 });
    assert.equal(stream.text(), 'bye');
    assert.equal(stream.state, 'closed');
    assert.deepEqual(operations(received()), [operation.reset]);
    assert.equal(device.connections, 0);
  });

  it('carries a call of the host', () => {
    const { packet, received, device } = setting();
    const stream = new StreamFixture({ host: '', port: 0 }, {} as StreamEvents);
    const answers: (number | undefined)[] = [];
    const events = device.call(22, stream, (port) => answers.push(port));
    events.received(text('early'));
    const [request] = received();
    assert.equal(request!.header.operation, operation.request);
    assert.equal(request!.header.destinationPort, 22);
    const hostPort = request!.header.sourcePort;
    packet({ sourcePort: 22, destinationPort: hostPort, operation: operation.response });
    assert.equal(answers[0], hostPort);
    assert.equal(received()[0]!.text, 'early');
    const refused = device.call(23, stream, (port) => answers.push(port));
    const port = received()[0]!.header.sourcePort;
    packet({ sourcePort: 23, destinationPort: port, operation: operation.reset });
    assert.deepEqual(answers, [hostPort, undefined]);
    assert.equal(stream.state, 'open', 'it is the caller again who has it');
    refused.closed();
    assert.equal(device.connections, 1);
  });

  it('refuses what nobody answers', () => {
    const { packet, received, streams } = setting();
    packet({ destinationPort: 9, operation: operation.request });
    packet({ operation: operation.data }, text('to nobody'));
    packet({ operation: operation.request, type: 2 });
    packet({ operation: operation.reset });
    assert.deepEqual(operations(received()), [3, 3, 3]);
    packet({ operation: operation.request });
    streams[0]!.events.closed('refused');
    assert.deepEqual(operations(received()), [3]);
  });

  it("keeps to the guest's credit, and pauses the host", () => {
    const { packet, received, open } = setting();
    const stream = open();
    for (let i = 0; i < 10; i++) stream.events.received(new Uint8Array(60_000));
    assert.equal(stream.paused, true);
    const sum = (): number => {
      let all = 0;
      for (let part = received(); part.length > 0; part = received()) for (const { bytes } of part) all += bytes;
      return all;
    };
    assert.equal(sum(), 100_000);
    packet({ operation: operation.creditUpdate, forwarded: 100_000, bufferBytes: 600_000 });
    assert.equal(sum(), 500_000);
    assert.equal(stream.paused, false);
  });

  it('tells the guest of room when the host is slow, and breaks with one that takes more', () => {
    const { packet, received, open, device } = setting();
    const stream = open();
    stream.holds = true;
    for (let i = 0; i < 4; i++) packet({}, new Uint8Array(65_536));
    assert.deepEqual(operations(received()), [], 'no room to tell of');
    stream.release();
    const [update] = received();
    assert.equal(update!.header.operation, operation.creditUpdate);
    assert.equal(update!.header.forwarded, 4 * 65_536);
    stream.holds = true;
    for (let i = 0; i < 5; i++) packet({}, new Uint8Array(65_536));
    assert.deepEqual(operations(received()), [operation.reset]);
    assert.equal(stream.state, 'reset');
    assert.equal(device.connections, 0);
  });

  it('waits for buffers of the guest', () => {
    const { received, open, receive } = setting(1);
    const stream = open();
    stream.events.received(new Uint8Array(10_000).fill(65));
    stream.events.ended();
    let all = 0;
    let ended = false;
    for (let i = 0; i < 6; i++) {
      for (const { bytes, header } of received()) {
        all += bytes;
        ended = header.operation === operation.shutdown;
      }
    }
    assert.equal(all, 10_000);
    assert.equal(ended, true);
    assert.ok(receive.free > 0);
  });

  it('bounds its connections and its answers', () => {
    const { packet, device, streams, transport } = setting(0);
    for (let port = 1; port <= maxVsockConnections + 100; port++)
      packet({ sourcePort: port, operation: operation.request });
    assert.equal(device.connections, maxVsockConnections);
    for (let i = 0; i < 150; i++) packet({ sourcePort: 99_999 }, text('x'));
    assert.ok(transport.drivers[1]!.free > 0);
    device.reset();
    assert.ok(streams.every(({ state }) => state === 'reset'));
  });

  it('tells the driver after a load that connections are gone', () => {
    const { device, event, open } = setting();
    const stream = open();
    device.load();
    assert.equal(stream.state, 'reset');
    assert.deepEqual(event.request([], [8]), Uint8Array.of(0, 0, 0, 0));
  });

  it('takes what a hostile guest sends, and works on', () => {
    const { device, packet, received, streams, open, transport } = setting();
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let turn = 0; turn < 3000; turn++) {
      const body = new Uint8Array([0, 0, 1, 100, 5000][random(5)]!);
      const bytes = random(20) === 0 ? random(2 ** 32) : body.length;
      const ports = { sourcePort: random(4), destinationPort: [5, 9, 0x4000_0000][random(3)]! };
      const credit = { bufferBytes: random(2 ** 32), forwarded: random(3) === 0 ? random(2 ** 32) : 0 };
      packet(
        { ...ports, ...credit, bytes, operation: random(9), type: random(30) === 0 ? 2 : 1, flags: random(4) },
        body,
      );
      const stream = streams[random(streams.length)];
      if (stream?.state === 'open') {
        const event = random(10);
        if (event < 4) stream.events.connected();
        else if (event < 6) stream.events.received(new Uint8Array(random(10_000)));
        else if (event === 6) stream.holds = !stream.holds;
        else if (event === 7) stream.release();
      }
      if (random(3) === 0) received();
    }
    assert.equal(transport.failure, undefined);
    device.reset();
    received();
    const stream = open();
    packet({}, text('still there'));
    assert.equal(stream.text(), 'still there');
  });
});
