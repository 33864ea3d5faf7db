import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Program } from '../kernel/steps.ts';
import { cloneFlags, enterNamespaces, joinsPids, type Namespaces, openNamespaces, userRegister } from './namespaces.ts';

const plain: Namespaces = {
  mount: 'new',
  pid: 'new',
  network: 'new',
  ipc: 'new',
  uts: 'new',
  user: 'host',
  cgroup: 'new',
  time: 'host',
};
const [user, time, cgroup] = [0x10000000, 0x80, 0x2000000];

function joins(program: Program): unknown[] {
  return program.filter(({ call }) => call === 'setns').map(({ args }) => args[1]);
}

test('the clone makes what is new, but the cgroup and the time namespace', () => {
  assert.equal(cloneFlags(plain), 0x6c020000);
  assert.equal(cloneFlags({ ...plain, user: 'new', time: 'new' }), 0x7c020000);
  assert.equal(cloneFlags(plain) & cgroup, 0);
  assert.equal(cloneFlags({ ...plain, network: 'host' }), 0x2c020000);
});

test("a start with another guest's users is cloned among them, and joins the rest itself", () => {
  const shared = {
    ...plain,
    user: { pid: 7, guard: '/run/x' },
    network: { pid: 7, guard: '/run/x' },
    time: { pid: 8, guard: '/run/y' },
  };
  assert.deepEqual(userRegister(shared), { register: 20 });
  assert.deepEqual(
    openNamespaces(shared).map(({ call, args }) => [call, args[0]]),
    [
      ['pidfd_open', 7],
      ['statx', -100],
      ['pidfd_open', 8],
      ['statx', -100],
    ],
  );
  assert.deepEqual(joins(enterNamespaces(shared)), [0x40000000, time]);
  assert.equal(userRegister(plain), undefined);
});

test('an exec joins all of its container in one call, its users too', () => {
  const one = { pid: 7, guard: '/run/x' };
  const all: Namespaces = {
    mount: one,
    pid: one,
    network: one,
    ipc: one,
    uts: one,
    user: one,
    cgroup: one,
    time: one,
  };
  assert.equal(userRegister(all), undefined);
  assert.deepEqual(joins(openNamespaces(all)), []);
  assert.deepEqual(joins(enterNamespaces(all)), [0x7e020080]);
  assert.ok(joinsPids(all) && !joinsPids(plain));
  const [opened, found] = openNamespaces(all);
  assert.equal(opened?.kind, 'conflict');
  assert.deepEqual([found?.args[1], found?.kind], ['/run/x/guard.sock', 'conflict']);
  assert.equal((joins(enterNamespaces(all))[0] as number) & user, user);
});
