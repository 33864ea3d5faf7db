import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import { chooseSubnet, formatSubnet, lastOf, parseSubnet, toText } from './subnet.ts';

test('subnets are read, with a gateway that is the first address or the one written', () => {
  const cases = [
    ['172.17.0.0/16', '172.17.0.0/16', '172.17.0.1', '172.17.255.255'],
    ['10.9.8.7/24', '10.9.8.0/24', '10.9.8.7', '10.9.8.255'],
    ['192.168.1.252/30', '192.168.1.252/30', '192.168.1.253', '192.168.1.255'],
    ['240.0.0.0/8', '240.0.0.0/8', '240.0.0.1', '240.255.255.255'],
  ];
  for (const [text, formatted, gateway, last] of cases) {
    const subnet = parseSubnet(text!);
    assert.deepEqual(
      [formatSubnet(subnet), toText(subnet.gateway), toText(lastOf(subnet))],
      [formatted, gateway, last],
    );
  }
});

test('what is no usable subnet is refused', () => {
  for (const text of [
    '',
    '10.0.0.0',
    '10.0.0.0/31',
    '10.0.0.0/7',
    '10.0.0/24',
    '10.0.0.0/16/2',
    'fd00::/16',
    '10.0.0.0/+9',
  ])
    assert.throws(() => parseSubnet(text), HolmError);
});

test('a subnet is chosen that overlaps nothing', () => {
  const choose = (...used: string[]): string => formatSubnet(chooseSubnet(used.map(parseSubnet)));
  assert.equal(choose(), '172.17.0.0/16');
  assert.equal(choose('172.17.42.0/24'), '172.18.0.0/16');
  assert.equal(choose('172.16.0.0/14', '172.20.0.0/16'), '172.21.0.0/16');
  assert.equal(choose('172.16.0.0/12'), '192.168.0.0/20');
  assert.equal(choose('172.16.0.0/12', '192.168.1.0/24'), '192.168.16.0/20');
  assert.throws(() => choose('172.16.0.0/12', '192.168.0.0/16'), /Cannot choose a subnet/);
});
