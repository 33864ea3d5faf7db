// A daemon that gives every container users of its own unless it says otherwise (holmd --userns auto), from few ids.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const first = 3_000_000_000;
const daemon = await daemonForFile({ flags: ['--userns', 'auto', '--userns-ids', `${first}:150000`] });
const image = 'busybox:test';
const showMap = ['cat', '/proc/self/uid_map'];

function rowOf(slot: number): RegExp {
  return new RegExp(`^ +0 +${first + slot * 65536} +65536$`);
}

test('a container that says nothing has users of its own, and info says so', async () => {
  assert.match(await daemon.succeed(['run', '--rm', image, ...showMap]), rowOf(0));
  assert.match(await daemon.succeed(['info', '-f', '{{.SecurityOptions}}']), /name=userns/);
  assert.equal(await daemon.succeed(['run', '--rm', '-v', 'kept:/v', image, 'sh', '-c', 'echo x > /v/x; id -u']), '0');
  await daemon.succeed(['volume', 'rm', 'kept']);
});

test('--userns host opts out, which --privileged and the host’s namespaces need', async () => {
  const host = /^ +0 +0 +4294967295$/;
  assert.match(await daemon.succeed(['run', '--rm', '--userns', 'host', image, ...showMap]), host);
  for (const option of [['--privileged'], ['--network', 'host'], ['--pid', 'host']]) {
    const refused = await daemon.docker(['run', '--rm', ...option, image, 'true']);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /user namespaces/);
    assert.match(await daemon.succeed(['run', '--rm', '--userns', 'host', ...option, image, ...showMap]), host);
  }
});

test('who shares a container’s namespaces has its users, and nobody else’s', async () => {
  await daemon.succeed(['run', '-d', '--name', 'own', image, 'sleep', '1000']);
  await daemon.succeed(['run', '-d', '--name', 'plain', '--userns', 'host', image, 'sleep', '1000']);
  for (const kind of ['network', 'ipc', 'pid'])
    assert.match(
      await daemon.succeed(['run', '--rm', `--${kind}`, 'container:own', image, ...showMap]),
      rowOf(0),
      kind,
    );
  const mixed = await daemon.docker(['run', '--rm', '--network', 'container:plain', image, 'true']);
  assert.match(mixed.stderr, /cannot share the network namespace of container plain: it is in another user namespace/);
  const both = ['--userns', 'host', '--network', 'container:plain'];
  assert.match(await daemon.succeed(['run', '--rm', ...both, image, ...showMap]), / 4294967295$/);
  const nobody = await daemon.docker(['run', '--rm', '--network', 'container:nobody', image, 'true']);
  assert.match(nobody.stderr, /joining network namespace of container: No such container: nobody/);
  await daemon.succeed(['rm', '-f', 'own', 'plain']);
});

test('when all ids are given away the next container is refused, until one is free', async () => {
  await daemon.succeed(['create', '--name', 'aa', image, 'true']);
  await daemon.succeed(['create', '--name', 'bb', image, ...showMap]);
  const refused = await daemon.docker(['create', '--name', 'cc', image, 'true']);
  assert.match(refused.stderr, /Cannot give a container its own ids: all 2 ranges are in use/);
  assert.equal((await daemon.docker(['inspect', 'cc'])).code, 1);
  await daemon.succeed(['rm', 'aa']);
  await daemon.succeed(['create', '--name', 'cc', image, 'true']);
  assert.match(await daemon.succeed(['start', '-a', 'bb']), rowOf(1));
  await daemon.succeed(['rm', 'bb', 'cc']);
});

test('maps of the user’s own take no ids that auto gives', async () => {
  for (const map of [`0:${first + 10}:5`, '0:1:4294967294']) {
    const refused = await daemon.docker(['create', '--annotation', `holm.uidmap=${map}`, image, 'true']);
    assert.match(refused.stderr, /Cannot map the ids as asked: some are of those that containers/);
  }
  const beside = ['--annotation', `holm.uidmap=0:${first - 5}:5`];
  await daemon.succeed(['create', '--name', 'mapped', ...beside, image, 'true']);
  assert.match(await daemon.succeed(['run', '--rm', image, ...showMap]), rowOf(0));
  await daemon.succeed(['rm', 'mapped']);
});
