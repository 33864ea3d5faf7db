// What a guest's processes have of those that start them: not the daemon's out-of-memory score, and standard streams that
// are their user's own.
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

// docs/holmd.service gives it a lower one; a higher one takes no right. The daemon inherits it.
writeFileSync('/proc/self/oom_score_adj', '250');
const daemon = await daemonForFile();
const image = 'busybox:test';
const ownUsers = ['--annotation', 'holm.userns=auto'];
const score = ['cat', '/proc/self/oom_score_adj'];

test('the daemon’s out-of-memory score is not inherited', async () => {
  // The later ones come from prepared slots.
  for (const options of [[], [], [], ownUsers])
    assert.equal(await daemon.succeed(['run', '--rm', ...options, image, ...score]), '0', options.join(' '));
  assert.equal(await daemon.succeed(['run', '--rm', '--oom-score-adj', '300', image, ...score]), '300');
  for (const options of [[], ownUsers]) {
    await daemon.succeed(['run', '-d', '--name', 'box', ...options, image, 'sleep', '300']);
    assert.equal(await daemon.succeed(['exec', 'box', ...score]), '0');
    await daemon.succeed(['rm', '-f', 'box']);
  }
});

test('standard input is its user’s as well, and the host’s /dev/null stays the host’s', async () => {
  const before = statSync('/dev/null');
  await daemon.succeed(['run', '-d', '--name', 'plain', image, 'sleep', '300']);
  await daemon.succeed(['run', '-d', '--name', 'mapped', ...ownUsers, image, 'sleep', '300']);
  const script = 'cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr';
  for (const args of [
    ['run', '--rm', '-i', '-u', '33', image],
    ['run', '--rm', '-i', '-u', '33', ...ownUsers, image],
    ['exec', '-i', '-u', '33', 'plain'],
    ['exec', '-i', '-u', '33', 'mapped'],
  ]) {
    const result = await daemon.docker([...args, 'sh', '-c', script], { stdin: 'in\n' });
    assert.deepEqual([result.code, result.stdout, result.stderr], [0, 'in\nout\n', 'err\n'], args.join(' '));
  }
  await daemon.succeed(['run', '--rm', '-u', '33', image, 'sh', '-c', 'cat /dev/stdin']);
  for (const name of ['plain', 'mapped'])
    for (const user of ['0', '33']) {
      await daemon.succeed(['exec', '-u', user, name, 'true']);
      await using session = daemon.talkInTerminal(['exec', '-it', '-u', user, name, 'stat', '-Lc', '%u', '/dev/stdin']);
      await session.waitFor(new RegExp(`^${user}\\r\\n`));
      assert.equal(await session.end(), 0);
    }
  const after = statSync('/dev/null');
  assert.deepEqual([after.uid, after.gid, after.mode], [before.uid, before.gid, before.mode]);
  await daemon.succeed(['rm', '-f', 'plain', 'mapped']);
});
