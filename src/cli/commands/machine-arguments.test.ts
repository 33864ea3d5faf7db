import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePort, parseShare } from './machine-arguments.ts';

describe('parsePort()', () => {
  const cases: readonly (readonly [text: string, protocol: string, address: string, host: number, guest: number])[] = [
    ['80', 'tcp', '0.0.0.0', 80, 80],
    ['8080:80', 'tcp', '0.0.0.0', 8080, 80],
    ['127.0.0.1:8080:80', 'tcp', '127.0.0.1', 8080, 80],
    ['53/udp', 'udp', '0.0.0.0', 53, 53],
    ['5353:53/udp', 'udp', '0.0.0.0', 5353, 53],
  ];
  for (const [text, protocol, hostAddress, hostPort, guestPort] of cases)
    it(`reads ${text}`, () => assert.deepEqual(parsePort(text), { protocol, hostAddress, hostPort, guestPort }));
  for (const text of ['', 'x', ':80', '80:', '80/sctp', '127.0.0.1:80', '1:2:3:4'])
    it(`refuses "${text}"`, () => assert.throws(() => parsePort(text), { kind: 'invalid' }));
});

describe('parseShare()', () => {
  it('reads a directory, its tag and its access', () => {
    assert.deepEqual(parseShare('/srv:site'), { source: '/srv', tag: 'site', readOnly: false });
    assert.deepEqual(parseShare('/srv:site:ro'), { source: '/srv', tag: 'site', readOnly: true });
  });
  for (const text of ['/srv', '/srv:', ':site', '/srv:site:rx'])
    it(`refuses "${text}"`, () => assert.throws(() => parseShare(text), { kind: 'invalid' }));
});
