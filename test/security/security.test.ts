// What src/security computes, carried out by the kernel: filters it accepts and that do what they say, masks over a real
// /proc, capabilities gone, device programs that the verifier takes. Each program runs in a child of the keeper.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { detectHierarchies } from '../../src/cgroups/hierarchy.ts';
import { removeCgroup } from '../../src/cgroups/kill.ts';
import * as linux from '../../src/kernel/constants.ts';
import type { Outcome } from '../../src/kernel/kernel.ts';
import { type Program, type Register, Registers, register, step } from '../../src/kernel/steps.ts';
import {
  capabilitySteps,
  defaultCapabilities,
  processCapabilities,
  readHostCapabilities,
} from '../../src/security/capabilities.ts';
import { type DeviceRule, defaultDeviceRules, deviceAccess, everyDevice } from '../../src/security/devices.ts';
import { checkNullDevice, defaultMaskedPaths, defaultReadonlyPaths, maskSteps } from '../../src/security/masks.ts';
import { keyringSteps, noNewPrivilegesSteps } from '../../src/security/process.ts';
import { oomScoreSteps, rlimitSteps } from '../../src/security/rlimits.ts';
import { compileSeccomp, hostSeccompTarget, seccompSteps } from '../../src/security/seccomp.ts';
import { parseSeccompProfile } from '../../src/security/seccomp-json.ts';
import { defaultProfile } from '../../src/security/seccomp-profile.ts';
import { testKeeper } from '../keeper/client.ts';

const keeper = await testKeeper();
const { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_WRONLY, errno } = linux;
const fd = register(20);

async function inChild(program: Program): Promise<Outcome> {
  const fork = keeper.kernel.fork(program);
  fork.input.end();
  for await (const _ of fork.output);
  return await fork.outcome;
}

function openHow(flags: number, resolve = 0): Buffer {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return how;
}

/** Opens a path and reads it; the output is that of the second of the two steps. */
function readFile(path: string, directory: Register | number = AT_FDCWD): Program {
  return [
    step('openat2', [directory, path, openHow(O_RDONLY), 24], `open "${path}"`, { result: fd }),
    step('read', [fd, { outBytes: 8192 }, 8192], `read "${path}"`),
  ];
}

function lastOutput(outcome: Outcome, program: Program): string {
  return Buffer.from(outcome.output(program.length - 1) ?? [])
    .toString('utf8')
    .replace(/\0+$/, '');
}

test('the default seccomp filter is taken by the kernel, and forbids', async () => {
  const filter = compileSeccomp(defaultProfile, hostSeccompTarget(defaultCapabilities));
  const [unshared, mounted, masked] = [register(1), register(2), register(3)];
  const outcome = await inChild([
    ...seccompSteps(filter),
    step('unshare', [linux.CLONE_NEWUTS], 'unshare', { tolerate: 'any', result: unshared }),
    step('mount', ['none', '/', null, linux.MS_PRIVATE, null], 'mount', { tolerate: 'any', result: mounted }),
    step('umask', [0o77], 'set the umask', { result: masked }),
  ]);
  assert.equal(outcome.register(unshared), -errno.EPERM);
  assert.equal(outcome.register(mounted), -errno.EPERM);
  assert.ok(outcome.register(masked) >= 0);
});

test("a user's filter decides by argument", async () => {
  const json = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["umask"],"action":"SCMP_ACT_ERRNO","errnoRet":95,
    "args":[{"index":0,"value":7,"valueTwo":5,"op":"SCMP_CMP_MASKED_EQ"}]}]}`;
  const filter = compileSeccomp(parseSeccompProfile(json), hostSeccompTarget(0n));
  const [one, two] = [register(1), register(2)];
  const outcome = await inChild([
    ...noNewPrivilegesSteps(),
    ...seccompSteps(filter),
    step('umask', [0o15], 'umask', { tolerate: 'any', result: one }),
    step('umask', [0o16], 'umask', { tolerate: 'any', result: two }),
  ]);
  assert.equal(outcome.register(one), -errno.EOPNOTSUPP);
  assert.ok(outcome.register(two) >= 0);
});

test('capabilities: what is left is what was asked', async () => {
  const available = readHostCapabilities();
  for (const uid of [0, 1000]) {
    const { before, after } = capabilitySteps(
      processCapabilities(defaultCapabilities & available, uid),
      uid,
      available,
    );
    const program = [
      ...before,
      step('setgroups', [0, null], 'set groups'),
      step('setresgid', [uid, uid, uid], 'set group'),
      step('setresuid', [uid, uid, uid], 'set user'),
      ...after,
      ...readFile('/proc/self/status'),
    ];
    const status = lastOutput(await inChild(program), program);
    const set = (name: string): bigint => BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(status)![1]}`);
    const wanted = defaultCapabilities & available;
    assert.equal(set('CapBnd'), wanted);
    for (const name of ['CapEff', 'CapPrm']) assert.equal(set(name), uid === 0 ? wanted : 0n, `${name} of ${uid}`);
    for (const name of ['CapInh', 'CapAmb']) assert.equal(set(name), 0n, name);
  }
});

