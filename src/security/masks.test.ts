import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Program, Registers, register } from '../kernel/steps.ts';
import { checkNullDevice, defaultMaskedPaths, maskSteps } from './masks.ts';

const root = register(0);

/** The calls that a program makes when the listed paths are directories, files, or missing. */
function follow(program: Program, kinds: Record<string, 'directory' | 'file'>): string[] {
  const made: string[] = [];
  const directoryFlag = process.arch === 'arm64' ? 0o40000n : 0o200000n;
  for (let at = 0; at < program.length; at++) {
    const { call, args, tolerate, skipOnFailure = 0, skipOnSuccess = 0 } = program[at]!;
    const path = String(args[1]);
    const kind = path === '/dev/null' ? 'file' : kinds[path];
    const wantsDirectory =
      call === 'openat2' && (Buffer.from(args[2] as Uint8Array).readBigUInt64LE(0) & directoryFlag) !== 0n;
    const fails = call === 'openat2' && (kind === undefined || (wantsDirectory && kind === 'file'));
    if (fails) assert.ok(Array.isArray(tolerate) && tolerate.includes(2) && tolerate.includes(20));
    made.push(call === 'openat2' ? `${fails ? 'no ' : ''}open ${path}` : call);
    at += fails ? skipOnFailure : skipOnSuccess;
  }
  return made;
}

test('maskSteps(): a file, a directory, nothing', () => {
  const program = maskSteps(root, ['/file', '/directory', '/none'], ['/sys', '/gone'], new Registers(1));
  assert.deepEqual(follow(program, { '/file': 'file', '/directory': 'directory', '/sys': 'directory' }), [
    'open /sys',
    'open_tree',
    'mount_setattr',
    'move_mount',
    'close',
    'close',
    'no open /gone',
    'open /dev/null',
    'no open /file',
    'open /file',
    'open_tree',
    'move_mount',
    'close',
    'close',
    'open /directory',
    'fsopen',
    'fsconfig',
    'fsconfig',
    'fsmount',
    'move_mount',
    'close',
    'close',
    'close',
    'no open /none',
    'no open /none',
    'close',
  ]);
});

test('maskSteps() opens paths beneath the root and follows no link', () => {
  const program = maskSteps(root, ['/proc/kcore'], ['/proc/sys'], new Registers(1));
  const opened = program.filter(({ call, args }) => call === 'openat2' && args[1] !== '/dev/null');
  assert.equal(opened.length, 3);
  for (const { args } of opened) {
    assert.equal(args[0], root);
    assert.equal(Buffer.from(args[2] as Uint8Array).readBigUInt64LE(16), 16n | 4n | 2n);
    assert.equal(args[3], 24);
  }
  for (const { call } of program) assert.notEqual(call, 'mount');
  assert.deepEqual(maskSteps(root, [], [], new Registers(1)), []);
});

test('defaultMaskedPaths() names the thermal files of the CPUs that have them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holm-cpus-'));
  try {
    mkdirSync(join(directory, 'cpu0', 'thermal_throttle'), { recursive: true });
    mkdirSync(join(directory, 'cpu1'));
    mkdirSync(join(directory, 'cpufreq', 'thermal_throttle'), { recursive: true });
    const paths = defaultMaskedPaths(directory);
    assert.deepEqual(paths.slice(-2), ['/sys/devices/virtual/powercap', `${directory}/cpu0/thermal_throttle`]);
    assert.ok(paths.includes('/proc/kcore') && paths.includes('/proc/interrupts'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('checkNullDevice() takes nothing but 1:3', () => {
  checkNullDevice();
  for (const path of ['/dev/zero', '/etc/passwd'])
    assert.throws(() => checkNullDevice(path), /not the character device/);
});
