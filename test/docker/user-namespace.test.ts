// Containers with users of their own: which ids they have on the host, whose their files are, and that root inside is nobody
// outside. Everything that works without a user namespace works with one.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const image = 'busybox:test';
const auto = ['--annotation', 'holm.userns=auto'] as const;
const shared = join(daemon.names.directory, 'shared');

interface Mappings {
  readonly UidMap: readonly string[];
  readonly GidMap: readonly string[];
}

function run(options: readonly string[], ...command: readonly string[]): Promise<string> {
  return daemon.succeed(['run', '--rm', ...auto, ...options, image, ...command]);
}

async function mappingsOf(name: string): Promise<Mappings | undefined> {
  return (await daemon.inspect<{ IDMappings?: Mappings }>(name)).IDMappings;
}

async function pidOf(name: string): Promise<number> {
  return (await daemon.inspect<{ State: { Pid: number } }>(name)).State.Pid;
}

/** The first id of the host that a container has. */
async function firstIdOf(name: string): Promise<number> {
  return Number((await mappingsOf(name))?.UidMap[0]?.split(':')[1]);
}

function ids(path: string): readonly [number, number] {
  const { uid, gid } = statSync(join(shared, path));
  return [uid, gid];
}

before(async () => {
  mkdirSync(shared);
  chmodSync(shared, 0o777);
  await daemon.succeed(['run', '-d', '--name', 'one', ...auto, '-v', `${shared}:/shared`, image, 'sleep', '1000']);
});

test('the maps are what inspect says, of 65536 ids that are not the host’s', async () => {
  const inside = await daemon.succeed(['exec', 'one', 'cat', '/proc/self/uid_map', '/proc/self/gid_map']);
  const first = await firstIdOf('one');
  assert.ok(first >= 0x70000000, String(first));
  const row = ['0', String(first), '65536'];
  assert.deepEqual(
    inside.split('\n').map((line) => line.trim().split(/\s+/)),
    [row, row],
  );
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.HostConfig.UsernsMode}}', 'one']), 'auto');
});

