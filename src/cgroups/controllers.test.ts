import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Controller, type Limits, parsePairs, type Write } from './controller.ts';
import { cpu, weightOfShares } from './cpu.ts';
import { cpuset } from './cpuset.ts';
import { io, ioWeightOf, numberOfDevice } from './io.ts';
import { formatLimit, memory } from './memory.ts';
import { pids } from './pids.ts';

const mebibyte = 1024 * 1024;
const deviceNumber = (path: string): string => (path === '/dev/sda' ? '8:0' : '8:16');

function written(writes: Write[]): string[] {
  return writes.flatMap((one) => [
    `${one.file}=${one.value}`,
    ...(one.instead === undefined ? [] : written([one.instead]).map((text) => `or ${text}`)),
  ]);
}

const cases: [Controller, Limits, Limits, v2: string[], v1: string[]][] = [
  [cpu, {}, {}, [], []],
  [cpu, { cpuShares: 1024 }, {}, ['cpu.weight=100'], ['cpu.shares=1024']],
  [cpu, {}, { cpuShares: 512 }, ['cpu.weight=100'], ['cpu.shares=1024']],
  [cpu, { cpuNanos: 1.5e9 }, {}, ['cpu.max=150000 100000'], ['cpu.cfs_quota_us=150000']],
  [cpu, {}, { cpuNanos: 1e9 }, ['cpu.max=max 100000'], ['cpu.cfs_quota_us=-1']],
  [
    cpu,
    { cpuPeriodMicros: 50_000, cpuQuotaMicros: 25_000 },
    {},
    ['cpu.max=25000 50000'],
    ['cpu.cfs_period_us=50000', 'cpu.cfs_quota_us=25000', 'cpu.cfs_period_us=50000'],
  ],
  [cpu, { cpuQuotaMicros: 25_000 }, {}, ['cpu.max=25000 100000'], ['cpu.cfs_quota_us=25000']],
  [cpu, { cpuNanos: 1e9 }, { cpuNanos: 1e9 }, [], []],
  [cpuset, { cpusetCpus: '0-1' }, {}, ['cpuset.cpus=0-1'], ['cpuset.cpus=0-1']],
  [
    cpuset,
    { cpusetCpus: '0', cpusetMems: '0' },
    { cpusetCpus: '1', cpusetMems: '0' },
    ['cpuset.cpus=0'],
    ['cpuset.cpus=0'],
  ],
  [
    memory,
    { memoryBytes: 64 * mebibyte },
    {},
    ['memory.max=67108864', 'memory.swap.max=67108864'],
    ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=134217728'],
  ],
  [
    memory,
    { memoryBytes: 64 * mebibyte, memorySwapBytes: 64 * mebibyte },
    {},
    ['memory.max=67108864', 'memory.swap.max=0'],
    ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=67108864'],
  ],
  [
    memory,
    { memoryBytes: 64 * mebibyte, memorySwapBytes: -1 },
    {},
    ['memory.max=67108864'],
    ['memory.limit_in_bytes=67108864'],
  ],
  [
    memory,
    { memoryBytes: 128 * mebibyte },
    { memoryBytes: 64 * mebibyte },
    ['memory.max=134217728', 'memory.swap.max=134217728'],
    ['memory.memsw.limit_in_bytes=268435456', 'memory.limit_in_bytes=134217728'],
  ],
  [
    memory,
    { memoryBytes: 32 * mebibyte },
    { memoryBytes: 64 * mebibyte },
    ['memory.max=33554432', 'memory.swap.max=33554432'],
    ['memory.limit_in_bytes=33554432', 'memory.memsw.limit_in_bytes=67108864'],
  ],
  [
    memory,
    {},
    { memoryBytes: 64 * mebibyte },
    ['memory.max=max', 'memory.swap.max=max'],
    ['memory.memsw.limit_in_bytes=-1', 'memory.limit_in_bytes=-1'],
  ],
  [
    memory,
    { memoryReservationBytes: mebibyte, memorySwappiness: 0, oomKillDisable: true },
    {},
    ['memory.low=1048576'],
    ['memory.soft_limit_in_bytes=1048576', 'memory.swappiness=0', 'memory.oom_control=1'],
  ],
  [pids, { pids: 100 }, {}, ['pids.max=100'], ['pids.max=100']],
  [pids, { pids: -1 }, {}, [], []],
  [pids, { pids: 0 }, { pids: 5 }, ['pids.max=max'], ['pids.max=max']],
  [
    io,
    { blockWeight: 500 },
    {},
    ['io.bfq.weight=500', 'or io.weight=4950'],
    ['blkio.bfq.weight=500', 'or blkio.weight=500'],
  ],
  [
    io,
    {
      blockLimits: [
        { device: '/dev/sda', kind: 'readBytes', rate: 1000 },
        { device: '/dev/sdb', kind: 'writeOperations', rate: 5 },
      ],
    },
    { blockLimits: [{ device: '/dev/sda', kind: 'writeBytes', rate: 7 }] },
    ['io.max=8:0 rbps=1000', 'io.max=8:16 wiops=5', 'io.max=8:0 wbps=max'],
    [
      'blkio.throttle.read_bps_device=8:0 1000',
      'blkio.throttle.write_iops_device=8:16 5',
      'blkio.throttle.write_bps_device=8:0 0',
    ],
  ],
];

test('what each controller writes', () => {
  for (const [controller, limits, before, v2, v1] of cases) {
    const name = `${controller.v1} ${JSON.stringify(limits)} after ${JSON.stringify(before)}`;
    assert.deepEqual(written(controller.writesV2(limits, before, deviceNumber)), v2, `v2 ${name}`);
    assert.deepEqual(written(controller.writesV1(limits, before, deviceNumber)), v1, `v1 ${name}`);
  }
});

test('swap that the kernel does not count is an error only where a limit of it was asked for', () => {
  const swapWrite = (limits: Limits): Write => memory.writesV1(limits, {}, deviceNumber).at(-1)!;
  assert.ok(swapWrite({ memoryBytes: 64 * mebibyte }).tolerate!.length > 0);
  assert.equal(swapWrite({ memoryBytes: 64 * mebibyte, memorySwapBytes: 96 * mebibyte }).tolerate, undefined);
});

test('weightOfShares() and ioWeightOf() count as runc does', () => {
  const shares: [number, number][] = [
    [1, 1],
    [2, 1],
    [10, 4],
    [100, 17],
    [512, 59],
    [1024, 100],
    [10_000, 627],
    [262_143, 10_000],
    [262_144, 10_000],
  ];
  for (const [from, to] of shares) assert.equal(weightOfShares(from), to, String(from));
  assert.deepEqual([10, 500, 1000].map(ioWeightOf), [1, 4950, 10_000]);
});

test('limits are written as people write them', () => {
  assert.deepEqual([-1, 0, 1000, 4096, 64 * mebibyte, 1536 * mebibyte, 1024 ** 4].map(formatLimit), [
    'unlimited',
    '0',
    '1000',
    '4k',
    '64m',
    '1536m',
    '1t',
  ]);
});

test('numberOfDevice() takes block devices only', () => {
  assert.throws(() => numberOfDevice('/dev/null'), /Cannot limit device "\/dev\/null": not a block device/);
  assert.throws(() => numberOfDevice('/no/such'), /no such file or directory/);
});

test('parsePairs() reads flat keyed files', () => {
  assert.deepEqual(parsePairs('usage_usec 12\nnr_periods 0\n\nodd\n'), { usage_usec: 12, nr_periods: 0 });
});
