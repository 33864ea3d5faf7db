// The bytes of nft(8) 1.0.6 were seen with strace(1) (-e write=all) when it loaded the lines that stand beside them; only
// the sequence number is set to ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { act, ctState, match, word } from './expressions.ts';
import { decodeMessages, encodeMessages, listAttributes, type Message } from './message.ts';
import {
  addElements,
  addRule,
  createChain,
  createSet,
  createTable,
  decodeChains,
  type NamedSet,
  priorities,
  removeElements,
  transaction,
} from './nftables.ts';
import { countAcks } from './program.ts';

const table = 'holm';
const bridges: NamedSet = { table, name: 'bridges', id: 1, key: ['ifname'] };
const subnets: NamedSet = { table, name: 'subnets', id: 2, key: ['ipv4_addr'], interval: true };
const within: NamedSet = { table, name: 'within', id: 3, key: ['ifname', 'ifname'] };
const ports: NamedSet = {
  table,
  name: 'ports',
  id: 4,
  key: ['inet_proto', 'ipv4_addr', 'inet_service'],
  value: ['ipv4_addr', 'inet_service'],
};
const ranges: NamedSet = { table, name: 'ranges', id: 5, key: ['ipv4_addr', 'inet_service'], interval: true };
const name = Buffer.alloc(16);
name.write('holm0');

const hexOf = (message: Message): string => Buffer.from(encodeMessages([message]).bytes).toString('hex');

