import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { test } from 'node:test';
import type { Hierarchies } from './hierarchy.ts';
import { exitFiles, readUsage, wasOutOfMemory } from './usage.ts';

const stat = 'cpu  100 1 50 1000 7 0 2 9 0 0\ncpu0 50 0 25 500 3 0 1 4 0 0\ncpu1 50 1 25 500 4 0 1 5 0 0\nintr 5\n';

test('readUsage() on v2', () => {
  const h: Hierarchies = {
    unified: { mount: '/cg', controllers: ['cpu', 'io', 'memory', 'pids'] },
    v1: [],
    swap: true,
  };
  const files: Record<string, string> = {
    '/proc/stat': stat,
    '/cg/x/cpu.stat':
      'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 10\nnr_throttled 2\nthrottled_usec 77\n',
    '/cg/x/memory.current': '4096\n',
    '/cg/x/memory.peak': '8192\n',
    '/cg/x/memory.max': '67108864\n',
    '/cg/x/memory.stat': 'anon 100\ninactive_file 50\n',
    '/cg/x/pids.current': '3\n',
    '/cg/x/pids.max': 'max\n',
    '/cg/x/io.stat': '8:0 rbytes=90 wbytes=30 rios=3 wios=1 dbytes=0 dios=0\n',
  };
  const { readAt, ...usage } = readUsage(h, 'x', (path) => files[path] ?? '');
  assert.ok(readAt > 1_600_000_000_000_000_000n);
  assert.deepEqual(usage, {
    cpuTotalNanos: 1_500_000,
    cpuUserNanos: 1_000_000,
    cpuSystemNanos: 500_000,
    cpuPerCpuNanos: [],
    throttledPeriods: 2,
    throttledPeriodsOf: 10,
    throttledNanos: 77_000,
    hostCpuNanos: 11_600_000_000,
    hostCpus: 2,
    memoryBytes: 4096,
    memoryPeakBytes: 8192,
    memoryLimitBytes: 67_108_864,
    memoryStat: { anon: 100, inactive_file: 50 },
    pids: 3,
    blockIo: [
      { major: 8, minor: 0, operation: 'read', bytes: 90, operations: 3 },
      { major: 8, minor: 0, operation: 'write', bytes: 30, operations: 1 },
    ],
  });
  assert.deepEqual(exitFiles(h, 'x'), ['/cg/x/memory.events']);
});

test('readUsage() on v1', () => {
  const names = ['cpu', 'cpuacct', 'memory', 'pids', 'blkio'];
  const h: Hierarchies = { v1: names.map((name) => ({ mount: `/cg/${name}`, controllers: [name] })), swap: true };
  const files: Record<string, string> = {
    '/proc/stat': stat,
    '/cg/cpu/x/cpu.stat': 'nr_periods 4\nnr_throttled 1\nthrottled_time 99\n',
    '/cg/cpuacct/x/cpuacct.usage': '1500\n',
    '/cg/cpuacct/x/cpuacct.usage_user': '1000\n',
    '/cg/cpuacct/x/cpuacct.usage_sys': '500\n',
    '/cg/cpuacct/x/cpuacct.usage_percpu': '700 800 \n',
    '/cg/memory/x/memory.usage_in_bytes': '4096\n',
    '/cg/memory/x/memory.max_usage_in_bytes': '8192\n',
    '/cg/memory/x/memory.limit_in_bytes': '9223372036854771712\n',
    '/cg/memory/x/memory.stat': 'cache 1\ntotal_inactive_file 2\n',
    '/cg/pids/x/pids.current': '1\n',
    '/cg/pids/x/pids.max': '20\n',
    '/cg/blkio/x/blkio.throttle.io_service_bytes_recursive': '8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n',
    '/cg/blkio/x/blkio.throttle.io_serviced_recursive': '8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n',
  };
  const usage = readUsage(h, 'x', (path) => files[path] ?? '');
  assert.deepEqual(usage.cpuPerCpuNanos, [700, 800]);
  assert.deepEqual([usage.cpuTotalNanos, usage.throttledNanos, usage.throttledPeriodsOf], [1500, 99, 4]);
  assert.deepEqual([usage.memoryBytes, usage.memoryPeakBytes, usage.memoryLimitBytes], [4096, 8192, totalmem()]);
  assert.deepEqual([usage.pids, usage.pidsLimit], [1, 20]);
  assert.deepEqual(usage.blockIo, [
    { major: 8, minor: 0, operation: 'read', bytes: 10, operations: 1 },
    { major: 8, minor: 0, operation: 'write', bytes: 20, operations: 2 },
  ]);
  assert.deepEqual(exitFiles(h, 'x'), ['/cg/memory/x/memory.oom_control']);
});

test('wasOutOfMemory() reads both versions', () => {
  const cases: [string[], boolean][] = [
    [['low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n'], true],
    [['low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n'], false],
    [['oom_kill_disable 0\nunder_oom 0\noom_kill 2\n'], true],
    [['oom_kill_disable 1\nunder_oom 0\noom_kill 0\n'], false],
    [[''], false],
    [[], false],
  ];
  for (const [contents, expected] of cases) assert.equal(wasOutOfMemory(contents), expected, JSON.stringify(contents));
});
