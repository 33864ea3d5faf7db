// What a create request comes to, and how it is told back by inspect: bodies as docker's client sends them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { kindOf } from '../base/error.ts';
import type { ContainerConfig } from '../containers/container.ts';
import { type CreateContext, parseCreateRequest } from './create-request.ts';
import { Fields } from './fields.ts';
import { hostConfigJson } from './host-config-json.ts';

const context: CreateContext = { minor: 50, hostCpus: 4, cgroupVersion: 1, platform: '' };

function parse(host: object = {}, body: object = {}, more: Partial<CreateContext> = {}): ContainerConfig {
  return parseCreateRequest(new Fields({ Image: 'debian', HostConfig: host, ...body }), { ...context, ...more });
}

interface Recorded {
  readonly line: readonly string[];
  readonly body?: Record<string, unknown>;
}

// Recorded from the docker client; the first row holds every field, the others what differs from it.
const recorded = readFileSync(new URL('../../test/cli/run-bodies.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);
const first = recorded[0]!.body!;

/** Options that Docker's daemon refuses too on the default bridge, or for a runtime it does not have. */
const refusedByDocker = /^--(ip6?|network-alias|runtime|link-local-ip)\b|(alias|ip)=/;

for (const { line, body } of recorded)
  if (body !== undefined)
    test(`docker run ${line.join(' ')}`, () => {
      const host = { ...(first.HostConfig as object), ...(body.HostConfig as object | undefined) };
      const whole = new Fields({ ...first, ...body, HostConfig: host });
      let config: ContainerConfig;
      try {
        config = parseCreateRequest(whole, { ...context, hostCpus: 64 });
      } catch (error) {
        if (!line.some((word) => refusedByDocker.test(word))) assert.equal(kindOf(error), 'unsupported', String(error));
        return;
      }
      const told = hostConfigJson(config);
      const again = parseCreateRequest(new Fields({ ...first, ...body, HostConfig: told }), {
        ...context,
        hostCpus: 64,
      });
      // What docker fills in when nothing is said is told as said.
      const settled = ({ maskedPaths: _1, readonlyPaths: _2, ...rest }: ContainerConfig): object => ({
        ...rest,
        resources: {
          ...rest.resources,
          memorySwapBytes: rest.resources.memorySwapBytes ?? (rest.resources.memoryBytes ?? 0) * 2,
        },
        mounts: rest.mounts.toSorted((a, b) => (a.target < b.target ? -1 : 1)),
      });
      assert.deepEqual(settled(again), settled(config), 'inspect tells what was asked');
    });

const mounts: readonly (readonly [host: object, mount: object])[] = [
  [
    { Binds: ['/a/../b/:/c/:ro,rslave'] },
    {
      kind: 'bind',
      source: '/b',
      target: '/c',
      readOnly: true,
      propagation: 'rslave',
      createSource: true,
      nonRecursive: false,
    },
  ],
  [
    { Binds: ['data:/data:nocopy,z'] },
    {
      kind: 'volume',
      source: 'data',
      target: '/data',
      readOnly: false,
      noCopy: true,
      labels: {},
      driver: '',
      driverOptions: {},
    },
  ],
  [
    { Mounts: [{ Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true }] },
    {
      kind: 'bind',
      source: '/a',
      target: '/b',
      readOnly: true,
      propagation: 'rprivate',
      createSource: false,
      nonRecursive: false,
    },
  ],
  [
    { Mounts: [{ Type: 'volume', Target: '/b', VolumeOptions: { Subpath: 'x', Labels: { a: 'b' } } }] },
    {
      kind: 'volume',
      source: '',
      target: '/b',
      readOnly: false,
      noCopy: false,
      labels: { a: 'b' },
      driver: '',
      driverOptions: {},
      subpath: 'x',
    },
  ],
  [
    { Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 4096, Mode: 0o700 } }] },
    { kind: 'tmpfs', target: '/t', sizeBytes: 4096, mode: 0o700, options: [] },
  ],
  [
    { Tmpfs: { '/t': 'size=64m,mode=1777,noexec' } },
    { kind: 'tmpfs', target: '/t', sizeBytes: 64 << 20, mode: 0o1777, options: ['noexec'] },
  ],
  [{ Tmpfs: { '/t': '' } }, { kind: 'tmpfs', target: '/t', options: [] }],
];
for (const [host, mount] of mounts)
  test(`mount ${JSON.stringify(host)}`, () => {
    assert.deepEqual(parse(host).mounts, [mount]);
  });