test('capabilities: ambient ones outlive the change of user', async () => {
  const set = 1n << 10n;
  const sets = { bounding: set, effective: set, permitted: set, inheritable: set, ambient: set };
  const { before, after } = capabilitySteps(sets, 1000, readHostCapabilities());
  const user = step('setresuid', [1000, 1000, 1000], 'set user');
  const program = [...before, user, ...after, ...readFile('/proc/self/status')];
  const status = lastOutput(await inChild(program), program);
  for (const name of ['CapEff', 'CapPrm', 'CapInh', 'CapAmb', 'CapBnd']) {
    assert.match(status, new RegExp(`^${name}:\\s*0000000000000400$`, 'm'));
  }
});

/** A mount namespace of its own with a new procfs and sysfs below a directory, whose descriptor is in `root`. */
function newRoot(directory: string, root: Register): Program {
  for (const name of ['proc', 'sys', 'empty']) mkdirSync(join(directory, name), { recursive: true });
  return [
    step('unshare', [linux.CLONE_NEWNS], 'unshare'),
    step('mount', [null, '/', null, linux.MS_REC | linux.MS_PRIVATE, null], 'make private'),
    step('mount', ['proc', join(directory, 'proc'), 'proc', 0, null], 'mount proc'),
    step('mount', ['sysfs', join(directory, 'sys'), 'sysfs', 0, null], 'mount sysfs'),
    step('openat2', [AT_FDCWD, directory, openHow(linux.O_PATH), 24], 'open root', { result: root }),
  ];
}

test('masked paths show nothing, read-only ones cannot be written, missing ones do not matter', async () => {
  checkNullDevice();
  const directory = keeper.newDirectory();
  writeFileSync(join(directory, 'secret'), 'secret');
  mkdirSync(join(directory, 'hidden'));
  writeFileSync(join(directory, 'hidden', 'inside'), 'x');
  const root = register(0);
  const masked = [...defaultMaskedPaths(), '/secret', '/hidden', '/not/there', '/secret/below'];
  const [wrote, made, opened, written] = [register(1), register(2), register(3), register(4)];
  const program = [
    ...newRoot(directory, root),
    ...maskSteps(root, masked, [...defaultReadonlyPaths, '/not/there'], new Registers(5)),
    step('write_file', [root, 'proc/sys/kernel/domainname', Buffer.from('x'), O_WRONLY], 'write', {
      tolerate: 'any',
      result: wrote,
    }),
    step('mkdirat', [root, 'hidden/new', 0o755], 'make', { tolerate: 'any', result: made }),
    step('openat2', [root, 'hidden/inside', openHow(O_RDONLY), 24], 'open', { tolerate: 'any', result: opened }),
    step('write_file', [root, 'secret', Buffer.from('y'), O_WRONLY], 'write', { result: written }),
    ...readFile('secret', root),
  ];
  const outcome = await inChild(program);
  assert.equal(outcome.register(wrote), -errno.EROFS);
  assert.equal(outcome.register(made), -errno.EROFS);
  assert.equal(outcome.register(opened), -errno.ENOENT);
  assert.equal(lastOutput(outcome, program), '');
  assert.equal(readFileSync(join(directory, 'secret'), 'utf8'), 'secret');
  const kcore = [
    ...newRoot(directory, root),
    ...maskSteps(root, defaultMaskedPaths(), [], new Registers(5)),
    ...readFile('proc/kcore', root),
  ];
  if (existsSync('/proc/kcore')) assert.equal(lastOutput(await inChild(kcore), kcore), '');
});

