import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRows } from '../commands/doctor.ts';
import type { Check, Finding } from './check.ts';
import type { Host } from './host.ts';
import { kernelChecks } from './kernel-checks.ts';
import { programChecks } from './program-checks.ts';
import { storageChecks } from './storage-checks.ts';

const checks = [...kernelChecks, ...storageChecks, ...programChecks];

/** A host that has everything: cgroup v2, ext4, modules. */
const files: Readonly<Record<string, string>> = {
  '/proc/self/status': 'Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n',
  '/proc/sys/kernel/cap_last_cap': '40\n',
  '/proc/sys/kernel/seccomp/actions_avail': 'kill_process allow\n',
  '/proc/sys/kernel/io_uring_disabled': '0\n',
  '/proc/sys/user/max_user_namespaces': '15000\n',
  '/proc/sys/net/ipv4/ip_forward': '1\n',
  '/sys/kernel/security/lsm': 'capability,landlock,apparmor\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  '/proc/filesystems': 'nodev\toverlay\n\terofs\n\text4\n',
  '/proc/modules': 'bridge 1 0 - Live 0x0\n',
  '/lib/modules/6.12.0/modules.dep':
    'kernel/drivers/net/veth.ko.xz:\nkernel/net/netfilter/nf_tables.ko:\nkernel/net/netfilter/nft_masq.ko:\n',
  '/proc/self/mountinfo': '1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/a rw\n2 1 8:2 / /var/lib rw - xfs /dev/b rw\n',
};

function hostWith(changes: Readonly<Record<string, string>>, more: Partial<Host> = {}): Host {
  const all = { ...files, ...changes };
  return {
    kernelRelease: '6.12.0',
    nodeVersion: '24.21.0',
    architecture: 'x64',
    read: (path) => all[path] ?? '',
    exists: (path) =>
      all[path] !== undefined ||
      path.startsWith('/proc/self/ns/') ||
      path.startsWith('/dev/') ||
      path.endsWith('libc.a'),
    run: async (program) => (program === 'cc' ? '/usr/lib/libc.a' : 'version 9.1.2'),
    freeSpace: () => ({ bytes: 1e11, directory: '/var/lib' }),
    daemonVersion: async () => '0.1.0',
    ...more,
  };
}

async function look(name: string, host: Host): Promise<Finding> {
  return checks.find((check) => check.name === name)!.look(host);
}

test('a host that has everything is found well', async () => {
  for (const check of checks) assert.equal((await check.look(hostWith({}))).state, 'ok', check.name);
});

test('what is missing is found', async () => {
  const cases: [string, Host, Finding['state'], RegExp][] = [
    [
      'holmd',
      hostWith({}, { daemonVersion: () => Promise.reject(new Error('Cannot connect')) }),
      'warns',
      /Cannot connect/,
    ],
    ['Node', hostWith({}, { nodeVersion: '20.19.0' }), 'lacks', /20\.19/],
    ['kernel', hostWith({}, { kernelRelease: '4.19.0' }), 'lacks', /4\.19/],
    ['kernel', hostWith({}, { kernelRelease: '5.10.0' }), 'warns', /idmapped/],
    ['processor', hostWith({}, { architecture: 'ia32' }), 'lacks', /ia32/],
    ['root', hostWith({ '/proc/self/status': 'Uid:\t1000\t1000\t1000\t1000\n' }), 'lacks', /not root/],
    ['capabilities', hostWith({ '/proc/self/status': 'CapEff:\t000001fffeffffff\n' }), 'warns', /all but SYS_RESOURCE/],
    ['capabilities', hostWith({ '/proc/self/status': 'CapEff:\t000001ffffdfffff\n' }), 'lacks', /without SYS_ADMIN/],
    ['cgroups', hostWith({ '/sys/fs/cgroup/cgroup.controllers': 'cpu\n' }), 'warns', /no cpuset, io, memory, pids/],
    ['cgroups', hostWith({ '/sys/fs/cgroup/cgroup.controllers': '' }), 'lacks', /no controllers/],
    [
      'overlayfs',
      hostWith({ '/proc/filesystems': '', '/proc/config.gz': 'CONFIG_X=y\n' }),
      'lacks',
      /not in this kernel/,
    ],
    ['veth', hostWith({ '/lib/modules/6.12.0/modules.dep': '' }), 'warns', /cannot be told/],
    [
      'veth',
      hostWith({ '/lib/modules/6.12.0/modules.dep': '', '/proc/kallsyms': '0 t veth_newlink\n' }),
      'ok',
      /built in/,
    ],
    ['file system', hostWith({ '/proc/self/mountinfo': '1 0 0:1 / / rw - overlay o rw\n' }), 'lacks', /overlay/],
    ['file system', hostWith({ '/proc/self/mountinfo': '1 0 0:1 / / rw,nosuid - ext4 o rw\n' }), 'lacks', /nosuid/],
    ['disk space', hostWith({}, { freeSpace: () => ({ bytes: 1e8, directory: '/var' }) }), 'lacks', /100MB/],
    ['criu', hostWith({}, { run: async () => 'Version: 3.17.1' }), 'warns', /older than 4\.1/],
    ['criu', hostWith({}, { run: async () => undefined }), 'lacks', /not installed/],
  ];
  for (const [name, host, state, detail] of cases) {
    const found = await look(name, host);
    assert.equal(found.state, state, name);
    assert.match(found.detail, detail);
  }
});

test('the verdict names what is required and lacking', () => {
  const row = (name: string, required: boolean, state: Finding['state']) => ({
    ...({
      name,
      section: 'host',
      required,
      purpose: 'p',
      remedy: 'r',
      look: () => ({ state, detail: '' }),
    } satisfies Check),
    state,
    detail: 'd',
  });
  assert.match(
    formatRows([row('a', false, 'lacks'), row('b', true, 'ok')], false),
    /This host can run containers\.\n$/,
  );
  assert.match(formatRows([row('a', true, 'lacks')], false), /get it: r[\s\S]*cannot run containers: a\.\n$/);
});