test('messages are those of nft', () => {
  const cases: [line: string, message: Message, hex: string][] = [
    [
      'table ip holm',
      createTable(table),
      '28000000000a010001000000000000000200000009000100686f6c6d000000000800020000000000',
    ],
    [
      'chain side',
      createChain({ table, name: 'side' }),
      '2c000000030a010401000000000000000200000009000100686f6c6d00000000090003007369646500000000',
    ],
    [
      'chain forward { type filter hook forward priority filter; }',
      createChain({ table, name: 'forward', base: { type: 'filter', hook: 'forward', priority: priorities.filter } }),
      '54000000030a010401000000000000000200000009000100686f6c6d000000000c000300666f727761726400' +
        '0b00070066696c746572000008000500000000011400048008000100000000020800020000000000',
    ],
    [
      'chain prerouting { type nat hook prerouting priority dstnat; }',
      createChain({
        table,
        name: 'prerouting',
        base: { type: 'nat', hook: 'prerouting', priority: priorities.dstnat },
      }),
      '54000000030a010401000000000000000200000009000100686f6c6d000000000f000300707265726f757469' +
        '6e670000080007006e617400080005000000000114000480080001000000000008000200ffffff9c',
    ],
    [
      'set bridges { type ifname; }',
      createSet(bridges),
      '58000000090a010401000000000000000200000009000100686f6c6d000000000c0002006272696467657300' +
        '08000300000000000800040000000029080005000000001008000a00000000010a000d000004010000000000',
    ],
    [
      'elements = { "holm0" }',
      addElements(bridges, [{ key: ['holm0'] }]),
      '540000000c0a010401000000000000000200000009000100686f6c6d000000000c0002006272696467657300' +
        '0800040000000001200003801c0001801800018014000100686f6c6d300000000000000000000000',
    ],
    [
      'set subnets { type ipv4_addr; flags interval; }',
      createSet(subnets),
      '58000000090a010401000000000000000200000009000100686f6c6d000000000c0002007375626e65747300' +
        '08000300000000040800040000000007080005000000000408000a00000000020a000d000004020000000000',
    ],
    [
      'elements = { "holm0" . "holm0" }',
      addElements(within, [{ key: ['holm0', 'holm0'] }]),
      '640000000c0a010401000000000000000200000009000100686f6c6d000000000b00020077697468696e0000' +
        '0800040000000003300003802c0001802800018024000100686f6c6d300000000000000000000000686f6c6d' +
        '300000000000000000000000',
    ],
    [
      'elements = { tcp . 192.0.2.2 . 8080 : 172.17.0.2 . 80 }',
      addElements(ports, [{ key: [6, '192.0.2.2', 8080], value: ['172.17.0.2', 80] }]),
      '600000000c0a010401000000000000000200000009000100686f6c6d000000000a000200706f727473000000' +
        '08000400000000042c00038028000180140001801000010006000000c00002021f900000100002800c000100' +
        'ac11000200500000',
    ],
    [
      'elements = { 10.0.0.0/8 . 80-90 }',
      addElements(ranges, [{ key: ['10.0.0.0', 80], last: ['10.255.255.255', 90] }]),
      '5c0000000c0a010401000000000000000200000009000100686f6c6d000000000b00020072616e6765730000' +
        '08000400000000052800038024000180100001800c0001000a0000000050000010000a800c0001000affffff' +
        '005a0000',
    ],
    [
      'counter return',
      addRule(table, 'side', [act.counter(), act.verdict('return')]),
      '74000000060a010c01000000000000000200000009000100686f6c6d00000000090002007369646500000000' +
        '48000480140001800c000100636f756e7465720004000280300001800e000100696d6d656469617465000000' +
        '1c0002800800010000000000100002800c00028008000100fffffffb',
    ],
    [
      'oifname @bridges ct state established,related counter accept',
      addRule(table, 'forward', [
        match.meta('oifname'),
        match.lookup(bridges),
        match.ct('state'),
        match.mask(word(ctState.established | ctState.related)),
        match.compare('notEqual', word(0)),
        act.counter(),
        act.verdict('accept'),
      ]),
      '58010000060a010c01000000000000000200000009000100686f6c6d000000000c000200666f727761726400' +
        '2c01048024000180090001006d65746100000000140002800800020000000007080001000000000130000180' +
        '0b0001006c6f6f6b757000002000028008000200000000010c00010062726964676573000800040000000001' +
        '2000018007000100637400001400028008000200000000000800010000000001440001800c00010062697477' +
        '69736500340002800800010000000001080002000000000108000300000000040c0004800800010006000000' +
        '0c00058008000100000000002c00018008000100636d70002000028008000100000000010800020000000001' +
        '0c0003800800010000000000140001800c000100636f756e7465720004000280300001800e000100696d6d65' +
        '64696174650000001c0002800800010000000000100002800c0002800800010000000001',
    ],
    [
      'iifname . oifname @within accept',
      addRule(table, 'forward', [
        match.meta('iifname'),
        match.meta('oifname', 2),
        match.lookup(within),
        act.verdict('accept'),
      ]),
      'd8000000060a010c01000000000000000200000009000100686f6c6d000000000c000200666f727761726400' +
        'ac00048024000180090001006d65746100000000140002800800020000000006080001000000000124000180' +
        '090001006d657461000000001400028008000200000000070800010000000002300001800b0001006c6f6f6b' +
        '757000002000028008000200000000010b00010077697468696e00000800040000000003300001800e000100' +
        '696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000001',
    ],
    [
      'iifname "holm0" jump side',
      addRule(table, 'forward', [match.meta('iifname'), match.compare('equal', name), act.verdict('jump', 'side')]),
      'c8000000060a010c01000000000000000200000009000100686f6c6d000000000c000200666f727761726400' +
        '9c00048024000180090001006d65746100000000140002800800020000000006080001000000000138000180' +
        '08000100636d70002c000280080001000000000108000200000000001800038014000100686f6c6d30000000' +
        '00000000000000003c0001800e000100696d6d6564696174650000002800028008000100000000001c000280' +
        '1800028008000100fffffffd090002007369646500000000',
    ],
    [
      'oifname != @bridges ip saddr @subnets masquerade',
      addRule(table, 'postrouting', [
        match.meta('oifname'),
        match.lookup(bridges, { not: true }),
        match.payload('network', 12, 4),
        match.lookup(subnets),
        act.masquerade(),
      ]),
      '08010000060a010c01000000000000000200000009000100686f6c6d0000000010000200706f7374726f7574' +
        '696e6700d800048024000180090001006d657461000000001400028008000200000000070800010000000001' +
        '380001800b0001006c6f6f6b757000002800028008000200000000010c000100627269646765730008000400' +
        '000000010800050000000001340001800c0001007061796c6f61640024000280080001000000000108000200' +
        '00000001080003000000000c0800040000000004300001800b0001006c6f6f6b757000002000028008000200' +
        '000000010c0001007375626e65747300080004000000000214000180090001006d6173710000000004000280',
    ],
    [
      'fib daddr type local dnat ip to ip protocol . ip daddr . th dport map @ports',
      addRule(table, 'prerouting', [
        match.fibDestinationType(),
        match.compare('equal', word(2)),
        match.payload('network', 9, 1),
        match.payload('network', 16, 4, 9),
        match.payload('transport', 2, 2, 10),
        match.lookup(ports, { to: 1 }),
        act.nat('destination', 1, 9),
      ]),
      '8c010000060a010c01000000000000000200000009000100686f6c6d000000000f000200707265726f757469' +
        '6e6700005c0104802800018008000100666962001c0002800800030000000002080002000000000308000100' +
        '000000012c00018008000100636d700020000280080001000000000108000200000000000c00038008000100' +
        '02000000340001800c0001007061796c6f616400240002800800010000000001080002000000000108000300' +
        '000000090800040000000001340001800c0001007061796c6f61640024000280080001000000000908000200' +
        '0000000108000300000000100800040000000004340001800c0001007061796c6f6164002400028008000100' +
        '0000000a080002000000000208000300000000020800040000000002380001800b0001006c6f6f6b75700000' +
        '28000280080002000000000108000300000000010a000100706f727473000000080004000000000430000180' +
        '080001006e617400240002800800010000000001080002000000000208000300000000010800050000000009',
    ],
  ];
  for (const [line, message, hex] of cases) assert.equal(hexOf(message), hex, line);
});

