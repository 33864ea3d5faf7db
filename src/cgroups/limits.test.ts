import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Limits } from './controller.ts';
import type { Hierarchies } from './hierarchy.ts';
import { checkLimits, readHostCpus } from './limits.ts';

const host = { count: 2, cpus: '0-1', mems: '0' };
const v2: Hierarchies = {
  unified: { mount: '/cg', controllers: ['cpu', 'cpuset', 'io', 'memory', 'pids'] },
  v1: [],
  swap: true,
};
const mebibyte = 1024 * 1024;

test('limits that no host could keep are refused in docker’s words', () => {
  const cases: [Limits, string][] = [
    [{ memoryBytes: 4 * mebibyte }, 'Minimum memory limit allowed is 6MB'],
    [
      { memoryBytes: 64 * mebibyte, memorySwapBytes: 32 * mebibyte },
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [{ memorySwapBytes: 1 }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
    [{ memorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
    [
      { memoryBytes: 8 * mebibyte, memoryReservationBytes: 9 * mebibyte },
      'Minimum memory limit can not be less than memory reservation limit, see usage',
    ],
    [{ cpuNanos: 3e9 }, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ cpuNanos: 1e6 }, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ cpuNanos: 1e9, cpuPeriodMicros: 1000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
    [{ cpuNanos: 1e9, cpuQuotaMicros: 1000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
    [{ cpuPeriodMicros: 10 }, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)'],
    [{ cpuQuotaMicros: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
    [{ cpusetCpus: '1,a' }, 'Invalid value 1,a for cpuset cpus'],
    [{ cpusetCpus: '0-4' }, 'Requested CPUs are not available - requested 0-4, available: 0-1'],
    [{ cpusetMems: '1' }, 'Requested memory nodes are not available - requested 1, available: 0'],
    [{ blockWeight: 9 }, 'Range of blkio weight is from 10 to 1000'],
  ];
  for (const [limits, message] of cases) {
    assert.throws(() => checkLimits(limits, v2, host), { kind: 'invalid', message }, JSON.stringify(limits));
  }
});

test('limits that this host cannot keep are left out, with a warning', () => {
  const all: Limits = {
    memoryBytes: 64 * mebibyte,
    memorySwapBytes: 128 * mebibyte,
    memorySwappiness: 10,
    cpuShares: 5,
    pids: 5,
    cpusetCpus: '0,1',
    blockWeight: 10,
  };
  const { memorySwappiness, ...rest } = all;
  const swapless: Hierarchies = { v1: [{ mount: '/cg/memory', controllers: ['memory'] }], swap: false };
  const cases: [Limits, Hierarchies, Limits, RegExp[]][] = [
    [all, v2, rest, [/^Your kernel does not support memory swappiness capabilities or the cgroup is not mounted\. /]],
    [{}, { ...swapless, v1: [] }, {}, []],
    [
      all,
      swapless,
      { memoryBytes: 64 * mebibyte, memorySwappiness: 10 },
      [
        /swap limit capabilities .*Memory limited without swap\.$/,
        /PIDs limit/,
        /CPU shares/,
        /cpuset/,
        /Weight discarded/,
      ],
    ],
    [{ memoryBytes: 8 * mebibyte }, { ...swapless, v1: [] }, {}, [/memory limit capabilities/]],
    [{ oomKillDisable: true }, swapless, { oomKillDisable: true }, [/OOM killer is disabled/]],
    [{ oomKillDisable: false, memorySwappiness: -1 }, v2, { oomKillDisable: false, memorySwappiness: -1 }, []],
  ];
  for (const [asked, hierarchies, expected, patterns] of cases) {
    const { limits, warnings } = checkLimits(asked, hierarchies, host);
    assert.deepEqual(limits, expected);
    assert.equal(warnings.length, patterns.length, warnings.join('\n'));
    for (const [at, pattern] of patterns.entries()) assert.match(warnings[at]!, pattern);
  }
  assert.equal(memorySwappiness, 10);
});

test('readHostCpus() tells of this host, or of its cpuset hierarchy', () => {
  const found = readHostCpus(v2);
  assert.ok(found.count >= 1);
  assert.match(found.cpus, /^\d+(-\d+)?/);
  assert.match(found.mems, /^\d+/);
  assert.equal(readHostCpus({ ...v2, cpuset: { cpus: '3', mems: '1' } }).cpus, '3');
});
