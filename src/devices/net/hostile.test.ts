import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fold, pseudoSum, sumOf } from './checksum.ts';
import { frameOf, type Offload } from './frame.ts';
import { at, GuestFixture, guestMac } from './guest-fixture.ts';
import { ClockFixture, SocketsFixture } from './host-fixture.ts';
import { parseAddress, writeIpv4 } from './ipv4.ts';
import { setU16, setU32 } from './network-order.ts';
import { maxConnections } from './tcp-nat.ts';
import { UserStack } from './user-stack.ts';

/** A sequence that is the same in every run. */
function sequence(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const addresses = [
  '10.0.2.2',
  '10.0.2.3',
  '10.0.2.15',
  '10.0.2.255',
  '198.51.100.7',
  '127.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
];

/** A packet that is right in most of its fields, so that it comes far. */
function packet(random: (below: number) => number): Uint8Array {
  const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;
  const protocol = pick([1, 6, 6, 6, 6, 17, 17, 50]);
  const payloadBytes = pick([0, 1, 7, 8, 20, 24, 28, 40, 300, 1480, random(3000)]);
  const frame = new Uint8Array(34 + payloadBytes);
  frame.set(guestMac, 6);
  setU16(frame, 12, pick([0x0800, 0x0800, 0x0800, 0x0800, 0x0800, 0x0800, 0x0800, 0x0806, 0x86dd]));
  const source = parseAddress(pick(['10.0.2.15', '10.0.2.15', '10.0.2.15', '10.0.2.16', ...addresses]))!;
  const destination = parseAddress(pick(addresses))!;
  const fragment = random(6) === 0 ? { fragmentOffset: random(8192) * 8, moreFragments: random(2) === 0 } : {};
  const totalBytes = pick([20 + payloadBytes, 20 + payloadBytes, 20 + payloadBytes, 20 + payloadBytes, random(65_536)]);
  writeIpv4(frame, 14, { protocol, source, destination, totalBytes, identification: random(4), ...fragment });
  if (random(20) === 0) {
    frame[14] = random(256);
    setU16(frame, 24, 0);
    setU16(frame, 24, ~fold(sumOf(frame, 14, Math.min(frame.length, 14 + (frame[14]! & 15) * 4))));
  }
  for (let byte = 34; byte < frame.length; byte++) frame[byte] = random(256);
  if (protocol === 6 && payloadBytes >= 20) {
    setU16(frame, 34, 1 + random(4));
    setU16(frame, 36, pick([53, 80, random(3)]));
    setU32(frame, 38, pick([999, 1000, 1001, 1002, random(2 ** 32)]));
    setU32(frame, 42, pick([100, 101, 102, random(2 ** 32)]));
    frame[46] = pick([0x50, 0x50, 0x60, random(256)]);
    frame[47] = pick([0x02, 0x10, 0x18, 0x11, 0x04, 0x12, random(256)]);
    setU16(frame, 50, 0);
    setU16(frame, 50, ~fold(sumOf(frame, 34, frame.length, pseudoSum(source, destination, 6, payloadBytes))));
  }
  if (protocol === 17 && payloadBytes >= 8) {
    setU16(frame, 34, pick([68, 1, random(65_536)]));
    setU16(frame, 36, pick([67, 53, 80]));
    setU16(frame, 38, pick([payloadBytes, payloadBytes, random(65_536)]));
    setU16(frame, 40, 0);
  }
  return random(10) === 0 ? frame.subarray(0, random(frame.length + 1)) : frame;
}

it('the user-mode stack takes what a hostile guest sends, within its bounds, and works on', () => {
  const random = sequence(20_240_607);
  const sockets = new SocketsFixture();
  const clock = new ClockFixture();
  const stack = new UserStack({ sockets, clock, random: () => 100, hostLoopback: true });
  const guest = new GuestFixture(stack);
  guest.verifies = false;
  for (let turn = 0; turn < 6000; turn++) {
    const frame = packet(random);
    const offload: Offload =
      random(3) === 0 ? { valid: true } : random(3) === 0 ? { checksum: { start: 34, offset: 16 } } : {};
    stack.send(frameOf(frame, offload));
    const stream = sockets.streams[random(Math.max(1, sockets.streams.length))];
    // The host is as odd as the guest, but keeps to the contract: nothing after the end or a reset.
    if (stream?.state === 'open') {
      const event = random(30);
      if (event < 8) stream.events.connected();
      else if (event < 12) stream.events.received(new Uint8Array(random(70_000)));
      else if (event === 12) stream.holds = !stream.holds;
      else if (event === 13) stream.release();
    }
    sockets.udp[random(sockets.udp.length + 1)]?.received(new Uint8Array(random(3000)), {
      host: '192.0.2.53',
      port: 53,
    });
    guest.room = random(4) === 0 ? random(3) : 50;
    if (turn % 16 === 0) {
      guest.flush();
      guest.packets.length = guest.frames.length = 0;
    }
    if (turn % 500 === 0) clock.advance(1000);
    assert.ok(stack.tcp.connections <= maxConnections && stack.udp.flows <= 1024);
  }
  const reached = new Set(sockets.streams.map(({ to }) => to.host));
  for (const address of ['10.0.2.2', '10.0.2.15', '224.0.0.1']) assert.ok(!reached.has(address), address);
  assert.ok(reached.has('198.51.100.7'), 'the packets came far enough to call');
  guest.room = Number.POSITIVE_INFINITY;
  guest.verifies = true;
  stack.resume();
  const before = sockets.streams.length;
  const tcp = guest.connect(50_000, at('198.51.100.7', 80));
  sockets.streams[before]!.events.connected();
  guest.flush();
  tcp.send('still there?');
  assert.equal(sockets.streams[before]!.text(), 'still there?');
  sockets.streams[before]!.events.received(new TextEncoder().encode('yes'));
  guest.flush();
  assert.equal(tcp.text(), 'yes');
  stack.close();
  assert.equal(clock.timers, 0);
});
