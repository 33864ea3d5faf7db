// The bytes of iproute2 6.1.0 were seen with strace(1) (-e write=all) on the commands that stand beside them; only the
// sequence number is set to ours. The dumps came from Linux 6.18.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestPid, register } from '../kernel/steps.ts';
import { changeLink, createLink, decodeLinks, removeLink } from './link.ts';
import { attribute, decodeMessages, encodeMessages, type Message } from './message.ts';
import { addAddress, addRoute, decodeAddresses, decodeRoutes } from './route.ts';

const hexOf = (message: Message): string => Buffer.from(encodeMessages([message]).bytes).toString('hex');

test('messages are those of iproute2', () => {
  const veth = createLink(
    { name: 'holm0123456789a', mtu: 1500, master: 2, up: true },
    { is: 'veth', peer: { name: 'eth0', macAddress: '02:42:ac:11:00:02', mtu: 1500, namespace: { pid: 27837 } } },
  );
  const cases: [command: string, message: Message, hex: string][] = [
    [
      'ip link add holm0 address 02:42:ac:11:00:01 type bridge forward_delay 0 mcast_snooping 0',
      createLink({ name: 'holm0', macAddress: '02:42:ac:11:00:01' }, { is: 'bridge', multicastSnooping: false }),
      '5c000000100005060100000000000000000000000000000000000000000000000a0001000242ac1100010000' +
        '0a000300686f6c6d30000000240012000a000100627269646765000014000200080001000000000005001700' +
        '00000000',
    ],
    [
      'ip link add d0 type dummy',
      createLink({ name: 'd0' }, { is: 'dummy' }),
      '3800000010000506010000000000000000000000000000000000000000000000070003006430000010001200' +
        '0900010064756d6d79000000',
    ],
    [
      'ip link add holm0123456789a mtu 1500 master holm0 up type veth peer eth0 address 02:42:ac:11:00:02 mtu 1500 netns 27837',
      veth,
      '900000001000050601000000000000000000000000000000010000000100000008000400dc05000008000a00' +
        '0200000014000300686f6c6d3031323334353637383961004c0012000800010076657468400002003c000100' +
        '000000000000000000000000000000000a0001000242ac110002000008000400dc05000008001300bd6c0000' +
        '090003006574683000000000',
    ],
    [
      'ip link set lo up',
      changeLink({ index: 1, up: true }),
      '2000000010000500010000000000000000000000010000000100000001000000',
    ],
    [
      'ip link set dev eth0 mtu 1400 name eth7',
      changeLink({ index: 3, mtu: 1400, name: 'eth7' }),
      '3400000010000500010000000000000000000000030000000000000000000000080004007805000009000300' + '6574683700000000',
    ],
    [
      'ip link del holm0123456789a',
      removeLink({ index: 4 }),
      '2000000011000500010000000000000000000000040000000000000000000000',
    ],
    [
      'ip addr replace 172.17.0.1/16 brd + dev holm0',
      addAddress({ index: 2, address: '172.17.0.1', prefixLength: 16 }),
      '30000000140005050100000000000000021000000200000008000200ac11000108000100ac11000108000400' + 'ac11ffff',
    ],
    [
      'ip addr replace fd00::1/64 dev holm0',
      addAddress({ index: 2, address: 'fd00::1', prefixLength: 64 }),
      '400000001400050501000000000000000a4000000200000014000200fd000000000000000000000000000001' +
        '14000100fd000000000000000000000000000001',
    ],
    [
      'ip route add default via 172.17.0.5',
      addRoute({ gateway: '172.17.0.5' }),
      '2400000018000506010000000000000002000000fe0300010000000008000500ac110005',
    ],
    [
      'ip route add 10.0.0.0/8 via 172.17.0.5 dev holm0',
      addRoute({ destination: '10.0.0.0', prefixLength: 8, gateway: '172.17.0.5', link: 2 }),
      '3400000018000506010000000000000002080000fe03000100000000080001000a00000008000500ac110005' + '0800040002000000',
    ],
  ];
  for (const [command, message, hex] of cases) assert.equal(hexOf(message), hex, command);
});

test('a namespace may be one that a register will name', () => {
  for (const namespace of [{ pid: guestPid }, { fd: register(31) }]) {
    const { bytes, patches } = encodeMessages([
      createLink({ name: 'a' }, { is: 'veth', peer: { name: 'b', namespace } }),
    ]);
    assert.equal(patches.length, 1);
    assert.equal(patches[0]!.register.register, 31);
    const type = Buffer.from(bytes).readUInt16LE(patches[0]!.offset - 2);
    assert.equal(type, 'pid' in namespace ? 19 : 28); // IFLA_NET_NS_PID, IFLA_NET_NS_FD
  }
});

test('a name that the kernel would cut is refused', () => {
  assert.throws(() => createLink({ name: 'a23456789012345x' }, { is: 'dummy' }), RangeError);
});

test('links are decoded', () => {
  const statistics = Buffer.alloc(200);
  for (let field = 0; field < 8; field++) statistics.writeBigUInt64LE(BigInt(field + 1), field * 8);
  const { parts } = createLink(
    { index: 4, name: 'holm0123456789a', up: true, mtu: 1500, macAddress: '02:42:ac:11:00:02', master: 2 },
    { is: 'veth', peer: {} },
  );
  const told = {
    type: 16,
    flags: 0,
    parts: [...parts, attribute.u8(16, 6), attribute.u32(5, 32), attribute.bytes(23, statistics)],
  };
  assert.deepEqual(decodeLinks(decodeMessages(encodeMessages([told]).bytes)), [
    {
      index: 4,
      name: 'holm0123456789a',
      up: true,
      operational: true,
      mtu: 1500,
      macAddress: '02:42:ac:11:00:02',
      master: 2,
      peer: 32,
      kind: 'veth',
      statistics: {
        receivedPackets: 1,
        sentPackets: 2,
        receivedBytes: 3,
        sentBytes: 4,
        receivedErrors: 5,
        sentErrors: 6,
        receivedDropped: 7,
        sentDropped: 8,
      },
    },
  ]);
});

test('addresses are decoded', () => {
  const hex =
    '500000001400020001000000006b0000021080000200000008000100ac11000108000200ac1100010a000300686f6c6d30000000' +
    '080008008000000014000600ffffffffffffffff9905030099050300';
  assert.deepEqual(decodeAddresses(decodeMessages(Buffer.from(hex, 'hex'))), [
    { index: 2, address: '172.17.0.1', prefixLength: 16 },
  ]);
});

test('routes are decoded, those of the main table', () => {
  const hex =
    '340000001800020001000000006b000002000000fe0300010000000008000f00fe00000008000500ac1100050800040002000000' +
    '3c0000001800020001000000006b000002100000fe02fd010000000008000f00fe00000008000100ac11000008000700ac110001' +
    '08000400020000003c0000001800020001000000006b000002200000ff02fe020000000008000f00ff00000008000100ac110001' +
    '08000700ac1100010800040002000000';
  assert.deepEqual(decodeRoutes(decodeMessages(Buffer.from(hex, 'hex'))), [
    { prefixLength: 0, gateway: '172.17.0.5', link: 2 },
    { prefixLength: 16, destination: '172.17.0.0', link: 2 },
  ]);
});