test('entrypoint and command keep "not said", "none" and "this" apart', () => {
  const { entrypoint, command } = parse();
  assert.deepEqual([entrypoint, command], [undefined, undefined]);
  assert.deepEqual(parse({}, { Entrypoint: [''] }).entrypoint, []);
  assert.deepEqual(parse({}, { Entrypoint: [] }).entrypoint, []);
  assert.deepEqual(parse({}, { Entrypoint: 'sh', Cmd: null }).entrypoint, ['sh']);
});

const auto = { 'holm.userns': 'auto' };
const oneRange = [{ inside: 0, outside: 100000, count: 65536 }];
const ownNamespaces: readonly (readonly [host: object, namespaces: object])[] = [
  [{ UsernsMode: 'auto' }, { user: { from: 'auto' } }],
  [{ UsernsMode: 'container:x' }, { user: { from: 'container', container: 'x' } }],
  [{ Annotations: auto }, { user: { from: 'auto' } }],
  [{ UsernsMode: 'host', Annotations: auto }, { user: { from: 'host' } }],
  [
    { Annotations: { 'holm.uidmap': '0:100000:65536' } },
    { user: { from: 'maps', mapping: { uids: oneRange, gids: oneRange } } },
  ],
  [{ TimeMode: 'container:x' }, { time: { from: 'container', container: 'x' } }],
  [{ TimeMode: 'private' }, { time: { from: 'new', boottimeNanos: 0n, monotonicNanos: 0n } }],
  [
    { Annotations: { 'holm.time.boottime': '86400.5', 'holm.time.monotonic': '-1' } },
    { time: { from: 'new', boottimeNanos: 86_400_500_000_000n, monotonicNanos: -1_000_000_000n } },
  ],
];
for (const [host, namespaces] of ownNamespaces)
  test(`user and time namespaces ${JSON.stringify(host)}`, () => {
    const { namespaces: found, ...config } = parse(host);
    const { pid: _1, ipc: _2, uts: _3, cgroup: _4, ...own } = found;
    assert.deepEqual(own, namespaces);
    const again = parse(hostConfigJson({ ...config, namespaces: found }));
    assert.deepEqual(again.namespaces, found, 'inspect tells what was asked');
  });

for (const host of [
  { UsernsMode: 'private' },
  { UsernsMode: 'container:' },
  { UsernsMode: 'auto', IDMappings: { UidMap: ['0:100000:65536'] } },
  { TimeMode: 'other' },
  { TimeMode: 'host', TimeOffsets: { Boottime: '1' } },
  { TimeOffsets: { Boottime: 'tomorrow' } },
])
  test(`refused: ${JSON.stringify(host)}`, () => {
    assert.throws(() => parse(host), { kind: 'invalid' });
  });

test('defaults and modes of namespaces and networks', () => {
  const config = parse();
  assert.deepEqual(config.network, { from: 'network', network: 'bridge' });
  assert.deepEqual(config.namespaces, {
    pid: { from: 'new' },
    ipc: { from: 'new' },
    uts: { from: 'new' },
    cgroup: { from: 'new' },
  });
  assert.deepEqual(parse({}, {}, { minor: 40 }).namespaces.cgroup, { from: 'host' });
  assert.deepEqual(parse({ NetworkMode: 'container:x' }).network, { from: 'container', container: 'x' });
  assert.deepEqual(parse({ NetworkMode: 'own' }).network, { from: 'network', network: 'own' });
  assert.deepEqual(parse({ IpcMode: 'none' }).namespaces.ipc, { from: 'none' });
  assert.deepEqual(parse({}, { NetworkDisabled: true }).network, { from: 'none' });
  assert.equal(config.shmBytes, 64 << 20);
});

