// CVE-2016-9962 and CVE-2024-21626 for a guest that may trace: whatever enters its pid namespace is in its reach at once. An
// attacker in the guest tries every process there, as fast as it can, for the host's files and for privileges beyond its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const prize = join(daemon.names.directory, 'prize');
const tools = join(daemon.names.directory, 'tools');

/** Follows the numbers that are given out, and says on standard output what it got: a file on the host, or privileges. */
const attacker = String.raw`
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take(const char *format, int pid, int fd, const char *prize) {
    char path[4096], from[256];
    snprintf(from, sizeof from, format, pid, fd);
    snprintf(path, sizeof path, "%s%s", from, prize);
    int got = open(path, O_CREAT | O_WRONLY, 0600);
    if (got < 0) return;
    close(got);
    printf("host through %s\n", from);
}

static unsigned long long permitted(int pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[size > 0 ? size : 0] = 0;
    char *at = strstr(text, "CapPrm:");
    return at ? strtoull(at + 7, NULL, 16) : 0;
}

// The last field is the number that was given out last in this pid namespace.
static int last_given(int loadavg) {
    char text[128] = {0};
    char *at = pread(loadavg, text, sizeof text - 1, 0) > 0 ? strrchr(text, ' ') : NULL;
    return at ? atoi(at) : 0;
}

int main(int count, char **argument) {
    int last = getpid(), seen = 0, loadavg = open("/proc/loadavg", O_RDONLY);
    unsigned long long own = permitted(getpid());
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    while (count == 2) {
        int given = last_given(loadavg);
        for (int pid = given - 2; pid <= given + 1; pid++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d", pid);
            if (pid <= getpid() || access(path, F_OK) < 0) continue;
            if (pid > last) last = pid, printf("seen %d\n", ++seen);
            take("/proc/%d/root", pid, 0, argument[1]);
            take("/proc/%d/cwd/../../../../../../..", pid, 0, argument[1]);
            for (int fd = 0; fd < 30; fd++) take("/proc/%d/fd/%d/../../../../../../../../../..", pid, fd, argument[1]);
            if (permitted(pid) & ~own) printf("privileges %llx of %d\n", permitted(pid), pid);
        }
    }
}
`;

before(() => {
  mkdirSync(prize);
  mkdirSync(tools);
  writeFileSync(join(tools, 'attack.c'), attacker);
  execFileSync('cc', ['-O2', '-static', '-o', join(tools, 'attack'), join(tools, 'attack.c')]);
});

const trace = ['--cap-add', 'SYS_PTRACE', '--security-opt', 'seccomp=unconfined'];
const ownUsers = ['--annotation', 'holm.userns=auto'];

async function attack(name: string, options: readonly string[]): Promise<void> {
  const mount = ['-v', `${tools}:/tools:ro`];
  const command = ['busybox:test', '/tools/attack', `${prize}/${name}`];
  await daemon.succeed(['run', '-d', '--init', '--name', name, ...mount, ...trace, ...options, ...command]);
  while (!/ready/.test(await daemon.succeed(['logs', name]))) await sleep(20);
}

/** What the attacker got; it must at least have seen that many processes come. */
async function assertNothing(name: string, least: number): Promise<void> {
  const said = (await daemon.succeed(['logs', name])).split('\n');
  await daemon.succeed(['rm', '-f', name]);
  const got = said.filter((line) => /^(host|privileges)/.test(line));
  assert.deepEqual([...new Set(got)], []);
  assert.deepEqual(readdirSync(prize), []);
  const seen = said.filter((line) => line.startsWith('seen')).length;
  assert.ok(seen >= least, `the attacker saw ${seen} processes only`);
}

for (const [users, options] of [
  ['the host’s users', []],
  ['users of its own', ownUsers],
] as const) {
  test(`an exec into a container with ${users} that may trace`, async () => {
    await attack('exec', options);
    for (let i = 0; i < 25; i++) {
      const how = [[], ['-u', '33'], ['-i'], ['-w', '/tmp']][i % 4]!;
      await daemon.succeed(['exec', ...how, 'exec', 'true']);
    }
    await assertNothing('exec', 5);
  });

  test(`a health probe of a container with ${users} that may trace`, async () => {
    await attack('probe', [...options, '--health-cmd', 'true', '--health-interval', '20ms']);
    await sleep(3000);
    await assertNothing('probe', 5);
  });

  test(`a container that joins the processes of one with ${users} that may trace`, async () => {
    await attack('joined', options);
    for (let i = 0; i < 12; i++)
      await daemon.succeed(['run', '--rm', '--pid', 'container:joined', 'busybox:test', 'true']);
    await assertNothing('joined', 2);
  });
}

test('what joins sees the processes of both, and an exec has its terminal', async () => {
  await daemon.succeed(['run', '-d', '--name', 'first', ...trace, 'busybox:test', 'sleep', '300']);
  const join = ['--pid', 'container:first'];
  const listed = await daemon.succeed(['run', '--rm', ...join, 'busybox:test', 'sh', '-c', 'ps; cat /proc/1/comm']);
  assert.match(listed, /1 root +sleep 300[\s\S]*\nsleep$/);
  for (const args of [
    ['run', '--rm', '-it', ...join, 'busybox:test'],
    ['exec', '-it', 'first'],
  ]) {
    await using session = daemon.talkInTerminal(
      [...args, 'sh', '-c', 'tty && echo x > /dev/tty && stty size'],
      [21, 71],
    );
    await session.waitFor(/\/dev\/pts\/\d\r\nx\r\n21 71\r\n/);
    assert.equal(await session.end(), 0);
  }
  await daemon.succeed(['rm', '-f', 'first']);
});

test('an exec, and a container that joins, where the seccomp filter forbids clone', async () => {
  const forbidden = [{ names: ['clone', 'clone3', 'fork', 'vfork'], action: 'SCMP_ACT_ERRNO' }];
  const profile = join(daemon.names.directory, 'no-clone.json');
  writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: forbidden }));
  for (const [more, users] of [
    [[], []],
    [['--security-opt', 'no-new-privileges'], []],
    [[], ownUsers],
  ] as const) {
    const filtered = ['--security-opt', `seccomp=${profile}`, ...more];
    await daemon.succeed(['run', '-d', '--name', 'filtered', ...filtered, ...users, 'busybox:test', 'sleep', '300']);
    const script = ['sh', '-c', 'while read line; do echo "$line"; done < /proc/self/status; (echo forked); :'];
    for (const args of [
      ['exec', '-u', '33', 'filtered'],
      ['run', '--rm', '-u', '33', ...filtered, '--pid', 'container:filtered', 'busybox:test'],
    ]) {
      const result = await daemon.docker([...args, ...script]);
      assert.match(result.stdout, /^CapPrm:\s+0+$[\s\S]*^Seccomp:\s+2$/m, args.join(' '));
      assert.doesNotMatch(result.stdout, /forked/);
    }
    await daemon.succeed(['rm', '-f', 'filtered']);
  }
});
