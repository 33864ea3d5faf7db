import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import { formatAddress, formatMac, parseAddress, parseMac } from './address.ts';

test('addresses are read and written', () => {
  const cases = [
    ['172.17.0.1', 'ac110001', '172.17.0.1'],
    ['::', '00'.repeat(16), '::'],
    ['::1', `${'00'.repeat(15)}01`, '::1'],
    ['fd00::1:0:0:2', 'fd000000000000000001000000000002', 'fd00::1:0:0:2'],
    ['2001:DB8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201', '::ffff:c000:201'],
    ['fe80::', `fe80${'00'.repeat(14)}`, 'fe80::'],
  ];
  for (const [text, hex, formatted] of cases) {
    assert.equal(Buffer.from(parseAddress(text!)).toString('hex'), hex);
    assert.equal(formatAddress(Buffer.from(hex!, 'hex')), formatted);
  }
});

test('what is no address is refused', () => {
  for (const text of ['', '1.2.3', '1.2.3.256', 'fe80::1%eth0', ':::', 'name'])
    assert.throws(() => parseAddress(text), HolmError);
  for (const text of ['', '02:42:ac:11:00', '02:42:ac:11:00:0g', '0242ac110001'])
    assert.throws(() => parseMac(text), HolmError);
});

test('Ethernet addresses are read and written', () => {
  assert.equal(formatMac(parseMac('02-42-AC-11-00-02')), '02:42:ac:11:00:02');
});
