import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkPath,
  detectHierarchies,
  directoriesOf,
  groupOfProcess,
  type Hierarchies,
  locate,
  modeOf,
} from './hierarchy.ts';

const v2Only = `22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`;
const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/net_cls,net_prio rw,relatime - cgroup cgroup rw,net_cls,net_prio
37 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
38 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;
const files: Record<string, string> = {
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids rdma\n',
  '/sys/fs/cgroup/unified/cgroup.controllers': '\n',
  '/sys/fs/cgroup/cpuset/cpuset.cpus': '0-3\n',
  '/sys/fs/cgroup/cpuset/cpuset.mems': '0\n',
  '/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes': '9223372036854771712\n',
};
const read = (path: string): string => files[path] ?? '';
const cpu = { v1: 'cpu', v2: 'cpu' };

test('detectHierarchies() of v2 alone', () => {
  const found = detectHierarchies(v2Only, read);
  assert.equal(modeOf(found), 'v2');
  assert.deepEqual(found, {
    unified: { mount: '/sys/fs/cgroup', controllers: ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma'] },
    v1: [],
    swap: true,
  } satisfies Hierarchies);
  assert.deepEqual(locate(found, cpu, 'holm/x'), { version: 2, directory: '/sys/fs/cgroup/holm/x' });
  assert.equal(locate(found, { v1: 'freezer' }, 'x'), undefined);
});

test('detectHierarchies() of v1 beside an empty v2', () => {
  const found = detectHierarchies(hybrid, read);
  assert.equal(modeOf(found), 'hybrid');
  assert.deepEqual(found, {
    unified: { mount: '/sys/fs/cgroup/unified', controllers: [] },
    v1: [
      { mount: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'] },
      { mount: '/sys/fs/cgroup/cpuset', controllers: ['cpuset'] },
      { mount: '/sys/fs/cgroup/memory', controllers: ['memory'] },
    ],
    cpuset: { cpus: '0-3', mems: '0' },
    swap: true,
  } satisfies Hierarchies);
  assert.deepEqual(locate(found, cpu, 'holm/x'), { version: 1, directory: '/sys/fs/cgroup/cpu,cpuacct/holm/x' });
  assert.equal(locate(found, { v1: 'pids', v2: 'pids' }, 'x'), undefined);
  assert.deepEqual(directoriesOf(found, 'a'), [
    '/sys/fs/cgroup/unified/a',
    '/sys/fs/cgroup/cpu,cpuacct/a',
    '/sys/fs/cgroup/cpuset/a',
    '/sys/fs/cgroup/memory/a',
  ]);
});

test('detectHierarchies() of v1 alone, mounted twice and with a space in its name', () => {
  const found = detectHierarchies(
    `35 31 0:32 / /sys/fs/cgroup/me\\040mory rw - cgroup cgroup rw,memory
99 31 0:32 / /mnt/again rw - cgroup cgroup rw,memory\n`,
    read,
  );
  assert.equal(modeOf(found), 'v1');
  assert.deepEqual(found, { v1: [{ mount: '/sys/fs/cgroup/me mory', controllers: ['memory'] }], swap: false });
});

test('no hierarchy at all is an error', () => {
  assert.throws(() => detectHierarchies('22 1 8:1 / / rw - ext4 /dev/sda1 rw\n', read), /none is mounted/);
});

test('checkPath() lets only plain paths through', () => {
  for (const path of ['holm', 'holm/abc', 'a/b/c']) checkPath(path);
  for (const path of ['', '/', '/holm', 'holm/', 'holm//a', '..', 'holm/../x', 'a/.', 'a\nb']) {
    assert.throws(() => checkPath(path), /Cannot use cgroup path/, path);
  }
});

test('groupOfProcess() finds where a guest that divided its group on v2 keeps its first process', () => {
  const v2 = { unified: { mount: '/cg', controllers: ['memory'] }, v1: [], swap: true };
  const hybrid = { ...v2, v1: [{ mount: '/cg/pids', controllers: ['pids'] }] };
  const cases: [hierarchies: Hierarchies, cgroup: string, group: string][] = [
    [v2, '0::/holm/a\n', 'holm/a'],
    [v2, '0::/holm/a/init\n', 'holm/a/init'],
    [v2, '0::/holm/ab/init\n', 'holm/a'],
    [v2, '0::/\n', 'holm/a'],
    [v2, '', 'holm/a'],
    [hybrid, '4:pids:/holm/a/x\n0::/holm/a/x\n', 'holm/a'],
  ];
  for (const [hierarchies, cgroup, group] of cases) {
    const read = (path: string): string => (path === '/proc/7/cgroup' ? cgroup : '');
    assert.equal(groupOfProcess(hierarchies, 'holm/a', 7, read), group, cgroup);
  }
});
