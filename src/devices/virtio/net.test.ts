import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { completeChecksum, fold, pseudoSum, sumOf } from '../net/checksum.ts';
import { type Frame, frameOf, gather } from '../net/frame.ts';
import { Hub } from '../net/hub.ts';
import { writeIpv4 } from '../net/ipv4.ts';
import type { Link, Port } from '../net/link.ts';
import { setU16, setU32, u16, u32 } from '../net/network-order.ts';
import { machineParts, underTest } from './device-under-test.ts';
import { VirtioMmio } from './mmio.ts';
import { NetworkCard } from './net.ts';
import { encodeNetHeader, netHeaderBytes } from './net-header.ts';
import { TransportFixture } from './transport-fixture.ts';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const otherMac = Uint8Array.of(2, 0, 0, 0, 0, 2);
/** Features by their numbers in section 5.1.3. */
const [csum, guestCsum, guestTso4, mergeable] = [0, 1, 7, 15];

class LinkFixture implements Link {
  port!: Port;
  readonly sent: Frame[] = [];
  resumed = 0;
  flushed = 0;
  attach(port: Port): void {
    this.port = port;
  }
  send(frame: Frame): void {
    this.sent.push(frameOf(gather(frame).slice(), frame.offload));
  }
  flush(): void {
    this.flushed++;
  }
  resume(): void {
    this.resumed++;
  }
  reset(): void {}
  close(): void {}
  save(): Record<string, never> {
    return {};
  }
  load(): void {}
}

function setting(features?: number[]) {
  const link = new LinkFixture();
  const card = new NetworkCard({ mac, mtu: 1500, link });
  const transport = new TransportFixture(card, features);
  const [receive, send, control] = transport.drivers;
  return { link, card, transport, receive: receive!, send: send!, control: control! };
}

/** A TCP segment with its pseudo-header's sum, as a sender with offload leaves it. */
function segment(payloadBytes: number): Uint8Array {
  const frame = new Uint8Array(54 + payloadBytes).map((_, at) => at * 13 + (at >> 7));
  frame.set(otherMac);
  setU16(frame, 12, 0x0800);
  writeIpv4(frame, 14, { protocol: 6, source: 1, destination: 2, totalBytes: 40 + payloadBytes, identification: 7 });
  frame[46] = 5 << 4;
  frame[47] = 0x19;
  setU32(frame, 38, 0xffff_fff0);
  setU16(frame, 50, fold(pseudoSum(1, 2, 6, 20 + payloadBytes)));
  return frame;
}

const gso = { checksum: { start: 34, offset: 16 }, segments: { kind: 'tcp4', bytes: 1000, headerBytes: 54 } } as const;

