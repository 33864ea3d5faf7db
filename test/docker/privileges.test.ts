// What a container may do: capabilities, seccomp, no-new-privileges, masked and read-only paths, and the options that change them.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

/** The status line of process 1 with these options. */
async function statusOf(field: string, options: readonly string[]): Promise<string> {
  const line = await daemon.succeed([
    'run',
    '--rm',
    ...options,
    'busybox:test',
    'grep',
    `^${field}:`,
    '/proc/self/status',
  ]);
  return line.split(/\s+/)[1] ?? '';
}

const capabilityCases: readonly (readonly [name: string, options: readonly string[], field: string, value: string])[] =
  [
    ["docker's 14", [], 'CapEff', '00000000a80425fb'],
    ["docker's 14 bound", [], 'CapBnd', '00000000a80425fb'],
    ['nothing inherited', [], 'CapInh', '0000000000000000'],
    ['none effective for a user', ['-u', 'alice'], 'CapEff', '0000000000000000'],
    ['--cap-drop ALL', ['--cap-drop', 'ALL'], 'CapEff', '0000000000000000'],
    ['--cap-drop ALL --cap-add', ['--cap-drop', 'ALL', '--cap-add', 'NET_BIND_SERVICE'], 'CapEff', '0000000000000400'],
    ['--cap-add', ['--cap-add', 'SYS_TIME'], 'CapEff', '00000000aa0425fb'],
    ['--cap-add with CAP_', ['--cap-add', 'CAP_SYS_TIME'], 'CapEff', '00000000aa0425fb'],
    ['no-new-privileges off', [], 'NoNewPrivs', '0'],
    ['no-new-privileges on', ['--security-opt', 'no-new-privileges'], 'NoNewPrivs', '1'],
    ['seccomp', [], 'Seccomp', '2'],
    ['seccomp=unconfined', ['--security-opt', 'seccomp=unconfined'], 'Seccomp', '0'],
    ['--privileged has no seccomp', ['--privileged'], 'Seccomp', '0'],
  ];

for (const [name, options, field, value] of capabilityCases) {
  test(`${field}: ${name}`, async () => {
    assert.equal(await statusOf(field, options), value);
  });
}

test('--privileged has what the host has', async () => {
  const [inside, outside] = [
    await statusOf('CapEff', ['--privileged']),
    await statusOf('CapEff', ['--privileged', '--pid', 'host']),
  ];
  assert.equal(inside, outside);
  assert.ok(BigInt(`0x${inside}`) > 0x1fffffn);
});

const denied: readonly (readonly [name: string, script: string, stderr: RegExp])[] = [
  [
    'mount',
    'mount -t tmpfs none /mnt || mkdir -p /m && mount -t tmpfs none /m',
    /(?:permission denied|Operation not permitted)/i,
  ],
  ['a new user namespace', 'unshare -U true', /Operation not permitted/],
  ['a change of the time', 'date -s 2020-01-01; false', /Operation not permitted/],
  ['a change of the host name', 'hostname other', /Operation not permitted/],
  ['loading a module', 'insmod /etc/passwd', /Operation not permitted/],
  ['reboot', 'reboot -f', /Operation not permitted/],
  ['swapoff', 'swapoff -a; swapoff /x', /Operation not permitted/],
  ['writing to /proc/sys', 'echo 1 > /proc/sys/kernel/panic', /Read-only file system/],
  ['writing to /proc/sysrq-trigger', 'echo h > /proc/sysrq-trigger', /Read-only file system|nonexistent/],
  ['writing to /sys', 'echo 1 > /sys/kernel/profiling', /Read-only file system|nonexistent|can't create/],
  ['reading the ring buffer', 'dmesg', /Operation not permitted/],
];

for (const [name, script, stderr] of denied) {
  test(`denied: ${name}`, async () => {
    const result = await daemon.docker(['run', '--rm', 'busybox:test', 'sh', '-c', script]);
    assert.notEqual(result.code, 0);
    assert.match(result.output, stderr);
  });
}

test('masked files are empty, masked directories too', async () => {
  const files = ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/sched_debug', '/proc/latency_stats'].filter(
    existsSync,
  );
  const directories = ['/proc/acpi', '/proc/scsi', '/sys/firmware'].filter(existsSync);
  const script = `for f in ${files.join(' ')}; do head -c 1 $f | wc -c; done; for d in ${directories.join(' ')}; do ls $d | wc -l; done`;
  const counts = (await daemon.succeed(['run', '--rm', 'busybox:test', 'sh', '-c', script])).split('\n');
  assert.deepEqual(
    counts,
    Array.from({ length: files.length + directories.length }, () => '0'),
  );
  assert.ok(files.length > 0);
});

test('systempaths=unconfined takes the masks away', async () => {
  const script = 'grep -c " /proc/kcore \\| /proc/sys " /proc/mounts';
  const result = await daemon.docker([
    'run',
    '--rm',
    '--security-opt',
    'systempaths=unconfined',
    'busybox:test',
    'sh',
    '-c',
    script,
  ]);
  assert.equal(result.stdout.trim(), '0');
});

test('--privileged may mount, and sees devices', async () => {
  const script = 'mkdir /m && mount -t tmpfs none /m && echo mounted; ls /dev/kmsg';
  assert.equal(
    await daemon.succeed(['run', '--rm', '--privileged', 'busybox:test', 'sh', '-c', script]),
    'mounted\n/dev/kmsg',
  );
});

test('--cap-add SYS_ADMIN opens mount in the seccomp profile', async () => {
  const script = 'mkdir /m && mount -t tmpfs none /m && echo mounted';
  assert.equal(
    await daemon.succeed(['run', '--rm', '--cap-add', 'SYS_ADMIN', 'busybox:test', 'sh', '-c', script]),
    'mounted',
  );
});

test("a seccomp profile of the user's own", async () => {
  const profile = JSON.stringify({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }],
  });
  const file = `${daemon.names.directory}/profile.json`;
  writeFileSync(file, profile);
  const result = await daemon.docker([
    'run',
    '--rm',
    '--security-opt',
    `seccomp=${file}`,
    'busybox:test',
    'mkdir',
    '/x',
  ]);
  assert.match(result.stderr, /Function not implemented/);
});

test('a set-uid program gains nothing with no-new-privileges', async () => {
  const script = 'cp /bin/busybox /tmp/su && chmod 4755 /tmp/su && su alice -c "/tmp/su root -c true" < /dev/null';
  const run = async (options: readonly string[]): Promise<string> =>
    (await daemon.docker(['run', '--rm', ...options, 'busybox:test', 'sh', '-c', script])).stderr;
  const refused = /must be suid to work properly/;
  assert.doesNotMatch(await run([]), refused);
  assert.match(await run(['--security-opt', 'no-new-privileges']), refused);
});
