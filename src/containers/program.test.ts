import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step } from '../kernel/steps.ts';
import type { Peer } from '../namespaces/namespaces.ts';
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
      seccomp: { filter: new Uint8Array(8), flags: 0, allowsHandOver: true },
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
    specOf({
      namespaces: {
        ...namespaces,
        pid: { pid: 7, guard: '/run/x' },
        network: { pid: 7, guard: '/run/x' },
        ipc: 'host',
      },
    }),
    guard,
  );
  assert.equal(joined.cloneFlags, 0x20000 + 0x4000000);
  assert.deepEqual(
    joined.before.map(({ call }) => call),
    ['pidfd_open', 'statx'],
  );
  order(
    joined.stage,
    (step) => step.call === 'setns' && step.args[1] === 0x60000000,
    is('pivot_root'),
    is('seccomp_filter'),
    is('setresuid'),
    is('capset'),
    is('hand_over'),
    is('exec'),
  );
  assert.equal(joined.stage.at(-2)?.call, 'hand_over', 'nothing but execve is left for the child');
  const { stage } = programOf(specOf(), guard);
  assert.ok(!stage.some(is('hand_over')), 'a new pid namespace has nobody in it');
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

const mapping = {
  uids: [{ inside: 0, outside: 700000, count: 65536 }],
  gids: [{ inside: 0, outside: 800000, count: 65536 }],
};
const bind = {
  kind: 'bind',
  source: '/data',
  target: '/mnt',
  isFile: false,
  recursive: true,
  readOnly: false,
  propagation: 'rprivate',
  why: 'test',
} as const;
const withUsers: Partial<GuestSpec> = {
  root: {
    overlay: {
      layersDirectory: '/state/layers',
      layers: ['a/diff', '../mount-points'],
      upper: { directory: '/state/containers/x/upper', work: '/state/containers/x/work' },
      target: '/run/view/root',
    },
  },
  ownUsers: {
    mapping,
    staging: '/run/view',
    layerDirectories: ['/state/layers', '/state/mount-points', '/state/containers/x'],
  },
  devices: [{ path: '/dev/null', type: 'char', major: 1, minor: 3, mode: 0o666, uid: 0, gid: 0 }],
  mounts: [bind, { ...bind, source: '/kept', target: '/kept', ownersKept: true }],
};

function specWithUsers(user: 'new' | Peer, process: Partial<GuestSpec['process']> = {}): GuestSpec {
  const spec = specOf(withUsers, process);
  return { ...spec, namespaces: { ...spec.namespaces, user } };
}

test('in a user namespace the guard maps, mounts and lays out, and the stage waits for it first', () => {
  const { cloneFlags, after, stage } = programOf(specWithUsers('new'), guard);
  assert.equal(cloneFlags & 0x10000000, 0x10000000);
  const maps = after.filter(is('write_file')).map(({ args }) => String(args[2]));
  assert.deepEqual(maps, ['0 800000 65536\n', '0 700000 65536\n']);
  order(
    after,
    is('write_file'),
    is('mount_setattr'),
    is('setns'),
    (step) => step.call === 'mount' && step.args[2] === 'tmpfs',
    (step) => step.call === 'setresuid' && step.args[1] === 700000,
    (step) => step.call === 'mount' && step.args[2] === 'overlay',
    (step) => step.call === 'setresuid' && step.args[1] === 0,
    (step) => step.what === 'return to the host’s mount namespace',
    is('fchdir'),
  );
  // Three directories of layers and one bind, twice where it has mounts below; the other keeps its owners.
  const mapped = after.filter(is('mount_setattr')).map(({ what }) => what);
  assert.equal(mapped.length, 5);
  assert.ok(!mapped.some((what) => what.includes('/kept')));
  assert.equal(stage[0]?.call, 'await_guard');
  order(
    stage,
    (step) => step.what === 'join the cgroup',
    (step) => step.what === 'open "/run/view/root"',
    is('setresuid'),
    is('move_mount'),
    is('pivot_root'),
    is('exec'),
  );
  assert.ok(!stage.some(is('mknodat')), 'devices are bound');
  assert.ok(!stage.some((step) => step.args.includes('/data')), 'the stage opens no path of a user');
});