test('no descriptor is left by masking, and its registers are given back', async () => {
  const directory = keeper.newDirectory();
  const root = register(0);
  const registers = new Registers(1);
  const [before, after] = [register(18), register(19)];
  const open = (result: Register): Program => [
    step('openat2', [AT_FDCWD, '/', openHow(linux.O_PATH), 24], 'open', { result }),
    step('close', [result], 'close'),
  ];
  const outcome = await inChild([
    ...newRoot(directory, root),
    ...open(before),
    ...maskSteps(root, defaultMaskedPaths(), defaultReadonlyPaths, registers),
    ...open(after),
  ]);
  assert.equal(outcome.register(after), outcome.register(before));
  assert.equal(registers.acquire().register <= 4, true);
});

test('a symbolic link on the way to a masked or read-only path stops the start', async () => {
  const directory = keeper.newDirectory();
  mkdirSync(join(directory, 'real'));
  writeFileSync(join(directory, 'real', 'file'), 'x');
  symlinkSync('real', join(directory, 'link'));
  symlinkSync('/etc/passwd', join(directory, 'absolute'));
  const root = register(0);
  for (const path of ['/link', '/link/file', '/absolute', '/proc/self/root']) {
    for (const [masked, readonly] of [
      [[path], []],
      [[], [path]],
    ] as const) {
      const program = [...newRoot(directory, root), ...maskSteps(root, masked, readonly, new Registers(5))];
      await assert.rejects(inChild(program), /Cannot open ".*" beneath the root: ELOOP from openat2/, path);
    }
  }
});

test('limits, score, keyring', async () => {
  const program = [
    ...rlimitSteps(
      [
        { name: 'nofile', soft: 100, hard: 200 },
        { name: 'core', soft: 0, hard: 0 },
      ],
      true,
    ),
    // Without CAP_SYS_RESOURCE it cannot be raised again: no error where nobody asked.
    ...rlimitSteps([{ name: 'nofile', soft: 1_000_000, hard: 1_000_000 }], false),
    ...oomScoreSteps(500, true),
    ...oomScoreSteps(0, false),
    ...keyringSteps('test'),
    ...readFile('/proc/self/limits'),
  ];
  const limits = lastOutput(await inChild(program), program);
  assert.match(limits, /Max open files\s+(100\s+200|1000000\s+1000000) /);
  assert.match(limits, /Max core file size\s+0\s+0 /);
  if ((readHostCapabilities() & (1n << 24n)) === 0n) {
    const raise = [
      ...rlimitSteps([{ name: 'core', soft: 0, hard: 0 }], true),
      ...rlimitSteps([{ name: 'core', soft: -1, hard: -1 }], true),
    ];
    await assert.rejects(inChild(raise), /Cannot set ulimit core=-1:-1: EPERM from prlimit64/);
  }
});

test('the verifier takes the device programs, and they decide', async (t) => {
  const hierarchies = detectHierarchies();
  const { unified } = hierarchies;
  if (unified === undefined) {
    t.skip('this host has no cgroup v2');
    return;
  }
  const denied: DeviceRule = { allow: false, type: 'char', major: 1, minor: 3, access: 'w' };
  const cases: [readonly DeviceRule[], nullRead: boolean, nullWrite: boolean, kmsg: boolean][] = [
    [defaultDeviceRules, true, true, false],
    [everyDevice, true, true, true],
    [[], false, false, false],
    [[...defaultDeviceRules, denied], true, false, false],
  ];
  for (const [at, [rules, ...expected]] of cases.entries()) {
    const path = `holm-test-${process.pid}-${at}`;
    const group = `${unified.mount}/${path}`;
    mkdirSync(group);
    try {
      const opened = [register(1), register(2), register(3)];
      const open = (device: string, flags: number, result: Register): Program => [
        step('openat2', [AT_FDCWD, device, openHow(flags), 24], 'open', { result, tolerate: [errno.EPERM] }),
      ];
      const outcome = await inChild([
        step('write_file', [AT_FDCWD, `${group}/cgroup.procs`, Buffer.from('0'), O_WRONLY], 'join'),
        step('openat2', [AT_FDCWD, group, openHow(O_RDONLY), 24], 'open the group', { result: fd }),
        step('device_filter', [fd, deviceAccess(rules).program], 'set device rules'),
        ...open('/dev/null', O_RDONLY, opened[0]!),
        ...open('/dev/null', O_WRONLY, opened[1]!),
        ...open('/dev/kmsg', O_RDONLY, opened[2]!),
      ]);
      const got = opened.map((result) => outcome.register(result) >= 0);
      assert.deepEqual(got, expected, String(at));
    } finally {
      await removeCgroup({ unified, v1: [], swap: false }, path);
    }
  }
});
