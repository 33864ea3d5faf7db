import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Program, register } from '../kernel/steps.ts';
import { createSteps, freezeSteps, joinSteps, parentSteps, removeSteps, updateSteps } from './group.ts';
import type { Hierarchies } from './hierarchy.ts';

const v2: Hierarchies = {
  unified: { mount: '/cg', controllers: ['cpuset', 'cpu', 'io', 'memory', 'pids', 'rdma'] },
  v1: [],
  swap: true,
};
const hybrid: Hierarchies = {
  unified: { mount: '/cg/unified', controllers: [] },
  v1: ['cpu', 'cpuset', 'memory', 'devices', 'freezer'].map((name) => ({ mount: `/cg/${name}`, controllers: [name] })),
  cpuset: { cpus: '0-1', mems: '0' },
  swap: true,
};
const v1: Hierarchies = { ...hybrid, unified: undefined } as unknown as Hierarchies;
delete (v1 as { unified?: unknown }).unified;

/** One line a step: what it does to which path, and how many steps a failure passes over. */
function lines(program: Program): string[] {
  return program.map(({ call, args, skipOnFailure, skipOnSuccess }) => {
    const path = String(args[call === 'device_filter' ? 0 : 1]).replace('[object Object]', 'register');
    const value = call === 'write_file' ? ` ${Buffer.from(args[2] as Uint8Array)}` : '';
    const skips = `${skipOnFailure === undefined ? '' : ` -${skipOnFailure}`}${skipOnSuccess === undefined ? '' : ` +${skipOnSuccess}`}`;
    return `${call} ${path}${value}${skips}`;
  });
}

const devices = { program: new Uint8Array(8), writes: [{ file: 'devices.deny', value: 'a' }] };

test('createSteps() on v2', () => {
  const program = createSteps(v2, 'holm/id', { memoryBytes: 8 << 20, pids: 9 }, { devices, directory: register(3) });
  assert.deepEqual(lines(program), [
    'mkdirat /cg/holm -10',
    ...['/cg', '/cg/holm'].flatMap((directory) =>
      ['cpu', 'cpuset', 'memory', 'pids', 'io'].map(
        (name) => `write_file ${directory}/cgroup.subtree_control +${name}`,
      ),
    ),
    'mkdirat /cg/holm/id',
    'write_file /cg/holm/id/memory.max 8388608',
    'write_file /cg/holm/id/memory.swap.max 8388608',
    'write_file /cg/holm/id/pids.max 9',
    'openat2 /cg/holm/id',
    'device_filter register',
  ]);
  assert.deepEqual(program.at(-2)!.result, register(3));
  assert.equal(program.find(({ what }) => what.includes('memory limit'))!.what, 'set memory limit 8m');
  assert.deepEqual(lines(joinSteps(v2, 'holm/id')), []);
});

test('createSteps() on v1 with an empty v2 beside', () => {
  const program = createSteps(hybrid, 'holm/id', { cpuShares: 2 }, { devices, directory: register(3) });
  const names = ['unified', 'cpu', 'cpuset', 'memory', 'devices', 'freezer'];
  assert.deepEqual(lines(program), [
    ...names.slice(0, -1).map((name) => `mkdirat /cg/${name}/holm`),
    'mkdirat /cg/freezer/holm -3',
    'write_file /cg/cpuset/holm/cpuset.cpus 0-1',
    'write_file /cg/cpuset/holm/cpuset.mems 0',
    'write_file /cg/cpuset/holm/cgroup.clone_children 1',
    ...names.map((name) => `mkdirat /cg/${name}/holm/id`),
    'write_file /cg/cpu/holm/id/cpu.shares 2',
    'openat2 /cg/unified/holm/id',
    'write_file /cg/devices/holm/id/devices.deny a',
  ]);
  assert.deepEqual(lines(joinSteps(hybrid, 'holm/id')), [
    ...names.slice(1).map((name) => `write_file /cg/${name}/holm/id/tasks 0`),
  ]);
  assert.equal(
    lines(joinSteps(hybrid, 'holm/id', { unified: true })).at(-1),
    'write_file /cg/unified/holm/id/cgroup.procs 0',
  );
});

test('createSteps() on v1 alone opens no directory', () => {
  assert.ok(createSteps(v1, 'holm/id', {}, { directory: register(3) }).every(({ result }) => result === undefined));
});

test('a group in a deeper directory: every level is prepared by the one who makes it', () => {
  assert.deepEqual(
    lines(createSteps(v2, 'a/b/id', {})).filter((line) => line.startsWith('mkdirat')),
    ['mkdirat /cg/a -10', 'mkdirat /cg/a/b -10', 'mkdirat /cg/a/b/id'],
  );
  const prepared = lines(parentSteps(v2, 'a/b'));
  assert.ok(prepared.includes('write_file /cg/a/b/cgroup.subtree_control +memory'));
  assert.ok(!prepared.some((line) => / -\d+$/.test(line)));
});

test('updateSteps() writes what differs, removeSteps() and freezeSteps() what they say', () => {
  assert.deepEqual(lines(updateSteps(v2, 'holm/id', { pids: 1, cpuShares: 5 }, { pids: 2, cpuShares: 5 })), [
    'write_file /cg/holm/id/pids.max 2',
  ]);
  assert.deepEqual(lines(removeSteps(v2, 'holm/id')), ['unlinkat /cg/holm/id']);
  assert.deepEqual(lines(freezeSteps(v2, 'holm/id')), ['write_file /cg/holm/id/cgroup.freeze 1']);
  assert.deepEqual(lines(freezeSteps(v1, 'holm/id')), ['write_file /cg/freezer/holm/id/freezer.state FROZEN']);
});

test('block I/O weight: without a scheduler that keeps one nothing fails', () => {
  const program = createSteps(v2, 'holm/id', { blockWeight: 10 });
  assert.deepEqual(lines(program).slice(-2), [
    'write_file /cg/holm/id/io.bfq.weight 10 +1',
    'write_file /cg/holm/id/io.weight 1',
  ]);
  assert.ok(program.slice(-2).every(({ tolerate }) => tolerate?.includes(2 as never)));
});
