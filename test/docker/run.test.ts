// docker run: what each option makes of the inside of a container.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const folder = mkdtempSync(join(tmpdir(), 'holm-run-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'hello'), 'hello from the host\n');
writeFileSync(join(folder, 'variables'), 'FROM_FILE=yes\n# a comment\nSECOND=two words\n');

/** Options and command; what standard output is, or matches; the code, 0 unless told. */
type Case = readonly [
  name: string,
  options: readonly string[],
  command: readonly string[],
  stdout: string | RegExp,
  code?: number,
];

const cases: readonly Case[] = [
  ['the output of a program', [], ['echo', 'hello'], 'hello'],
  ['the code of a program', [], ['sh', '-c', 'exit 7'], '', 7],
  ["the image's own command", [], [], ''],
  ['-e sets variables', ['-e', 'A=1', '--env', 'B=x y'], ['sh', '-c', 'echo "$A-$B"'], '1-x y'],
  ['--env-file', ['--env-file', join(folder, 'variables')], ['sh', '-c', 'echo "$FROM_FILE-$SECOND"'], 'yes-two words'],
  [
    'variables that are always there',
    [],
    ['sh', '-c', 'env | sort'],
    /^HOME=\/root\nHOSTNAME=[0-9a-f]{12}\nPATH=\/usr\/local\/sbin:.*/,
  ],
  ['HOME of a user', ['-u', 'alice'], ['sh', '-c', 'echo $HOME'], '/home/alice'],
  ['-w', ['-w', '/usr/bin'], ['pwd'], '/usr/bin'],
  ['-w makes a directory that is missing', ['-w', '/made/for/it'], ['pwd'], '/made/for/it'],
  ['-h', ['-h', 'island'], ['sh', '-c', 'hostname; cat /etc/hostname; grep -c island /etc/hosts'], 'island\nisland\n1'],
  [
    '-u by name brings the groups of the image',
    ['-u', 'alice'],
    ['id'],
    'uid=1000(alice) gid=1000(alice) groups=29(audio),50(staff),1000(alice)',
  ],
  ['-u by number', ['-u', '4321'], ['id'], 'uid=4321 gid=0(root) groups=0(root)'],
  ['-u with a group', ['-u', '1000:29'], ['sh', '-c', 'id -u; id -g; id -G'], '1000\n29\n29'],
  ['-u name:name', ['-u', 'alice:staff'], ['id', '-g'], '50'],
  ['--group-add', ['-u', 'alice', '--group-add', '777'], ['sh', '-c', 'id -G | tr " " "\\n" | grep 777'], '777'],
  ['--entrypoint', ['--entrypoint', '/bin/echo'], ['an', 'argument'], 'an argument'],
  ['--init', ['--init'], ['sh', '-c', 'cat /proc/1/comm; [ $$ -ne 1 ] && echo second'], /second$/],
  ['without --init the program is process 1', [], ['sh', '-c', 'echo $$'], '1'],
  [
    '--read-only',
    ['--read-only'],
    ['sh', '-c', 'touch /x 2>&1; touch /dev/shm/y && echo shm'],
    'touch: /x: Read-only file system\nshm',
  ],
  [
    '--tmpfs',
    ['--tmpfs', '/scratch:size=2m,mode=1777'],
    ['sh', '-c', "grep ' /scratch ' /proc/mounts; stat -c %a /scratch"],
    /^tmpfs \/scratch tmpfs rw,.*size=2048k.*\n1777$/,
  ],
  ['-v of a host directory', ['-v', `${folder}:/mnt/in`], ['cat', '/mnt/in/hello'], 'hello from the host'],
  [
    '-v :ro',
    ['-v', `${folder}:/mnt/in:ro`],
    ['sh', '-c', 'touch /mnt/in/x 2>&1'],
    'touch: /mnt/in/x: Read-only file system',
    1,
  ],
  ['-v of a host file', ['-v', `${folder}/hello:/etc/motd`], ['cat', '/etc/motd'], 'hello from the host'],
  [
    '--mount type=bind',
    ['--mount', `type=bind,src=${folder},dst=/m,readonly`],
    ['sh', '-c', 'cat /m/hello; grep -c " /m .* ro," /proc/mounts'],
    'hello from the host\n1',
  ],
  [
    '--mount type=tmpfs',
    ['--mount', 'type=tmpfs,dst=/t,tmpfs-size=1048576,tmpfs-mode=700'],
    ['sh', '-c', "grep ' /t ' /proc/mounts; stat -c %a /t"],
    /size=1024k.*\n700$/,
  ],
  ['--network none', ['--network', 'none'], ['ls', '/sys/class/net'], 'lo'],
  ['the default network', [], ['sh', '-c', 'ls /sys/class/net; ip route | grep -c default'], 'eth0\nlo\n1'],
  ['--shm-size', ['--shm-size', '3m'], ['sh', '-c', "df -k /dev/shm | tail -1 | awk '{print $2}'"], '3072'],
  ['--ulimit', ['--ulimit', 'nofile=512:1000'], ['sh', '-c', 'ulimit -Sn; ulimit -Hn'], '512\n1000'],
  [
    '--sysctl',
    ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=77'],
    ['cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'],
    '77',
  ],
  [
    '--device',
    ['--device', '/dev/null:/dev/void:rw'],
    ['sh', '-c', 'stat -c %t:%T /dev/void; echo x > /dev/void && echo written'],
    '1:3\nwritten',
  ],
  ['--pid host', ['--pid', 'host'], ['sh', '-c', `ls -d /proc/${process.pid}`], `/proc/${process.pid}`],
  ['--uts host', ['--uts', 'host'], ['hostname'], readFileSync('/proc/sys/kernel/hostname', 'utf8').trim()],
  ['--ipc none', ['--ipc', 'none'], ['sh', '-c', 'grep -c " /dev/shm " /proc/mounts'], '0', 1],
  ['--add-host', ['--add-host', 'db:10.9.8.7'], ['grep', '-w', 'db', '/etc/hosts'], '10.9.8.7\tdb'],
  [
    '--dns',
    ['--dns', '9.9.9.9', '--dns-search', 'example.test'],
    ['cat', '/etc/resolv.conf'],
    /search example\.test[\s\S]*nameserver 9\.9\.9\.9|nameserver 9\.9\.9\.9[\s\S]*search example\.test/,
  ],
  ['--domainname', ['-h', 'a', '--domainname', 'b.test'], ['sh', '-c', 'cat /proc/sys/kernel/domainname'], 'b.test'],
  ['--oom-score-adj upwards', ['--oom-score-adj', '500'], ['cat', '/proc/self/oom_score_adj'], '500'],
  ["the host's kernel", [], ['uname', '-r'], release()],
];

