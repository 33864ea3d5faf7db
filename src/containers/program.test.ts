import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step } from '../kernel/steps.ts';
import type { GuestSpec } from './guest-spec.ts';
import { programOf } from './program.ts';

const guard = {
  title: 'holm-guard x',
  directory: '/run/x',
  stdin: 'none',
  spillDirectory: '/run/x',
  awaitClients: 0,
  exitFiles: [],
} as const;

function specOf(change: Partial<GuestSpec> = {}, process: Partial<GuestSpec['process']> = {}): GuestSpec {
  const capabilities = 0n;
  return {
    id: 'x',
    root: { directory: '/bundle/rootfs' },
    readOnlyRoot: false,
    rootPropagation: 'slave',
    mounts: [],
    devices: [],
    links: [],
    maskedPaths: [],
    readonlyPaths: [],
    namespaces: {
      mount: 'new',
      pid: 'new',
      network: 'new',
      ipc: 'new',
      uts: 'new',
      user: 'host',
      cgroup: 'new',
      time: 'host',
    },
    hostname: 'name',
    sysctls: { 'net.ipv4.ip_forward': '1' },
    cgroup: {
      create: [],
      join: [{ call: 'write_file', args: [-100, '/cgroup/tasks', Buffer.from('0'), 1], what: 'join the cgroup' }],
    },
    network: { after: [], stage: [{ call: 'socket', args: [16, 3, 0], what: 'network' }] },
    ...change,
    process: {
      argv: ['sh'],
      environment: ['PATH=/bin'],
      workingDirectory: '/',
      uid: 0,
      gid: 0,
      groups: [0],
      rlimits: [],
      noNewPrivileges: false,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: 0n,
        ambient: 0n,
      },
      availableCapabilities: 0n,
      seccomp: { filter: new Uint8Array(8), flags: 0 },
      ...process,
    },
  };
}

function order(stage: readonly Step[], ...wanted: ((step: Step) => boolean)[]): void {
  const places = wanted.map((is) => stage.findIndex(is));
  assert.ok(!places.includes(-1), `a step is missing: ${places}`);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
}

const is = (call: Step['call']) => (step: Step) => step.call === call;

test('the stage keeps the order that safety needs', () => {
  const { stage } = programOf(specOf(), guard);
  order(
    stage,
    (step) => step.what === 'join the cgroup',
    (step) => step.call === 'unshare' && step.args[0] === 0x2000000,
    (step) => step.call === 'write_file' && step.args[1] === '/proc/sys/net/ipv4/ip_forward',
    (step) => step.call === 'mount' && step.args[1] === '/',
    is('await_guard'),
    (step) => step.what === 'network',
    is('pivot_root'),
    is('umount2'),
    is('sethostname'),
    is('check_cwd'),
    is('seccomp_filter'),
    is('setgroups'),
    is('setresgid'),
    is('setresuid'),
    is('capset'),
    is('close_range'),
    is('exec'),
  );
  assert.equal(stage.at(-1)?.call, 'exec');
});

test('with no-new-privileges the filter comes last, when nothing privileged is left to do', () => {
  const { stage } = programOf(specOf({}, { noNewPrivileges: true }), guard);
  order(stage, (step) => step.call === 'prctl' && step.args[0] === 38, is('capset'), is('seccomp_filter'), is('exec'));
});

test('new namespaces are clone flags; joined ones are opened by the guard, before their numbers are out of sight', () => {
  assert.equal(programOf(specOf(), guard).cloneFlags, 0x20000 + 0x20000000 + 0x40000000 + 0x8000000 + 0x4000000);
  const { namespaces } = specOf();
  const joined = programOf(
    specOf({ namespaces: { ...namespaces, pid: { pid: 7 }, network: { pid: 7 }, ipc: 'host' } }),
    guard,
  );
  assert.equal(joined.cloneFlags, 0x20000 + 0x4000000);
  assert.deepEqual(
    joined.before.map(({ call }) => call),
    ['pidfd_open', 'setns'],
  );
  assert.ok(joined.stage.some((step) => step.call === 'setns' && step.args[1] === 0x40000000));
});

test('a mount goes onto a descriptor that was resolved beneath the root, never onto a path', () => {
  const mounts: GuestSpec['mounts'] = [
    { kind: 'filesystem', type: 'proc', source: 'proc', target: '/proc', flags: 0, why: 'test' },
    {
      kind: 'bind',
      source: '/data',
      target: '/mnt',
      isFile: false,
      recursive: true,
      readOnly: true,
      propagation: 'rprivate',
      why: 'test',
    },
  ];
  const { stage } = programOf(specOf({ mounts }), guard);
  const pivot = stage.findIndex(is('pivot_root'));
  for (const step of stage.slice(0, pivot).filter(is('mount'))) {
    const target = step.args[1];
    assert.ok(typeof target === 'object' || target === '/' || target === '/bundle/rootfs', JSON.stringify(target));
  }
  order(stage, is('make_path'), is('open_tree'), is('mount_setattr'), is('move_mount'), is('pivot_root'));
});

test('a terminal is opened inside the new root and becomes /dev/console', () => {
  const start = programOf(specOf({}, { terminal: { rows: 24, columns: 80 } }), guard);
  assert.deepEqual(start.terminal, { rows: 24, columns: 80 });
  order(start.stage, is('pivot_root'), is('open_terminal'), (step) => step.args.includes('/dev/console'), is('exec'));
  assert.ok(!start.stage.some(is('setsid')));
});
