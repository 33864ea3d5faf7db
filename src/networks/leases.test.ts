import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import { Leases } from './leases.ts';
import { parseSubnet, toNumber, toText } from './subnet.ts';

test('addresses go round, so that a returned one rests', () => {
  const leases = new Leases(parseSubnet('10.0.0.0/29'));
  const acquire = (): string => {
    const address = leases.next();
    leases.claim(address);
    return toText(address);
  };
  assert.deepEqual([acquire(), acquire(), acquire()], ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  leases.release(toNumber('10.0.0.2'));
  leases.release(toNumber('10.0.0.3'));
  assert.deepEqual([acquire(), acquire(), acquire(), acquire()], ['10.0.0.5', '10.0.0.6', '10.0.0.2', '10.0.0.3']);
  assert.throws(acquire, HolmError);
  leases.release(toNumber('10.0.0.1')); // the gateway's own is never given
  assert.throws(acquire, HolmError);
  leases.release(toNumber('10.0.0.5'));
  assert.equal(acquire(), '10.0.0.5');
});

test('recorded addresses are not given again', () => {
  const leases = new Leases(parseSubnet('10.0.0.6/29'));
  for (const address of ['10.0.0.2', '10.0.0.4']) leases.claim(toNumber(address));
  assert.equal(toText(leases.next()), '10.0.0.5');
  leases.claim(toNumber('10.0.0.5'));
  assert.equal(toText(leases.next()), '10.0.0.1');
});