/** The attributes of a message; not NFTA_SET_USERDATA (13), in which nft keeps more than we do. */
const withoutUserdata = (bytes: Uint8Array): (string | number)[][] =>
  listAttributes(decodeMessages(bytes)[0]!.payload, 4)
    .filter(([type]) => type !== 13)
    .map(([type, value]) => [type, Buffer.from(value).toString('hex')]);

test('sets of concatenations are those of nft', () => {
  const cases: [set: NamedSet, hex: string][] = [
    [
      ports,
      '88000000090a010401000000000000000200000009000100686f6c6d000000000a000200706f727473000000' +
        '0800030000000008080004000000c1cd080005000000000c08000600000001cd080007000000000808000a00' +
        '000000042a000d00000400000000010400000000030800040d0000000100040800040d000000010006040000' +
        '00000000',
    ],
    [
      ranges,
      '80000000090a010401000000000000000200000009000100686f6c6d000000000b00020072616e6765730000' +
        '080003000000008408000400000001cd080005000000000808000a0000000005200009801c0002800c000180' +
        '08000100000000040c000180080001000000000214000d00000400000000030800040d0000000100',
    ],
  ];
  for (const [set, hex] of cases)
    assert.deepEqual(
      withoutUserdata(encodeMessages([createSet(set)]).bytes),
      withoutUserdata(Buffer.from(hex, 'hex')),
      set.name,
    );
});

test('a range of one field ends before the key after it, or nowhere', () => {
  const keysOf = (first: string, last: string): string[] => {
    const [message] = decodeMessages(encodeMessages([removeElements(subnets, [{ key: [first], last: [last] }])]).bytes);
    const [, , elements] = listAttributes(message!.payload, 4);
    return listAttributes(elements![1]).map(([, element]) => Buffer.from(element).toString('hex').slice(-8));
  };
  assert.deepEqual(keysOf('172.17.0.0', '172.17.255.255'), ['ac110000', 'ac120000']);
  assert.deepEqual(keysOf('255.0.0.0', '255.255.255.255'), ['ff000000']);
});

test('a transaction is framed and acknowledged once', () => {
  const messages = transaction([createTable(table), createSet(bridges)]);
  assert.deepEqual(
    messages.map(({ type }) => type),
    [0x10, 0xa00, 0xa09, 0x11],
  );
  assert.equal(countAcks(messages), 1);
  assert.equal(hexOf(messages[0]!), '140000001000010001000000000000000000000a');
});

test('chains are decoded', () => {
  const told = encodeMessages([createChain({ table, name: 'router' }), createTable('other')]).bytes;
  assert.deepEqual(decodeChains(decodeMessages(told)), [{ table, name: 'router' }]);
});