for (const [name, options, argv, expected, code = 0] of cases) {
  test(`docker run: ${name}`, async () => {
    const result = await daemon.docker(['run', '--rm', ...options, 'busybox:test', ...argv]);
    assert.equal(result.code, code, result.output);
    const stdout = result.stdout.replace(/\n$/, '');
    if (typeof expected === 'string') assert.equal(stdout, expected, result.stderr);
    else assert.match(stdout, expected);
  });
}

test('docker run: /dev and /proc are as programs expect them', async () => {
  const script = [
    'for d in null zero full random urandom tty; do stat -c "$d %F %t:%T %a" /dev/$d; done',
    'ls -l /dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx | sed "s/.* \\/dev/\\/dev/"',
    'ls -d /dev/pts /dev/shm /dev/mqueue',
    'mount | grep -E " on (/proc|/sys|/sys/fs/cgroup|/dev/pts|/dev/mqueue) " | sed "s/.* on \\([^ ]*\\) type \\([^ ]*\\).*/\\1 \\2/" | sort -u',
  ].join('\n');
  const stdout = await daemon.succeed(['run', '--rm', 'busybox:test', 'sh', '-c', script]);
  for (const device of [
    'null character special file 1:3',
    'zero character special file 1:5',
    'full character special file 1:7',
  ]) {
    assert.match(stdout, new RegExp(`^${device} 666$`, 'm'));
  }
  for (const device of [
    'random character special file 1:8',
    'urandom character special file 1:9',
    'tty character special file 5:0',
  ]) {
    assert.match(stdout, new RegExp(`^${device} 666$`, 'm'));
  }
  for (const link of ['/dev/fd -> /proc/self/fd', '/dev/stdin -> /proc/self/fd/0', '/dev/ptmx -> pts/ptmx']) {
    assert.ok(stdout.includes(link), `${link} in ${stdout}`);
  }
  assert.match(stdout, /^\/proc proc$/m);
  assert.match(stdout, /^\/sys sysfs$/m);
  assert.match(stdout, /^\/dev\/pts devpts$/m);
  assert.match(stdout, /^\/dev\/mqueue mqueue$/m);
});

test('docker run: every namespace is new', async () => {
  const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'];
  const script = kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join('; ');
  const inside = (await daemon.succeed(['run', '--rm', 'busybox:test', 'sh', '-c', script])).split('\n');
  assert.equal(inside.length, kinds.length);
  for (const [index, kind] of kinds.entries()) assert.notEqual(inside[index], readlinkSync(`/proc/self/ns/${kind}`));
});

test('docker run: the inside sees its own processes only', async () => {
  const stdout = await daemon.succeed(['run', '--rm', 'busybox:test', 'ps', '-o', 'pid,comm']);
  assert.match(stdout, /^PID\s+COMMAND\n\s+1 ps$/);
});

test('docker run: --cidfile, --label, --name', async () => {
  const file = join(folder, 'cid');
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'marked',
    '--label',
    'a=1',
    '--cidfile',
    file,
    'busybox:test',
    'sleep',
    '60',
  ]);
  const { Id, Name, Config } = await daemon.inspect<{ Id: string; Name: string; Config: { Labels: object } }>('marked');
  assert.equal(readFileSync(file, 'utf8'), Id);
  assert.equal(Name, '/marked');
  assert.deepEqual(Config.Labels, { a: '1' });
  await daemon.succeed(['rm', '-f', 'marked']);
});

test('docker run: joins the namespaces of another container', async () => {
  await daemon.succeed(['run', '-d', '--name', 'first', '--ipc', 'shareable', 'busybox:test', 'sleep', '60']);
  const script = 'for k in net ipc pid mnt; do readlink /proc/self/ns/$k; done';
  const joined = ['--network', 'container:first', '--ipc', 'container:first', '--pid', 'container:first'];
  const inside = (await daemon.succeed(['run', '--rm', ...joined, 'busybox:test', 'sh', '-c', script])).split('\n');
  const first = (await daemon.succeed(['exec', 'first', 'sh', '-c', script])).split('\n');
  assert.deepEqual(inside.slice(0, 3), first.slice(0, 3));
  assert.notEqual(inside[3], first[3]);
  await daemon.succeed(['rm', '-f', 'first']);
});

test('docker run: --network host is the host', async () => {
  const own = readlinkSync('/proc/self/ns/net');
  const inside = await daemon.succeed([
    'run',
    '--rm',
    '--network',
    'host',
    'busybox:test',
    'readlink',
    '/proc/self/ns/net',
  ]);
  assert.equal(inside, own);
});
