import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileDeviceRules,
  type DeviceRule,
  defaultDeviceRules,
  deviceAccess,
  deviceRule,
  everyDevice,
  parseDeviceRule,
} from './devices.ts';

const bits: Record<string, number> = { m: 1, r: 2, w: 4 };

/** Carries the eBPF program out for one request, as the kernel does; true if it lets the device be used. */
function run(program: Uint8Array, type: 'b' | 'c', major: number, minor: number, access: string): boolean {
  const code = Buffer.from(program);
  const asked = [...access].reduce((sum, letter) => sum | bits[letter]!, 0);
  const context = [(asked << 16) | (type === 'b' ? 1 : 2), major, minor];
  // Only what was written may be read: the verifier's first rule.
  const registers: (bigint | undefined)[] = Array.from({ length: 11 });
  registers[1] = 0n;
  const value = (at: number): bigint => registers[at] ?? assert.fail(`register ${at} is read before it is written`);
  for (let at = 0, steps = 0; steps < 10_000; at++, steps++) {
    const destination = code.readUInt8(at * 8 + 1) & 15;
    const source = code.readUInt8(at * 8 + 1) >> 4;
    const [offset, immediate] = [code.readInt16LE(at * 8 + 2), code.readInt32LE(at * 8 + 4)];
    switch (code.readUInt8(at * 8)) {
      case 0x61:
        assert.equal(source, 1);
        registers[destination] = BigInt(context[offset / 4]!);
        break;
      case 0xb7:
        registers[destination] = BigInt.asUintN(64, BigInt(immediate));
        break;
      case 0xbf:
        registers[destination] = value(source);
        break;
      case 0x54:
        registers[destination] = BigInt.asUintN(32, value(destination) & BigInt.asUintN(32, BigInt(immediate)));
        break;
      case 0x74:
        registers[destination] = BigInt.asUintN(32, value(destination)) >> BigInt(immediate);
        break;
      case 0x55:
        if (value(destination) !== BigInt.asUintN(64, BigInt(immediate))) at += offset;
        break;
      case 0x15:
        if (value(destination) === BigInt.asUintN(64, BigInt(immediate))) at += offset;
        break;
      case 0x95:
        return value(0) === 1n;
      default:
        assert.fail(`unknown operation ${code.readUInt8(at * 8)}`);
    }
  }
  assert.fail('the program does not end');
}

/** The same without the program: for each access the last rule that fits it decides. */
function evaluate(
  rules: readonly DeviceRule[],
  type: 'b' | 'c',
  major: number,
  minor: number,
  access: string,
): boolean {
  return [...access].every((letter) => {
    const last = rules.findLast(
      (rule) =>
        (rule.type === 'all' || rule.type === (type === 'b' ? 'block' : 'char')) &&
        (rule.major ?? major) === major &&
        (rule.minor ?? minor) === minor &&
        rule.access.includes(letter),
    );
    return last?.allow ?? false;
  });
}

test('docker’s default devices', () => {
  const { program } = deviceAccess(defaultDeviceRules);
  const cases: ['b' | 'c', number, number, string, boolean][] = [
    ['c', 1, 3, 'rw', true],
    ['c', 1, 9, 'r', true],
    ['c', 5, 2, 'rwm', true],
    ['c', 136, 77, 'rw', true],
    ['c', 1, 1, 'r', false], // mem
    ['c', 1, 11, 'r', false], // kmsg
    ['c', 10, 229, 'rw', false], // fuse
    ['b', 8, 0, 'r', false],
    ['b', 8, 0, 'm', true],
    ['c', 1, 1, 'm', true],
    ['b', 8, 0, 'rm', false],
  ];
  for (const [type, major, minor, access, expected] of cases) {
    assert.equal(run(program, type, major, minor, access), expected, `${type} ${major}:${minor} ${access}`);
  }
});

test('the program and a plain reading agree, whatever the rules', () => {
  const deny = (rule: DeviceRule): DeviceRule => ({ ...rule, allow: false });
  const lists: DeviceRule[][] = [
    [],
    [...everyDevice],
    [...everyDevice, deny(parseDeviceRule('b 8:* w'))],
    [parseDeviceRule('c 1:3 r'), parseDeviceRule('c 1:3 w')],
    [parseDeviceRule('c *:* rw'), deny(parseDeviceRule('c 1:* w')), parseDeviceRule('c 1:3 w')],
    [deny(everyDevice[0]!), parseDeviceRule('b 8:1 rwm'), deny(parseDeviceRule('b 8:1 m'))],
    [...defaultDeviceRules, deviceRule('block', 8, 0, 'r'), deny({ allow: true, type: 'all', access: 'm' })],
  ];
  for (const rules of lists) {
    const program = compileDeviceRules(rules);
    for (const type of ['b', 'c'] as const) {
      for (const major of [1, 8, 136]) {
        for (const minor of [0, 1, 3]) {
          for (const access of ['r', 'w', 'm', 'rw', 'rm', 'rwm']) {
            const got = run(program, type, major, minor, access);
            assert.equal(got, evaluate(rules, type, major, minor, access), `${type} ${major}:${minor} ${access}`);
          }
        }
      }
    }
  }
});

test('the same rules for v1', () => {
  const rules = [parseDeviceRule('c 1:3 rwm'), { ...parseDeviceRule('b 8:* w'), allow: false }];
  assert.deepEqual(deviceAccess(rules).writes, [
    { file: 'devices.deny', value: 'a' },
    { file: 'devices.allow', value: 'c 1:3 rwm' },
    { file: 'devices.deny', value: 'b 8:* w' },
  ]);
  assert.deepEqual(deviceAccess(everyDevice).writes.at(-1), { file: 'devices.allow', value: 'a' });
});

test('rules that make no sense are refused', () => {
  for (const text of ['', 'c', 'x 1:3 r', 'c 1:3', 'c 1 r', 'c 1:3 q', 'c 1:3 rwmr', 'c -1:3 r']) {
    assert.throws(() => parseDeviceRule(text), /invalid device cgroup rule format: '/, text);
  }
  assert.throws(() => deviceRule('char', 1, 3, ''), /invalid device mode/);
  assert.deepEqual(parseDeviceRule('a *:* r'), { allow: true, type: 'all', access: 'rwm' });
});
