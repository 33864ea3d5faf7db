// CVE-2019-5736: a container overwrites the host's runtime through /proc/self/exe, or through /proc/PID/exe of an exec.
// The keeper runs from a sealed copy in memory, so there is nothing on the host to reach.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const keeper = process.env.HOLM_KEEPER ?? join(import.meta.dirname, '../../build/holm-keeper');
const digest = (): string => createHash('sha256').update(readFileSync(keeper)).digest('hex');

test('a program that is /proc/self/exe is at most a sealed copy of the keeper', async () => {
  const before = digest();
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'box',
    'busybox:test',
    'sh',
    '-c',
    'ln -s /proc/self/exe /evil; sleep 60',
  ]);
  for (const args of [
    ['exec', 'box', '/evil', 'version'],
    ['run', '--rm', 'busybox:test', '/proc/self/exe', 'version'],
  ]) {
    const result = await daemon.docker(args, { timeoutMs: 10_000 });
    assert.ok(!result.timedOut);
  }
  assert.equal(digest(), before);
  await daemon.succeed(['rm', '-f', 'box']);
});

test('a container that watches for execs finds no file of the host to write', async () => {
  const before = digest();
  // Opens the program of every new process, as the published exploit does, and tries to write what it got.
  const watch = `
    while :; do
      for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in ''|/bin/busybox) continue ;; esac
        readlink $p/exe >> /seen
        ( exec 3< $p/exe && echo '#!/bin/sh' > /proc/self/fd/3 && echo written >> /won ) 2>/dev/null
      done
    done`;
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'watcher',
    '--cap-add',
    'SYS_PTRACE',
    'busybox:test',
    'sh',
    '-c',
    watch,
  ]);
  for (let round = 0; round < 40; round++) await daemon.docker(['exec', 'watcher', 'true']);
  const won = await daemon.docker(['exec', 'watcher', 'cat', '/won']);
  const seen = await daemon.docker(['exec', 'watcher', 'sh', '-c', 'sort -u /seen 2>/dev/null']);
  await daemon.succeed(['rm', '-f', 'watcher']);
  assert.equal(won.stdout, '');
  assert.doesNotMatch(seen.stdout, /holm-keeper$/m, 'the file on the host is never what a process in a container runs');
  assert.equal(digest(), before);
});

test('an exec of a script whose interpreter is /proc/self/exe leaves the keeper alone', async () => {
  const before = digest();
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'script',
    'busybox:test',
    'sh',
    '-c',
    'echo "#!/proc/self/exe" > /x; chmod +x /x; sleep 60',
  ]);
  await daemon.docker(['exec', 'script', '/x'], { timeoutMs: 10_000 });
  await daemon.succeed(['rm', '-f', 'script']);
  assert.equal(digest(), before);
});