describe('the virtio network card', () => {
  it('sends what the driver gives, with the work that is left, and flushes once', () => {
    const { send, link } = setting();
    const frame = segment(5000);
    send.add([encodeNetHeader(gso, 0), frame.subarray(0, 54), frame.subarray(54)], []);
    send.add([encodeNetHeader({}, 0), frame.subarray(0, 100)], []);
    send.kick();
    assert.equal(send.take().length, 2);
    assert.deepEqual(link.sent[0]!.offload, gso);
    assert.deepEqual(gather(link.sent[0]!), frame);
    assert.equal(link.sent[1]!.bytes, 100);
    assert.equal(link.flushed, 1);
  });

  it('drops packets that no wire carries and headers that lie', () => {
    const { send, link, transport } = setting();
    const bad: Uint8Array[][] = [
      [new Uint8Array(3)],
      [new Uint8Array(netHeaderBytes)],
      [new Uint8Array(netHeaderBytes + 13)],
      [new Uint8Array(netHeaderBytes + 65_550)],
      [Uint8Array.of(1, 0, 0, 0, 0, 0, 90, 0, 16, 0, 0, 0), new Uint8Array(100)],
      [Uint8Array.of(1, 1, 0, 0, 1, 0, 34, 0, 16, 0, 0, 0), new Uint8Array(100)],
      [Uint8Array.of(0, 1, 0, 0, 200, 0, 34, 0, 16, 0, 0, 0), new Uint8Array(100)],
      [Uint8Array.of(1, 3, 0, 0, 200, 0, 34, 0, 16, 0, 0, 0), new Uint8Array(100)],
    ];
    for (const buffers of bad) send.add(buffers, []);
    send.kick();
    assert.equal(send.take().length, bad.length);
    assert.equal(link.sent.length, 0);
    assert.equal(transport.failure, undefined);
  });

  it('spreads a large frame over the buffers of the driver', () => {
    const { receive, link } = setting();
    const frame = segment(9000);
    for (let buffer = 0; buffer < 8; buffer++) receive.add([], [1536]);
    assert.equal(
      link.port.deliver({ pieces: [frame.subarray(0, 60), frame.subarray(60)], bytes: frame.length, offload: gso }),
      true,
    );
    const used = receive.take();
    assert.equal(used.length, Math.ceil((frame.length + netHeaderBytes) / 1536));
    const all = Buffer.concat(used.map(({ bytes }) => bytes));
    assert.deepEqual(new Uint8Array(all.subarray(netHeaderBytes)), frame);
    assert.equal(all.readUInt16LE(10), used.length);
    assert.deepEqual([all[0], all[1], all.readUInt16LE(4)], [1, 1, 1000]);
  });

  it('takes nothing of a frame that does not fit, and says when it would', () => {
    const { receive, link } = setting();
    for (let buffer = 0; buffer < 3; buffer++) receive.add([], [1536]);
    assert.equal(link.port.deliver(frameOf(segment(5000))), false);
    assert.equal(receive.take().length, 0);
    assert.equal(link.port.deliver(frameOf(segment(10))), false, 'no frame overtakes');
    receive.add([], [1536]);
    receive.kick();
    assert.equal(link.resumed, 1);
    assert.equal(link.port.deliver(frameOf(segment(5000))), true);
    assert.deepEqual(receive.take().map(({ id }) => id).length, 4);
  });

  it('does the work of a driver that has no offloads', () => {
    const { receive, link } = setting([csum, mergeable]);
    const frame = segment(3500);
    for (let buffer = 0; buffer < 3; buffer++) receive.add([], [2048]);
    assert.equal(link.port.deliver(frameOf(frame, gso)), true);
    for (let buffer = 0; buffer < 3; buffer++) receive.add([], [2048]);
    receive.kick();
    const parts = receive.take().map(({ bytes }) => bytes.subarray(netHeaderBytes));
    assert.deepEqual(
      parts.map((part) => part.length - 54),
      [1000, 1000, 1000, 500],
    );
    assert.deepEqual(Buffer.concat(parts.map((part) => part.subarray(54))), Buffer.from(frame.subarray(54)));
    for (const [index, part] of parts.entries()) {
      assert.equal(u32(part, 38), (0xffff_fff0 + index * 1000) >>> 0, 'sequence numbers go on');
      assert.equal(part[47], index === 3 ? 0x19 : 0x10, 'only the last one ends and pushes');
      assert.equal(fold(sumOf(part, 14, 34)), 0xffff);
      assert.equal(fold(sumOf(part, 34, part.length, pseudoSum(1, 2, 6, part.length - 34))), 0xffff);
      assert.equal(u16(part, 18), 7 + index);
    }
    const whole = segment(10);
    assert.equal(link.port.deliver(frameOf(whole, { checksum: gso.checksum })), true);
    completeChecksum(whole, 34, 16);
    assert.deepEqual(receive.take()[0]!.bytes.subarray(netHeaderBytes), whole);
  });

  it('uses one buffer a frame when they may not be merged', () => {
    const { receive, link } = setting([guestCsum, guestTso4]);
    receive.add([], [12, 65_562]);
    assert.equal(link.port.deliver(frameOf(segment(60_000), gso)), true);
    assert.equal(receive.take()[0]!.bytes.length, 60_066);
    receive.add([], [100]);
    assert.equal(link.port.deliver(frameOf(segment(200))), true, 'it will never fit: lost');
    assert.equal(receive.take().length, 0);
  });

  it('takes a MAC and filters over the control queue', () => {
    const { control, card } = setting();
    assert.deepEqual(control.request([Uint8Array.of(1, 1), otherMac], [1]), Uint8Array.of(0));
    assert.deepEqual(card.config.subarray(0, 6), otherMac);
    assert.deepEqual(control.request([Uint8Array.of(0, 0, 1)], [1]), Uint8Array.of(0));
    assert.deepEqual(control.request([Uint8Array.of(4, 0, 2, 0)], [1]), Uint8Array.of(1));
    card.reset();
    assert.deepEqual(card.config.subarray(0, 6), mac);
  });

  it('meets another card at a hub', () => {
    const hub = new Hub();
    const cards = [mac, otherMac, Uint8Array.of(2, 0, 0, 0, 0, 3)].map((own) => {
      return new TransportFixture(new NetworkCard({ mac: own, mtu: 1500, link: hub.plug() }));
    });
    const send = (from: number, to: Uint8Array, source: Uint8Array): void => {
      const frame = segment(100);
      frame.set(to);
      frame.set(source, 6);
      cards[from]!.drivers[1]!.request([encodeNetHeader({}, 0), frame], []);
    };
    for (const card of cards.slice(0, 2)) for (let i = 0; i < 8; i++) card.drivers[0]!.add([], [1536]);
    const got = (): number[] => cards.map((card) => card.drivers[0]!.take().length);
    send(0, otherMac, mac);
    assert.deepEqual(got(), [0, 1, 0], 'an unknown MAC is looked for everywhere');
    send(1, mac, otherMac);
    assert.deepEqual(got(), [1, 0, 0], 'a known one is not');
    cards[2]!.drivers[0]!.add([], [1536]);
    cards[2]!.drivers[0]!.kick();
    assert.deepEqual(got(), [0, 0, 1], 'the flooded frame waited for room');
  });

  it('goes on after a save and a load, over the real transport', () => {
    const link = new LinkFixture();
    const make = (plug: Link): NetworkCard => new NetworkCard({ mac, mtu: 1500, link: plug });
    const parts = machineParts();
    const before = underTest(make(link), { features: [csum, guestCsum, guestTso4, mergeable, 17, 23] }, parts);
    before.driver.submit(0, [], [1000]);
    before.driver.submit(2, [Uint8Array.of(1, 1), otherMac], [1]);
    while (before.serve());
    assert.equal(link.port.deliver(frameOf(segment(1500))), false);
    const state = structuredClone(before.transport.save());
    const laterLink = new LinkFixture();
    const card = make(laterLink);
    const later = new VirtioMmio({ device: card, slot: 1, memory: parts.memory, port: parts.port });
    later.load(state);
    assert.deepEqual(card.config.subarray(0, 6), otherMac, 'the MAC that the driver chose');
    assert.equal(laterLink.port.deliver(frameOf(segment(900))), true, 'the buffer that waited is still there');
    const [completion] = before.driver.completions(0);
    assert.deepEqual(completion!.written.subarray(netHeaderBytes), segment(900));
    later.write(0x070, 4, 0);
    assert.equal(laterLink.port.deliver(frameOf(segment(900))), true, 'after a reset there is nobody to have it');
    assert.deepEqual(card.config.subarray(0, 6), mac);
  });
});