const refused: readonly (readonly [host: object, message: RegExp, body?: object])[] = [
  [{ Binds: ['/a'] }, /^invalid volume specification: '\/a'$/],
  [{ Binds: ['/a:/b:rx'] }, /invalid mode: rx/],
  [{ Binds: ['/a:/b:ro,rw'] }, /invalid mode: ro,rw/],
  [{ Binds: ['/a:/'] }, /destination can't be '\/'/],
  [{ Binds: ['/a:/b/../..'] }, /destination can't be '\/'/],
  [
    { Mounts: [{ Type: 'bind', Target: '/b' }] },
    /^invalid mount config for type "bind": field Source must not be empty$/,
  ],
  [{ Mounts: [{ Type: 'bind', Source: '/b' }] }, /field Target must not be empty/],
  [
    { Mounts: [{ Type: 'tmpfs', Target: '/b', VolumeOptions: {} }] },
    /VolumeOptions must not be specified on mount type "tmpfs"/,
  ],
  [{ Mounts: [{ Type: 'npipe', Target: '/b' }] }, /mount type unknown/],
  [{ NanoCpus: 5e9 }, /as there are only 4 CPUs available/],
  [{ NanoCpus: 1e9, CpuQuota: 5000 }, /Nano CPUs and CPU Quota cannot both be set/],
  [{ CpuPeriod: 5 }, /CPU cfs period can not be less than 1ms/],
  [{ CpusetCpus: '0-8' }, /Requested CPUs are not available - requested 0-8, available: 0-3/],
  [{ CpusetCpus: 'x' }, /Invalid value x/],
  [{ Memory: 100 << 20, MemorySwap: 50 << 20 }, /Minimum memoryswap limit should be larger than memory limit/],
  [{ MemorySwap: 50 << 20 }, /You should always set the Memory limit when using Memoryswap limit/],
  [{ MemorySwappiness: 101 }, /valid memory swappiness range is 0-100/],
  [{ BlkioWeight: 9 }, /Range of blkio weight is from 10 to 1000/],
  [{ OomScoreAdj: 1001 }, /range for oom score adj is \[-1000, 1000\]/],
  [{ RestartPolicy: { Name: 'often' } }, /unknown policy 'often'/],
  [
    { RestartPolicy: { Name: 'always', MaximumRetryCount: 2 } },
    /maximum retry count can only be used with 'on-failure'/,
  ],
  [{ AutoRemove: true, RestartPolicy: { Name: 'always' } }, /can't create 'AutoRemove' container with restart policy/],
  [{ LogConfig: { Type: 'none-such' } }, /no log driver named 'none-such' is registered/],
  [{ LogConfig: { Type: 'json-file', Config: { 'max-file': '3' } } }, /max-file cannot be used without max-size/],
  [{ PidMode: 'other' }, /^invalid PID mode: other$/],
  [{ UTSMode: 'container:x' }, /^invalid UTS mode/],
  [{ NetworkMode: 'container:' }, /invalid container format container:<name\|id>/],
  [{ NetworkMode: 'container:x' }, /^conflicting options: hostname and the network mode$/, { Hostname: 'h' }],
  [
    { Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 5 }] },
    /ulimit soft limit must be less than or equal to hard limit: 10 > 5/,
  ],
  [{ Devices: [{ PathOnHost: '/dev/x', CgroupPermissions: 'q' }] }, /invalid device mode: q/],
  [{ DeviceCgroupRules: ['a all'] }, /invalid device cgroup rule format: 'a all'/],
  [{}, /invalid environment variable: =x/, { Env: ['=x'] }],
  [{}, /invalid signal: SIGNOT/, { StopSignal: 'SIGNOT' }],
  [{}, /Interval in Healthcheck cannot be less than 1ms/, { Healthcheck: { Interval: 5 } }],
  [{}, /StartInterval in Healthcheck cannot be less than 1ms/, { Healthcheck: { StartInterval: 5 } }],
];
for (const [host, message, body] of refused)
  test(`${JSON.stringify(host)} ${JSON.stringify(body) ?? ''} is refused`, () => {
    assert.throws(() => parse(host, body), { kind: 'invalid', message });
  });

const notServed: readonly object[] = [
  { PortBindings: { '80/tcp': [{ HostPort: '80' }] } },
  { PublishAllPorts: true },
  { Links: ['a:b'] },
  { StorageOpt: { size: '1g' } },
  { DeviceRequests: [{}] },
  { VolumeDriver: 'other' },
  { LogConfig: { Type: 'syslog' } },
  { LogConfig: { Type: 'json-file', Config: { tag: 'x' } } },
  { Mounts: [{ Type: 'image', Source: 'x', Target: '/x' }] },
  { CpuRealtimeRuntime: 5 },
];
for (const host of notServed)
  test(`${JSON.stringify(host)} is not served yet`, () => {
    assert.throws(() => parse(host), { kind: 'unsupported', message: /not supported yet$/ });
  });
