import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInterfaces, readInterfaces } from './interface-usage.ts';

test('counters are read by interface, the loopback left out', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0
  eth0: 5000000001       2    3    4    5     6          7         8        9      10   11   12   13    14      15         16
`;
  assert.deepEqual(parseInterfaces(text), {
    eth0: {
      receivedBytes: 5000000001,
      receivedPackets: 2,
      receivedErrors: 3,
      receivedDropped: 4,
      sentBytes: 9,
      sentPackets: 10,
      sentErrors: 11,
      sentDropped: 12,
    },
  });
});

test('a process that is gone has none', () => {
  assert.deepEqual(readInterfaces(2 ** 22 + 1), {});
});
