import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appArmorSteps, keyringSteps } from './process.ts';
import { oomScoreSteps, rlimitSteps } from './rlimits.ts';
import { defaultProfile } from './seccomp-profile.ts';
import { chosenProfile, parseSecurityOptions } from './security-options.ts';

const none = { appArmor: false, selinux: false };
const both = { appArmor: true, selinux: true };
const nothing = { noNewPrivileges: false, unconfinedPaths: false };

test('parseSecurityOptions() reads docker’s words', () => {
  const json = '{"defaultAction":"SCMP_ACT_ALLOW"}';
  const cases: [string[], typeof none, object][] = [
    [[], none, nothing],
    [['no-new-privileges'], none, { ...nothing, noNewPrivileges: true }],
    [['no-new-privileges:true'], none, { ...nothing, noNewPrivileges: true }],
    [['no-new-privileges=1'], none, { ...nothing, noNewPrivileges: true }],
    [['no-new-privileges', 'no-new-privileges:false'], none, nothing],
    [['seccomp=unconfined'], none, { ...nothing, seccomp: 'unconfined' }],
    [['seccomp:unconfined'], none, { ...nothing, seccomp: 'unconfined' }],
    [['seccomp=builtin'], none, { ...nothing, seccomp: defaultProfile }],
    [[`seccomp=${json}`], none, { ...nothing, seccomp: JSON.parse(json) }],
    [['systempaths=unconfined'], none, { ...nothing, unconfinedPaths: true }],
    [['apparmor=mine', 'label=type:x', 'label=disable', 'disable'], none, nothing],
    [['apparmor=mine'], both, { ...nothing, appArmorProfile: 'mine' }],
    [['apparmor=unconfined', 'label=disable'], both, nothing],
  ];
  for (const [options, modules, expected] of cases) {
    assert.deepEqual(parseSecurityOptions(options, modules), expected, options.join(' '));
  }
});

test('parseSecurityOptions() refuses the rest in docker’s words', () => {
  const cases: [string, RegExp][] = [
    ['nonsense', /^HolmError: invalid --security-opt 1: "nonsense"$/],
    ['no-new-privileges=maybe', /^HolmError: invalid --security-opt 2: "no-new-privileges=maybe"$/],
    ['foo=bar', /^HolmError: invalid --security-opt 2: "foo=bar"$/],
    ['systempaths=confined', /invalid --security-opt 2/],
    ['seccomp={', /Decoding seccomp profile failed/],
    ['label=type:x', /does not set SELinux labels/],
  ];
  for (const [option, expected] of cases) assert.throws(() => parseSecurityOptions([option], both), expected, option);
});

test('chosenProfile(): the default for all but the privileged, unless something was asked', () => {
  assert.equal(chosenProfile(nothing, false), defaultProfile);
  assert.equal(chosenProfile(nothing, true), undefined);
  assert.equal(chosenProfile({ ...nothing, seccomp: 'unconfined' }, false), undefined);
  assert.equal(chosenProfile({ ...nothing, seccomp: defaultProfile }, true), defaultProfile);
});

test('rlimits and the out-of-memory score', () => {
  const [one, two] = rlimitSteps(
    [
      { name: 'NOFILE', soft: 10, hard: 2 ** 40 },
      { name: 'core', soft: -1, hard: -1 },
    ],
    true,
  );
  assert.deepEqual(one!.args.slice(0, 2), [0, 7]);
  assert.equal(Buffer.from(one!.args[2] as Uint8Array).toString('hex'), '0a000000000000000000000000010000');
  assert.equal(Buffer.from(two!.args[2] as Uint8Array).toString('hex'), 'ff'.repeat(16));
  assert.equal(one!.tolerate, undefined);
  assert.deepEqual(rlimitSteps([{ name: 'rttime', soft: 1, hard: 1 }], false)[0]!.tolerate, [1]);
  assert.throws(() => rlimitSteps([{ name: 'files', soft: 1, hard: 1 }], true), /invalid ulimit type: files/);
  assert.throws(() => rlimitSteps([{ name: 'core', soft: 2, hard: 1 }], true), /soft limit must be less than/);
  assert.throws(() => rlimitSteps([{ name: 'core', soft: -1, hard: 1 }], true), /unlimited > 1/);
  assert.throws(() => oomScoreSteps(1001, true), /Invalid value 1001, range for oom score adj is \[-1000, 1000\]/);
  assert.equal(Buffer.from(oomScoreSteps(-5, false)[0]!.args[2] as Uint8Array).toString(), '-5');
});

test('keyring and AppArmor', () => {
  assert.deepEqual(keyringSteps('id')[0]!.args, [1, '_ses.id', 0, 0, 0]);
  const [first, second] = appArmorSteps('mine');
  assert.equal(first!.skipOnSuccess, 1);
  assert.equal(second!.args[1], '/proc/self/attr/exec');
});