test('root inside is nobody special on the host, and every namespace is its own', async () => {
  const [pid, first] = [await pidOf('one'), await firstIdOf('one')];
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  assert.match(status, new RegExp(`^Uid:${`\t${first}`.repeat(4)}$`, 'm'));
  assert.match(status, new RegExp(`^Gid:${`\t${first}`.repeat(4)}$`, 'm'));
  assert.match(status, /^Groups:\s*(\d{10})?\s*$/m);
  for (const name of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'])
    assert.notEqual(readlinkSync(`/proc/${pid}/ns/${name}`), readlinkSync(`/proc/self/ns/${name}`), name);
});

test('capabilities are docker’s 14, bounded too, and what is added is there', async () => {
  const status = (options: readonly string[]) => run(options, 'grep', '-E', '^Cap(Eff|Bnd)', '/proc/self/status');
  assert.equal(await status([]), 'CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb');
  // The host's own root may lack it: inside, it counts for the container only.
  const more = 'CapEff:\t00000000a90425fb\nCapBnd:\t00000000a90425fb';
  assert.equal(await status(['--cap-add', 'SYS_RESOURCE']), more);
  assert.equal(await status(['-u', 'alice']), 'CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb');
});

test('what root makes in a bind is user 0’s on the host, and the reverse', async () => {
  writeFileSync(join(shared, 'of-root'), 'secret\n', { mode: 0o600 });
  writeFileSync(join(shared, 'of-33'), '33\n', { mode: 0o600 });
  chownSync(join(shared, 'of-33'), 33, 34);
  const script =
    'cat /shared/of-root; ls -ln /shared/of-33; touch /shared/made; touch /shared/given; chown 7:8 /shared/given';
  const told = await daemon.succeed(['exec', 'one', 'sh', '-c', script]);
  assert.match(told, /^secret\n-rw-+ +1 33 +34 /);
  assert.deepEqual(
    [ids('made'), ids('given')],
    [
      [0, 0],
      [7, 8],
    ],
  );
  assert.equal(await daemon.succeed(['exec', '-u', '33', 'one', 'cat', '/shared/of-33']), '33');
  const denied = await daemon.docker(['exec', '-u', '33', 'one', 'cat', '/shared/of-root']);
  assert.match(denied.stderr, /Permission denied/);
});

test('a bind that keeps its owners is nobody’s inside', async () => {
  writeFileSync(join(shared, 'kept'), 'secret\n', { mode: 0o600 });
  const script = 'stat -c %u /s/kept; cat /s/kept; echo x > /s/kept';
  const result = await daemon.docker(['run', '--rm', ...auto, '-v', `${shared}:/s:noidmap`, image, 'sh', '-c', script]);
  assert.equal(result.stdout, '65534\n');
  assert.equal(result.stderr.match(/Permission denied/g)?.length, 2);
  assert.equal(readFileSync(join(shared, 'kept'), 'latin1'), 'secret\n');
});

test('a volume is the same for containers of other ids, and for one with the host’s', async () => {
  const script = 'touch /v/a; chown 1000:1000 /v/a; ls -ln /v/a';
  await run(['-v', 'data:/v'], 'sh', '-c', script);
  for (const options of [auto, ['--userns', 'host'], ['--annotation', 'holm.uidmap=0:300000:2000']]) {
    const told = await daemon.succeed(['run', '--rm', ...options, '-v', 'data:/v', image, 'ls', '-ln', '/v/a']);
    assert.match(told, / 1000 +1000 /);
  }
  const part = ['--mount', 'type=volume,src=data,dst=/part,volume-subpath=inner'];
  await run(['-v', 'data:/v'], 'sh', '-c', 'mkdir /v/inner; echo kept > /v/inner/file');
  assert.equal(await run(part, 'sh', '-c', 'cat /part/file; stat -c %u /part'), 'kept\n0');
  const flat = ['--mount', `type=bind,src=${shared},dst=/flat,bind-recursive=disabled`];
  assert.equal(await run(flat, 'stat', '-c', '%u', '/flat'), '0');
  await daemon.succeed(['volume', 'rm', 'data']);
});

test('a set-user-id program in a volume is out of reach for the host’s users', async () => {
  await run(['-v', 'programs:/v'], 'sh', '-c', 'cp /bin/busybox /v/id; chmod 4755 /v/id');
  const { Mountpoint } = JSON.parse(await daemon.succeed(['volume', 'inspect', 'programs']))[0] as {
    Mountpoint: string;
  };
  assert.equal(statSync(join(Mountpoint, 'id')).mode & 0o7777, 0o4755);
  assert.equal(statSync(daemon.state).mode & 0o007, 0, 'others may not enter');
  await daemon.succeed(['volume', 'rm', 'programs']);
});

test('a set-user-id program makes root inside, no more', async () => {
  const noPassword = 'sed -i "s/^root:[^:]*:/root::/" /etc/passwd; cp /bin/busybox /su; chmod 4755 /su';
  const script = `${noPassword}; su alice -c "/su root -c 'id -u; cat /proc/self/uid_map'" < /dev/null`;
  assert.match(await run([], 'sh', '-c', script), /^0\n +0 +1879\d+ +65536$/);
});

test('ranges are disjoint, and free again after the removal', async () => {
  const names = ['first', 'second', 'third'];
  await Promise.all(names.map((name) => daemon.succeed(['create', '--name', name, ...auto, image, 'true'])));
  const first = await Promise.all([...names, 'one'].map(firstIdOf));
  const sorted = first.toSorted((a, b) => a - b);
  for (const [at, id] of sorted.entries()) if (at > 0) assert.ok(id - sorted[at - 1]! >= 65536, first.join());
  await daemon.succeed(['rm', 'second']);
  await daemon.succeed(['create', '--name', 'fourth', ...auto, image, 'true']);
  assert.equal(await firstIdOf('fourth'), first[1]);
  await daemon.succeed(['rm', 'first', 'third', 'fourth']);
});

test('no range is lost or given twice when holmd is killed between create and start', async () => {
  const seen = new Map<string, number>();
  for (const round of [1, 2, 3]) {
    const name = `killed${round}`;
    const created = daemon.docker(['create', '--name', name, ...auto, image, 'sleep', '1000']);
    if (round === 2) await new Promise((resolve) => setTimeout(resolve, 30));
    else await created;
    await daemon.kill9();
    await created;
    await daemon.restart();
    if ((await daemon.docker(['inspect', name])).code !== 0) continue;
    await daemon.succeed(['start', name]);
    const first = await firstIdOf(name);
    assert.match(
      await daemon.succeed(['exec', name, 'cat', '/proc/self/uid_map']),
      new RegExp(`^ +0 +${first} +65536$`),
    );
    seen.set(name, first);
  }
  assert.ok(seen.size >= 2);
  const all = [...seen.values(), await firstIdOf('one')];
  assert.equal(new Set(all).size, all.length, all.join());
  await daemon.succeed(['rm', '-f', ...seen.keys()]);
  await daemon.succeed(['create', '--name', 'next', ...auto, image, 'true']);
  assert.equal(await firstIdOf('next'), Math.min(...seen.values()));
  await daemon.succeed(['rm', 'next']);
});

test('standard streams, pipes and terminals are usable by every user', async () => {
  for (const user of ['root', 'alice']) {
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin';
    const result = await daemon.docker(['run', '--rm', '-i', ...auto, '-u', user, image, 'sh', '-c', script], {
      stdin: 'in\n',
    });
    assert.deepEqual([result.code, result.stdout, result.stderr], [0, 'out\nin\n', 'err\n'], user);
    const again = await daemon.succeed(['exec', '-u', user, 'one', 'sh', '-c', 'echo out > /dev/stdout; id -un']);
    assert.equal(again, `out\n${user}`);
  }
});

test('a terminal is root’s inside, of the size that was asked', async () => {
  const script = 'stat -c "%u %g" /dev/console; tty; echo x > /dev/tty; stty size';
  await using session = daemon.talkInTerminal(['run', '-it', '--rm', ...auto, image, 'sh', '-c', script], [33, 101]);
  await session.waitFor(/^0 5\r\n\/dev\/(?:pts\/0|console)\r\nx\r\n33 101\r\n/);
  assert.equal(await session.end(), 0);
  await using inner = daemon.talkInTerminal(['exec', '-it', 'one', 'sh', '-c', 'tty; stty size'], [20, 70]);
  await inner.waitFor(/\/dev\/pts\/\d\r\n20 70\r\n/);
  assert.equal(await inner.end(), 0);
});

test('cp in and out keeps the owners as the inside sees them', async () => {
  const file = join(daemon.names.directory, 'file');
  writeFileSync(file, 'text\n');
  chownSync(file, 12, 13);
  await daemon.succeed(['cp', '-a', file, 'one:/copied']);
  assert.equal(await daemon.succeed(['exec', 'one', 'stat', '-c', '%u %g', '/copied']), '12 13');
  await daemon.succeed(['exec', 'one', 'sh', '-c', 'echo out > /mine; chown 21:22 /mine']);
  const owners = async () => {
    const archive = await daemon.docker(['cp', 'one:/mine', '-']);
    return [108, 116].map((at) => Number.parseInt(archive.stdout.slice(at, at + 7), 8));
  };
  assert.deepEqual(await owners(), [21, 22]);
  await daemon.succeed(['stop', '-t', '0', 'one']);
  assert.deepEqual(await owners(), [21, 22]);
  await daemon.succeed(['start', 'one']);
  assert.equal(await daemon.succeed(['exec', 'one', 'stat', '-c', '%u %g', '/mine', '/copied']), '21 22\n12 13');
});

test('diff and commit see no ids of the host', async () => {
  await daemon.succeed(['exec', 'one', 'sh', '-c', 'mkdir /added; chown 5:6 /added; rm /etc/group']);
  assert.match(await daemon.succeed(['diff', 'one']), /^A \/added$/m);
  await daemon.succeed(['commit', 'one', 'of-one']);
  const script = 'stat -c "%u %g" /added; ls /etc/group';
  const result = await daemon.docker(['run', '--rm', 'of-one', 'sh', '-c', script]);
  assert.equal(result.stdout, '5 6\n');
  assert.match(result.stderr, /No such file/);
  await daemon.succeed(['rmi', 'of-one']);
});

test('top, stats and logs', async () => {
  assert.match(await daemon.succeed(['top', 'one', '-o', 'pid,args']), /sleep 1000/);
  assert.match(await daemon.succeed(['stats', '--no-stream', '--format', '{{.PIDs}}', 'one']), /^1$/);
  await daemon.succeed(['run', '--name', 'talks', ...auto, image, 'echo', 'hello']);
  assert.equal(await daemon.succeed(['logs', 'talks']), 'hello');
  await daemon.succeed(['rm', 'talks']);
});

const works: readonly (readonly [name: string, options: readonly string[], script: string, stdout: RegExp])[] = [
  ['--init', ['--init'], 'ps -o pid,args | head -3', /1 \/sbin\/docker-init/],
  ['--read-only', ['--read-only'], 'touch /x 2>&1', /Read-only file system/],
  ['--tmpfs', ['--tmpfs', '/t:uid=7'], 'touch /t/x; stat -c %u /t /t/x', /^7\n0$/],
  ['--mount', ['--mount', `type=bind,src=${shared},dst=/m,readonly`], 'touch /m/x 2>&1', /Read-only file system/],
  ['devices', [], 'head -c 4 /dev/zero | wc -c; echo x > /dev/null; head -c 1 /dev/urandom | wc -c', /^4\n1$/],
  ['no devices of its own', ['--cap-add', 'MKNOD'], 'mknod /tmp/null c 1 3 2>&1', /not permitted/],
  ['masked paths', [], 'wc -c < /proc/timer_list; ls /sys/firmware | wc -l; touch /proc/sys/x 2>&1', /^0\n0\n/],
  ['cgroups', [], 'ls -d /sys/fs/cgroup/*; cat /proc/self/cgroup', /:\/$/m],
  ['a change of the host name needs a capability', [], 'hostname x 2>&1', /not permitted/],
  ['with it, it is the container’s', ['--cap-add', 'SYS_ADMIN'], 'hostname x; hostname', /^x$/],
  ['seccomp', [], 'grep ^Seccomp: /proc/self/status', /2$/],
  [
    'sysctls',
    ['--sysctl', 'net.ipv4.ip_forward=1', '--sysctl', 'kernel.shmmax=4096'],
    'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax',
    /^1\n4096$/,
  ],
  [
    'ulimits and the out-of-memory score',
    ['--ulimit', 'nofile=100:200', '--oom-score-adj', '400'],
    'ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj',
    /^100\n200\n400$/,
  ],
  [
    'CAP_NET_ADMIN',
    ['--cap-add', 'NET_ADMIN'],
    'ip link set lo down && ip route add 10.9.9.0/24 dev eth0 && ip route',
    /10\.9\.9\.0/,
  ],
  ['no CAP_NET_ADMIN', [], 'ip link set lo down 2>&1', /not permitted/],
  ['--network none', ['--network', 'none'], 'ping -c 1 127.0.0.1; ls /sys/class/net', /lo$/],
  ['--ipc host', ['--ipc', 'host'], 'ls -d /dev/shm', /shm/],
  ['--uts host', ['--uts', 'host', '--cap-add', 'SYS_ADMIN'], 'hostname x 2>&1', /not permitted/],
  ['--cgroupns host', ['--cgroupns', 'host'], 'mkdir /sys/fs/cgroup/x 2>&1', /Read-only file system/],
  ['no-new-privileges', ['--security-opt', 'no-new-privileges'], 'grep NoNewPrivs /proc/self/status', /1$/],
  ['a working directory that is made', ['-w', '/made/here'], 'pwd; stat -c %u .', /^\/made\/here\n0$/],
];

for (const [name, options, script, stdout] of works) {
  test(`with a user namespace: ${name}`, async () => {
    const result = await daemon.docker(['run', '--rm', ...auto, ...options, image, 'sh', '-c', script]);
    assert.match(result.stdout.trimEnd(), stdout, result.stderr);
  });
}

test('the network works: the gateway answers', async () => {
  const { NetworkSettings } = await daemon.inspect<{ NetworkSettings: { Networks: { bridge: { Gateway: string } } } }>(
    'one',
  );
  await daemon.succeed(['exec', 'one', 'ping', '-c', '1', '-W', '2', NetworkSettings.Networks.bridge.Gateway]);
});

const refused: readonly (readonly [name: string, options: readonly string[], stderr: RegExp])[] = [
  ['--privileged', ['--privileged'], /privileged mode is incompatible with user namespaces/],
  ['--network host', ['--network', 'host'], /cannot share the host's network namespace/],
  ['--pid host', ['--pid', 'host'], /cannot share the host PID namespace/],
  ['shared mounts', ['-v', `${shared}:/s:shared`], /cannot share the mounts of "\/s"/],
  ['another user namespace’s network', ['--network', 'container:one'], /it is in another user namespace/],
  ['a user without a number on the host', ['-u', '70000'], /Cannot run as user 70000/],
];

for (const [name, options, stderr] of refused) {
  test(`refused with a user namespace: ${name}`, async () => {
    const result = await daemon.docker(['run', '--rm', ...auto, ...options, image, 'true']);
    assert.equal(result.code, 125);
    assert.match(result.stderr, stderr);
  });
}

test('no road leads to the host’s files: not by its procfs, not by a descriptor', async () => {
  const target = join(daemon.names.directory, 'target');
  writeFileSync(target, 'untouched\n');
  const tries = [
    `echo x > /host/${process.pid}/root${target}`,
    `echo x > /host/${process.pid}/cwd/x`,
    `cat /host/${process.pid}/environ`,
    'echo x > /host/sys/kernel/core_pattern',
    'echo x > /host/sysrq-trigger',
    `kill ${process.pid}`,
    `chroot /host/${process.pid}/root true`,
    'echo 0 1 1 > /proc/self/uid_map',
    'echo deny > /proc/self/setgroups',
  ];
  const caps = ['SYS_ADMIN', 'SYS_PTRACE', 'DAC_READ_SEARCH', 'SYS_CHROOT'].flatMap((name) => ['--cap-add', name]);
  const options = ['-v', '/proc:/host:noidmap', ...caps, '--security-opt', 'seccomp=unconfined'];
  for (const attempt of tries) {
    const result = await daemon.docker(['run', '--rm', ...auto, ...options, image, 'sh', '-c', attempt]);
    assert.notEqual(result.code, 0, attempt);
    assert.match(
      result.stderr,
      /Permission denied|not permitted|No such process|nonexistent|can't (?:open|create)/,
      attempt,
    );
  }
  assert.equal(readFileSync(target, 'latin1'), 'untouched\n');
  assert.ok(!existsSync('/x') && existsSync('/proc/self'));
});

test('a device of the host is not put where a link in a volume over /dev leads', async () => {
  await run(
    ['-v', 'links:/v'],
    'sh',
    '-c',
    'mkdir /v/pts /v/shm /v/mqueue; ln -s /proc/sys/kernel/core_pattern /v/null',
  );
  const result = await daemon.docker(['run', '--rm', ...auto, '-v', 'links:/dev', image, 'cat', '/proc/mounts']);
  assert.equal(result.code, 125);
  assert.match(result.stderr, /Cannot mount "\/dev\/null": it is inside \/proc/);
  await daemon.succeed(['volume', 'rm', 'links']);
});

test('another container’s user namespace: joined with its ids, by itself and with its network', async () => {
  await daemon.succeed(['run', '-d', '--name', 'two', '--network', 'container:one', image, 'sleep', '1000']);
  const body = { Image: image, Cmd: ['sleep', '1000'], HostConfig: { UsernsMode: 'container:one' } };
  await daemon.request('POST', '/containers/create?name=three', body);
  await daemon.succeed(['start', 'three']);
  const link = async (name: string, kind: string) => readlinkSync(`/proc/${await pidOf(name)}/ns/${kind}`);
  for (const name of ['two', 'three']) {
    assert.equal(await link(name, 'user'), await link('one', 'user'));
    assert.notEqual(await link(name, 'pid'), await link('one', 'pid'));
    assert.equal(await firstIdOf(name), await firstIdOf('one'));
    assert.equal(await daemon.succeed(['exec', name, 'sh', '-c', 'ps | wc -l; id -u; stat -c %u /etc']), '5\n0\n0');
  }
  assert.equal(await link('two', 'net'), await link('one', 'net'));
  assert.notEqual(await link('three', 'net'), await link('one', 'net'));
  const script = 'ping -c 1 127.0.0.1 > /dev/null && ps';
  const peers = ['--pid', 'container:one', '--ipc', 'container:one', '--network', 'container:one'];
  assert.match(await daemon.succeed(['run', '--rm', ...peers, image, 'sh', '-c', script]), /1 root +sleep 1000/);
  await daemon.succeed(['rm', '-f', 'two', 'three']);
});

test('maps of the user’s own', async () => {
  const maps = [
    '--annotation',
    'holm.uidmap=0:400000:1000,5000:500000:10',
    '--annotation',
    'holm.gidmap=0:600000:2000',
  ];
  const script = 'cat /proc/self/uid_map; cat /proc/self/gid_map; touch /x; chown 5001 /x; stat -c %u /x';
  const told = await daemon.succeed(['run', '--rm', ...maps, image, 'sh', '-c', script]);
  assert.deepEqual(
    told.split('\n').map((line) => line.trim().replace(/\s+/g, ' ')),
    ['0 400000 1000', '5000 500000 10', '0 600000 2000', '5001'],
  );
  const host = await daemon.docker(['run', '--rm', '--annotation', 'holm.uidmap=0:0:65536', image, 'true']);
  assert.match(host.stderr, /the host's id 0 cannot be given to a container/);
});

test('--userns host opts out, and holm’s own flags ask for the same', async () => {
  assert.equal(
    await daemon.succeed(['run', '--rm', ...auto, '--userns', 'host', image, 'readlink', '/proc/self/ns/user']),
    readlinkSync('/proc/self/ns/user'),
  );
  const own = await daemon.holm(['run', '--rm', '--userns', 'auto', image, 'cat', '/proc/self/uid_map']);
  assert.match(own.stdout, /^ +0 +1879\d+ +65536\n$/);
  const mapped = await daemon.holm(['run', '--rm', '--uidmap', '0:700000:10', image, 'cat', '/proc/self/gid_map']);
  assert.match(mapped.stdout, /^ +0 +700000 +10\n$/);
  const explained = await daemon.holm(['explain', 'run', '--userns', 'auto', image, 'true']);
  assert.match(
    explained.stdout,
    /map the users 0:\d+:65536[\s\S]*root inside is nobody special[\s\S]*map the owners of/,
  );
});
