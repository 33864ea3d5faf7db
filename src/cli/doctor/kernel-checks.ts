// What the doctor looks for in the host, its kernel and its networks.
import { type Check, type Finding, lacks, ok, warns } from './check.ts';
import { type Host, kernelHas } from './host.ts';

/** Names by bit, from <linux/capability.h>. */
const capabilityNames = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
];
const neededCapabilities = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'NET_ADMIN'],
  ...['SYS_CHROOT', 'SYS_ADMIN', 'MKNOD', 'SETFCAP'],
];

const feature =
  (config: string, module: string, symbol: string) =>
  (host: Host): Finding => {
    const found = kernelHas(host, { config, module, symbol });
    if (found === 'absent') return lacks('not in this kernel');
    return found === undefined ? warns('cannot be told') : ok(found);
  };

const versionAtLeast = (version: string, major: number, minor: number): boolean => {
  const [a = 0, b = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return a > major || (a === major && b >= minor);
};

const rebuild = "a kernel with it (the distribution's standard kernel has it)";

export const kernelChecks: readonly Check[] = [
  {
    name: 'holmd',
    section: 'host',
    required: false,
    purpose: 'the daemon that this command talks to',
    remedy: 'start it with `npm start`, or set DOCKER_HOST to its socket',
    look: async (host) => {
      try {
        return ok(`answers, version ${await host.daemonVersion()}`);
      } catch (error) {
        return warns(error instanceof Error ? error.message : String(error));
      }
    },
  },
  {
    name: 'Node',
    section: 'host',
    required: true,
    purpose: 'holm itself',
    remedy: 'npm install brings Node 24 as the package `node`',
    look: (host) =>
      versionAtLeast(host.nodeVersion, 24, 0)
        ? ok(host.nodeVersion)
        : lacks(`${host.nodeVersion}, must be 24 or newer`),
  },
  {
    name: 'processor',
    section: 'host',
    required: true,
    purpose: 'the keeper and the seccomp filters, which are made for it',
    remedy: 'run on x86-64, arm64 or riscv64',
    look: ({ architecture }) =>
      ['x64', 'arm64', 'riscv64'].includes(architecture) ? ok(architecture) : lacks(architecture),
  },
  {
    name: 'root',
    section: 'host',
    required: true,
    purpose: 'mounts, namespaces and networks of containers',
    remedy: 'run holmd as root',
    look: (host) => (/^Uid:\t\d+\t0\t/m.test(host.read('/proc/self/status')) ? ok('yes') : lacks('not root')),
  },
  {
    name: 'capabilities',
    section: 'host',
    required: true,
    purpose: 'rights of root; SYS_RESOURCE raises hard limits and lowers oom_score_adj',
    remedy: 'do not run inside a container or service that drops them',
    look: lookAtCapabilities,
  },
  {
    name: 'kernel',
    section: 'kernel',
    required: true,
    purpose: 'clone3, openat2, pidfds; from 5.12 idmapped mounts',
    remedy: 'Linux 5.10 or newer',
    look: ({ kernelRelease }) => {
      if (!versionAtLeast(kernelRelease, 5, 7)) return lacks(`${kernelRelease}, must be 5.10 or newer`);
      return versionAtLeast(kernelRelease, 5, 12)
        ? ok(kernelRelease)
        : warns(`${kernelRelease}, without idmapped mounts`);
    },
  },
  {
    name: 'cgroups',
    section: 'kernel',
    required: true,
    purpose: 'limits and accounting of CPU, memory, processes and block I/O',
    remedy: 'mount cgroup2 at /sys/fs/cgroup; boot with cgroup_enable=memory where memory is missing',
    look: lookAtCgroups,
  },
  {
    name: 'swap limit',
    section: 'kernel',
    required: false,
    purpose: '--memory-swap',
    remedy: 'boot with swapaccount=1 (cgroup v1)',
    look: (host) => {
      if (host.exists('/sys/fs/cgroup/cgroup.controllers')) return ok('with cgroup v2');
      return host.exists('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes')
        ? ok('with cgroup v1')
        : warns('no swap accounting');
    },
  },
  {
    name: 'namespaces',
    section: 'kernel',
    required: true,
    purpose: 'what a container sees as its own',
    remedy: rebuild,
    look: (host) => {
      const missing = (names: readonly string[]) => names.filter((name) => !host.exists(`/proc/self/ns/${name}`));
      const needed = missing(['mnt', 'pid', 'net', 'ipc', 'uts']);
      if (needed.length > 0) return lacks(`no ${needed.join(', ')}`);
      const wished = missing(['cgroup', 'user', 'time']);
      return wished.length > 0 ? warns(`no ${wished.join(', ')}`) : ok('mnt pid net ipc uts cgroup user time');
    },
  },
  {
    name: 'user namespaces',
    section: 'kernel',
    required: false,
    purpose: "containers whose root is not the host's root",
    remedy: 'sysctl user.max_user_namespaces=15000; on Debian also kernel.unprivileged_userns_clone=1',
    look: (host) => {
      if (!host.exists('/proc/self/ns/user')) return lacks('not in this kernel');
      const most = host.read('/proc/sys/user/max_user_namespaces').trim();
      if (most === '0') return warns('user.max_user_namespaces is 0');
      if (host.read('/proc/sys/kernel/unprivileged_userns_clone').trim() === '0') return warns('for root only');
      if (host.read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns').trim() === '1')
        return warns('restricted by AppArmor for users other than root');
      return ok(`at most ${most}`);
    },
  },
  {
    name: 'seccomp',
    section: 'kernel',
    required: true,
    purpose: "a filter of a container's system calls",
    remedy: rebuild,
    look: (host) => {
      const actions = host.read('/proc/sys/kernel/seccomp/actions_avail').trim();
      if (actions !== '') return ok(actions);
      return /^Seccomp:/m.test(host.read('/proc/self/status')) ? ok('yes') : lacks('not in this kernel');
    },
  },
  {
    name: 'Landlock',
    section: 'kernel',
    required: false,
    purpose: 'a second wall around the keeper when it unpacks archives',
    remedy: 'a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in the boot parameter lsm=',
    look: (host) => {
      const modules = host.read('/sys/kernel/security/lsm').trim();
      if (modules.split(',').includes('landlock')) return ok('active');
      return modules === ''
        ? feature('SECURITY_LANDLOCK', 'landlock', 'landlock_add_fs_hooks')(host)
        : warns(`not among ${modules}`);
    },
  },
  {
    name: 'io_uring',
    section: 'kernel',
    required: false,
    purpose: 'nothing that holm needs; guests may use it with seccomp=unconfined',
    remedy: 'sysctl kernel.io_uring_disabled=0',
    look: (host) => {
      const disabled = host.read('/proc/sys/kernel/io_uring_disabled').trim();
      if (disabled === '') return warns('not in this kernel');
      return disabled === '0' ? ok('enabled') : warns('disabled');
    },
  },
  {
    name: 'bridge',
    section: 'network',
    required: true,
    purpose: 'the network that containers share',
    remedy: 'modprobe bridge',
    look: feature('BRIDGE', 'bridge', 'br_add_bridge'),
  },
  {
    name: 'veth',
    section: 'network',
    required: true,
    purpose: "a container's cable to the bridge",
    remedy: 'modprobe veth',
    look: feature('VETH', 'veth', 'veth_newlink'),
  },
  {
    name: 'nftables',
    section: 'network',
    required: true,
    purpose: 'address translation and published ports',
    remedy: 'modprobe nf_tables',
    look: feature('NF_TABLES', 'nf_tables', 'nf_tables_newtable'),
  },
  {
    name: 'nftables NAT',
    section: 'network',
    required: true,
    purpose: 'containers that reach the world with the address of the host',
    remedy: 'modprobe nft_masq nft_nat',
    look: feature('NFT_MASQ', 'nft_masq', 'nft_masq_init'),
  },
  {
    name: 'IP forwarding',
    section: 'network',
    required: false,
    purpose: 'packets from the bridge to the world; holmd turns it on',
    remedy: 'sysctl net.ipv4.ip_forward=1',
    look: (host) =>
      host.read('/proc/sys/net/ipv4/ip_forward').trim() === '1' ? ok('on') : warns('off until holmd starts'),
  },
];

function lookAtCapabilities(host: Host): Finding {
  const mask = BigInt(`0x${/^CapEff:\t([0-9a-f]+)$/m.exec(host.read('/proc/self/status'))?.[1] ?? '0'}`);
  const last = Number(host.read('/proc/sys/kernel/cap_last_cap').trim() || '40');
  const missing = capabilityNames.filter((_name, bit) => bit <= last && ((mask >> BigInt(bit)) & 1n) === 0n);
  if (missing.some((name) => neededCapabilities.includes(name))) return lacks(`without ${missing.join(', ')}`);
  return missing.length > 0 ? warns(`all but ${missing.join(', ')}`) : ok('all');
}

function lookAtCgroups(host: Host): Finding {
  const unified = host.read('/sys/fs/cgroup/cgroup.controllers').trim();
  const version = unified === '' ? 1 : 2;
  const enabled =
    version === 2
      ? unified.split(' ')
      : [...host.read('/proc/cgroups').matchAll(/^(\w+)\t[1-9]\d*\t\d+\t1$/gm)].map((match) => match[1]!);
  const wanted =
    version === 2
      ? ['cpu', 'cpuset', 'io', 'memory', 'pids']
      : ['cpu', 'cpuset', 'blkio', 'memory', 'pids', 'devices', 'freezer'];
  const missing = wanted.filter((name) => !enabled.includes(name));
  const also =
    version === 1 && / - cgroup2 /.test(host.read('/proc/self/mountinfo')) ? ' and an empty v2 hierarchy' : '';
  if (enabled.length === 0) return lacks('no controllers');
  const detail = `v${version}${also}: ${enabled.join(' ')}`;
  return missing.length === 0 ? ok(detail) : warns(`${detail}; no ${missing.join(', ')}`);
}
