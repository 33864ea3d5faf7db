import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  capabilityNames,
  capabilitySet,
  capabilitySteps,
  defaultCapabilities,
  effectiveCapabilities,
  namesOf,
  processCapabilities,
  readHostCapabilities,
} from './capabilities.ts';

const every = (1n << 41n) - 1n;
const withoutResource = every & ~capabilitySet(['SYS_RESOURCE']);

test('numbers are those of linux/capability.h', () => {
  assert.equal(capabilityNames.length, 41);
  const known = { CAP_CHOWN: 0, CAP_SYS_ADMIN: 21, CAP_SYS_RESOURCE: 24, CAP_MKNOD: 27, CAP_SETFCAP: 31, CAP_BPF: 39 };
  for (const [name, number] of Object.entries(known)) assert.equal(capabilityNames[number], name);
  // What `docker run` shows as CapBnd.
  assert.equal(defaultCapabilities, 0xa80425fbn);
});

test('effectiveCapabilities() counts as docker does', () => {
  const cases: [string[], string[], boolean, bigint, bigint][] = [
    [[], [], false, every, defaultCapabilities],
    [['net_admin'], [], false, every, defaultCapabilities | capabilitySet(['NET_ADMIN'])],
    [['CAP_Sys_Time'], ['CHOWN'], false, every, (defaultCapabilities & ~1n) | capabilitySet(['SYS_TIME'])],
    [['CHOWN'], ['all'], false, every, 1n],
    [['ALL'], ['CHOWN'], false, every, every & ~1n],
    [['ALL'], ['ALL'], false, every, every],
    [['ALL'], [], false, withoutResource, withoutResource],
    [['MKNOD'], ['MKNOD'], false, every, defaultCapabilities],
    [[], ['SYS_RESOURCE'], false, withoutResource, defaultCapabilities],
    [[], [], true, withoutResource, withoutResource],
    [[], [], false, 1n, 1n],
  ];
  for (const [added, dropped, privileged, available, expected] of cases) {
    assert.equal(effectiveCapabilities({ added, dropped, privileged, available }), expected, `${added} -${dropped}`);
  }
});

test('effectiveCapabilities() refuses what is unknown or asked by name and not to be had', () => {
  const request = { dropped: [], privileged: false, available: withoutResource };
  assert.throws(
    () => effectiveCapabilities({ ...request, added: ['foo'] }),
    /^HolmError: unknown capability: "CAP_FOO"$/,
  );
  assert.throws(
    () => effectiveCapabilities({ ...request, added: ['SYS_RESOURCE'] }),
    /not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"/,
  );
});

test('capabilitySteps() for root: bounding set cut, then capset', () => {
  const sets = processCapabilities(defaultCapabilities, 0);
  const { before, after } = capabilitySteps(sets, 0, withoutResource);
  assert.equal(before.length, 40 - 14);
  assert.deepEqual(before[0]!.args, [24, 2, 0, 0, 0]);
  assert.ok(!before.some(({ what }) => what.includes('SYS_RESOURCE')), 'what the host lacks needs no drop');
  assert.deepEqual(
    after.map(({ call }) => call),
    ['capset', 'prctl'],
  );
  const data = Buffer.from(after[0]!.args[1] as Uint8Array);
  assert.equal(data.readUInt32LE(0), 0xa80425fb);
  assert.equal(data.readUInt32LE(4), 0xa80425fb);
  assert.equal(data.readUInt32LE(8), 0);
  assert.equal(data.readUInt32LE(12), 0);
  assert.equal(Buffer.from(after[0]!.args[0] as Uint8Array).toString('hex'), '2205082000000000');
});

test('capabilitySteps() for others: nothing held, unless ambient capabilities are asked for', () => {
  const plain = capabilitySteps(processCapabilities(defaultCapabilities, 1000), 1000, every);
  assert.ok(plain.before.every(({ args }) => args[0] === 24));
  assert.equal(Buffer.from(plain.after[0]!.args[1] as Uint8Array).toString('hex'), '00'.repeat(24));
  const set = capabilitySet(['NET_BIND_SERVICE', 'BPF']);
  const sets = { bounding: set, effective: set, permitted: set, inheritable: set, ambient: set };
  const kept = capabilitySteps(sets, 1000, every);
  assert.deepEqual(kept.before.at(-1)!.args, [8, 1, 0, 0, 0]);
  assert.deepEqual(
    kept.after.slice(2).map(({ args }) => args[2]),
    [10, 39],
  );
  const data = Buffer.from(kept.after[0]!.args[1] as Uint8Array);
  assert.equal(data.readUInt32LE(12), 1 << 7);
});

test('readHostCapabilities() reads CapBnd', () => {
  assert.equal(
    readHostCapabilities('Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n'),
    withoutResource,
  );
  assert.throws(() => readHostCapabilities('Name:\tx\n'), /no CapBnd/);
  assert.deepEqual(namesOf(1n), ['CAP_CHOWN']);
});