test("what only the host's root may set for a process, the guard sets", () => {
  const limits = { rlimits: [{ name: 'nofile', soft: 1, hard: 2 }], oomScoreAdjust: -5, uid: 33 };
  const { after, stage } = programOf(specWithUsers('new', limits), guard);
  assert.deepEqual(after.find(is('prlimit64'))?.args[0], { register: 31 });
  const score = after.find((step) => step.what.includes('out-of-memory'));
  assert.deepEqual(score?.args[1], { prefix: '/proc/', register: { register: 31 }, suffix: '/oom_score_adj' });
  assert.ok(!stage.some((step) => step.call === 'prlimit64' || step.what.includes('out-of-memory')));
  const owners = after.filter(is('fchownat')).map(({ args }) => [args[0], args[2], args[3]]);
  assert.deepEqual(
    owners,
    [19, 18, 17].map((register) => [{ register }, 700033, 800000]),
  );
});

test("another guest's user namespace: cloned inside it, mapped by nobody again", () => {
  const { user, before, after } = programOf(specWithUsers({ pid: 7, guard: '/run/x' }), guard);
  assert.deepEqual(user, { register: 20 });
  assert.deepEqual(before.find(is('pidfd_open'))?.args[0], 7);
  assert.ok(!after.some(is('write_file')));
});

test("another guest's shared memory is taken out of its mount namespace", () => {
  const mounts = [{ kind: 'peer', pid: 7, source: '/dev/shm', target: '/dev/shm', why: 'test' }] as const;
  const spec = specOf({ mounts });
  const { stage } = programOf({ ...spec, namespaces: { ...spec.namespaces, ipc: { pid: 7, guard: '/run/x' } } }, guard);
  const joins = stage.filter((step) => step.call === 'setns' && step.args[1] === 0x20000);
  assert.deepEqual(joins[0]?.args[0], { register: 20 });
  assert.equal(joins.length, 2, 'there and back');
  order(
    stage,
    (step) => step === joins[0],
    is('open_tree'),
    (step) => step === joins[1],
    is('move_mount'),
  );
});

test('under a filter that forbids clone the child comes before the filter, and with no-new-privileges still without privileges', () => {
  const { namespaces } = specOf();
  const change = { namespaces: { ...namespaces, pid: { pid: 7, guard: '/run/x' } } };
  const seccomp = { filter: new Uint8Array(8), flags: 0, allowsHandOver: false };
  const plain = programOf(specOf(change, { seccomp }), guard);
  order(plain.stage, is('hand_over'), is('seccomp_filter'), is('capset'), is('exec'));
  const bound = programOf(specOf(change, { seccomp, noNewPrivileges: true }), guard);
  order(bound.stage, is('setresuid'), is('capset'), is('hand_over'), is('seccomp_filter'), is('exec'));
});

test('standard streams become the user’s, standard input only where it is a pipe', () => {
  const owned = (stdin: 'none' | 'open', uid: number) =>
    programOf(specOf({}, { uid }), { ...guard, stdin })
      .stage.filter(is('fchownat'))
      .map(({ args }) => args[0]);
  assert.deepEqual(owned('none', 33), [1, 2]);
  assert.deepEqual(owned('open', 33), [0, 1, 2]);
  assert.deepEqual(owned('open', 0), []);
});

test('a link in a volume over /dev does not lead the terminal into /proc', () => {
  const { stage } = programOf(specOf({}, { terminal: { rows: 1, columns: 1 } }), guard);
  order(stage, (step) => step.args.includes('/dev/console'), is('refuse_filesystem'), is('move_mount'));
});
