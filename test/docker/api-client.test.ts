// The docker client against the API over an engine in memory: what it sends is understood, what it gets it understands.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FakeServer } from './fake-server.ts';

const fake = await FakeServer.start();
after(() => fake[Symbol.asyncDispose]());

test('version and info', async () => {
  const version = await fake.succeed([
    'version',
    '--format',
    '{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}',
  ]);
  assert.equal(version, '0.0.1 1.55 linux');
  const info = await fake.succeed(['info', '--format', '{{.NCPU}} {{.CgroupVersion}} {{.DefaultRuntime}} {{.Images}}']);
  assert.equal(info, '2 2 holm 1');
});

test('run: both outputs, in their own streams', async () => {
  const result = await fake.docker(['run', '--rm', 'debian:bookworm', 'say', 'out', 'err']);
  assert.deepEqual([result.code, result.stdout, result.stderr], [0, 'out\n', 'err\n']);
});

const ends: readonly (readonly [args: readonly string[], code: number, stderr: RegExp])[] = [
  [['exit', '0'], 0, /^$/],
  [['exit', '42'], 42, /^$/],
  [['exit', '255'], 255, /^$/],
  [['no-such'], 127, /exec: "no-such": executable file not found in \$PATH/],
  [['/no/such'], 127, /exec: "\/no\/such": no such file or directory/],
  [['/etc/passwd'], 126, /exec: "\/etc\/passwd": permission denied/],
];
for (const [args, code, stderr] of ends)
  for (const rm of [[], ['--rm']])
    test(`run ${rm.join()} ${args.join(' ')} gives ${code}`, async () => {
      const result = await fake.docker(['run', ...rm, 'debian:bookworm', ...args]);
      assert.equal(result.code, code, result.output);
      assert.match(result.stderr, stderr);
    });

test('run of an unknown image gives 125 and says why', async () => {
  const result = await fake.docker(['run', 'nowhere', 'x']);
  assert.equal(result.code, 125);
  assert.match(result.stderr, /Cannot pull "nowhere:latest": registries are not supported yet/);
});

test('run -i: the end of input reaches the program while its output goes on', async () => {
  await using session = fake.talk(['run', '-i', '--rm', 'debian:bookworm', 'cat']);
  session.write('one ');
  await session.waitFor(/one /);
  session.write('two');
  await session.waitFor(/two/);
  session.endInput();
  assert.equal(await session.end(), 0);
  assert.equal(session.stdout, 'one two<end>');
});

test('a long stream comes whole', async () => {
  const result = await fake.docker(['run', '--rm', 'debian:bookworm', 'flood', '24']);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout.length, 24 << 20);
});

test('run -d, kill, wait and the exit code of each', async () => {
  await fake.succeed(['run', '-d', '--name', 'waited', 'debian:bookworm', 'sleep']);
  await using session = fake.talk(['wait', 'waited']);
  await sleep(200);
  assert.equal(session.stdout, '');
  await fake.succeed(['kill', '-s', 'TERM', 'waited']);
  assert.equal(await session.end(), 0);
  assert.equal(session.stdout.trim(), '143');
  const again = await fake.docker(['kill', 'waited']);
  assert.match(again.stderr, /cannot kill container: waited: container [0-9a-f]{64} is not running/);
  await fake.succeed(['rm', 'waited']);
});

test('a terminal: raw stream, size, detach by attach without input', async () => {
  await using session = fake.talkInTerminal(['run', '-it', '--name', 'term', 'debian:bookworm', 'cat'], [33, 77]);
  session.write('x\n');
  await session.waitFor(/x\r?\n/);
  for (let i = 0; i < 100 && !fake.engine.resized.includes('33x77'); i++) await sleep(20);
  assert.ok(fake.engine.resized.includes('33x77'));
  await fake.succeed(['kill', 'term']);
  assert.equal(await session.end(), 137);
});

test('exec: streams, exit codes, input, a program that is not there', async () => {
  await fake.succeed(['run', '-d', '--name', 'box', 'debian:bookworm', 'sleep']);
  const both = await fake.docker(['exec', 'box', 'say', 'a', 'b']);
  assert.deepEqual([both.code, both.stdout, both.stderr], [0, 'a\n', 'b\n']);
  assert.equal((await fake.docker(['exec', 'box', 'exit', '7'])).code, 7);
  assert.equal(await fake.succeed(['exec', '-i', 'box', 'cat'], { stdin: 'in' }), 'in<end>');
  const missing = await fake.docker(['exec', 'box', 'no-such']);
  assert.equal(missing.code, 127);
  assert.match(missing.stdout, /executable file not found in \$PATH/);
  await fake.succeed(['exec', '-d', 'box', 'say', 'x']);
  await fake.succeed(['pause', 'box']);
  assert.match((await fake.docker(['exec', 'box', 'say'])).stderr, /is paused, unpause the container before exec/);
  assert.match(await fake.succeed(['ps', '--format', '{{.Status}}', '-f', 'name=box']), /^Up .* \(Paused\)$/);
  await fake.succeed(['unpause', 'box']);
  assert.match(
    (await fake.docker(['rm', 'box'])).stderr,
    /container is running: stop the container before removing or force remove/,
  );
  await fake.succeed(['rm', '-f', 'box']);
});

test('attach to a container that runs', async () => {
  await fake.succeed(['run', '-d', '-i', '--name', 'open', 'debian:bookworm', 'cat']);
  await using session = fake.talk(['attach', 'open']);
  session.write('hello');
  await session.waitFor(/hello/);
  session.endInput();
  assert.equal(await session.end(), 0);
  assert.equal(session.stdout, 'hello<end>');
});

test('names: conflict, rename, inspect', async () => {
  const id = await fake.succeed([
    'create',
    '--name',
    'first',
    '-l',
    'a=b',
    '-e',
    'X=1',
    'debian:bookworm',
    'say',
    'a b',
  ]);
  const taken = await fake.docker(['create', '--name', 'first', 'debian:bookworm']);
  assert.match(
    taken.stderr,
    new RegExp(`Conflict. The container name "/first" is already in use by container "${id}"`),
  );
  await fake.succeed(['create', '--name', 'second', 'debian:bookworm']);
  assert.match((await fake.docker(['rename', 'second', 'first'])).stderr, /Error when allocating new name: Conflict/);
  await fake.succeed(['rename', 'second', 'third']);
  const format = '{{.Name}} {{.Path}} {{json .Args}} {{.State.Status}} {{json .Config.Env}} {{.Config.Labels.a}}';
  assert.equal(
    await fake.succeed(['inspect', '-f', format, 'first']),
    '/first say ["a b"] created ["PATH=/bin","X=1"] b',
  );
  assert.match((await fake.docker(['inspect', 'second'])).stderr, /No such object: second/);
  assert.match(
    await fake.succeed(['ps', '-a', '--no-trunc', '-f', 'name=first', '--format', '{{.Command}}']),
    /say 'a b'/,
  );
  await fake.succeed(['rm', 'first', 'third']);
});

test('logs: both outputs, tail', async () => {
  await fake.docker(['run', '--name', 'logged', 'debian:bookworm', 'say', 'out', 'err']);
  const result = await fake.docker(['logs', 'logged']);
  assert.deepEqual([result.stdout, result.stderr], ['out\n', 'err\n']);
  assert.equal((await fake.docker(['logs', '--tail', '1', 'logged'])).output, 'err\n');
  await fake.docker(['create', '--name', 'silent', '--log-driver', 'none', 'debian:bookworm']);
  assert.match((await fake.docker(['logs', 'silent'])).stderr, /configured logging driver does not support reading/);
  await fake.succeed(['rm', 'logged', 'silent']);
});

test('stats: the share of the CPU, memory without cache, limits', async () => {
  await fake.succeed(['run', '-d', '--name', 'busy', 'debian:bookworm', 'sleep']);
  const format = '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}';
  assert.equal(
    await fake.succeed(['stats', '--no-stream', '--format', format, 'busy']),
    'busy 50.00% 50MiB / 100MiB 50.00% 2kB / 3kB 1MB / 0B 3',
  );
  await using session = fake.talk(['stats', '--format', '{{.CPUPerc}}', 'busy']);
  await session.waitFor(/50\.00%/);
  session.kill();
  await session.ended;
  await fake.succeed(['rm', '-f', 'busy']);
});

test('events: in order, by filter, past ones', async () => {
  await using session = fake.talk([
    'events',
    '-f',
    'container=told',
    '--format',
    '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}',
  ]);
  for (let i = 0; i < 100 && fake.engine.listeners === 0; i++) await sleep(20);
  await fake.succeed(['run', '--rm', '--name', 'told', 'debian:bookworm', 'say', 'x']);
  await session.waitFor(/destroy/);
  assert.deepEqual(session.stdout.trim().split('\n'), [
    'container create told',
    'container start told',
    'container die told',
    'container destroy told',
  ]);
  session.kill();
  await session.ended;
  for (let i = 0; i < 100 && fake.engine.listeners > 0; i++) await sleep(20);
  assert.equal(fake.engine.listeners, 0, 'the subscription of a client that has gone is given back');
  const past = await fake.succeed([
    'events',
    '--since',
    '1h',
    '--until',
    '0s',
    '-f',
    'event=die',
    '--format',
    '{{json .}}',
  ]);
  assert.match(past, /"exitCode":"0".*"timeNano":\d{19}/);
});

test('cp in and out', async () => {
  await fake.succeed(['create', '--name', 'files', 'debian:bookworm']);
  mkdirSync(join(fake.directory, 'in'));
  writeFileSync(join(fake.directory, 'in/file'), 'content of it');
  await fake.succeed(['cp', join(fake.directory, 'in/file'), 'files:/there']);
  assert.ok(fake.engine.archives.get('/there')?.includes('content of it'));
  const missing = await fake.docker(['cp', 'files:/gone', '-']);
  assert.match(missing.stderr, /Could not find the file \/gone in container|No such container:path: files:\/gone/);
  await fake.succeed(['rm', 'files']);
});

test('top, diff, export, update', async () => {
  await fake.succeed(['run', '-d', '--name', 'seen', 'debian:bookworm', 'sleep']);
  assert.match(await fake.succeed(['top', 'seen']), /PID\s+CMD\n4242\s+sleep/);
  assert.equal(await fake.succeed(['diff', 'seen']), 'C /etc\nA /new');
  assert.equal(await fake.succeed(['export', 'seen']), 'whole root');
  await fake.succeed(['update', '-m', '64m', '--memory-swap', '-1', '--pids-limit', '-1', 'seen']);
  const found = fake.engine.backend.containers.get('seen').config.resources;
  assert.deepEqual([found.memoryBytes, found.memorySwapBytes, found.pids], [64 << 20, -1, -1]);
  await fake.succeed(['rm', '-f', 'seen']);
});

test('images: list, inspect, history, load, save, import, tag, rmi', async () => {
  assert.equal(
    await fake.succeed(['images', '--format', '{{.Repository}}:{{.Tag}} {{.Size}}']),
    'debian:bookworm 117MB\ndebian:latest 117MB',
  );
  assert.equal(await fake.succeed(['images', '-q', '-f', 'reference=ubuntu*']), '');
  assert.equal(
    await fake.succeed(['image', 'inspect', '-f', '{{.Os}}/{{.Architecture}} {{json .Config.Cmd}}', 'debian']),
    'linux/amd64 ["sleep"]',
  );
  assert.equal(
    await fake.succeed(['history', '--format', '{{.CreatedBy}} {{.Size}}', 'debian:bookworm']),
    'CMD 0B\ndebootstrap 117MB',
  );
  assert.match(
    await fake.succeed(['load'], { stdin: 'an archive' }),
    /Loaded image: debian:bookworm\nLoaded image ID: sha256:/,
  );
  assert.equal(fake.engine.loaded[0]?.toString(), 'an archive');
  assert.equal(
    await fake.succeed(['save', 'debian:bookworm', 'debian:latest']),
    'archive of debian:bookworm and debian:latest',
  );
  assert.match(await fake.succeed(['import', '-', 'mine:1'], { stdin: 'a tar' }), /^sha256:[0-9a-f]{64}$/);
  await fake.succeed(['tag', 'debian:bookworm', 'other']);
  assert.match(await fake.succeed(['rmi', 'debian:bookworm']), /^Untagged: debian:bookworm\nDeleted: sha256:/);
  assert.match((await fake.docker(['rmi', 'gone/x'])).stderr, /No such image: gone\/x(:latest)?$/m);
  assert.match((await fake.docker(['tag', 'debian', 'Bad'])).stderr, /invalid reference format|must be lowercase/);
});

test('prune of everything, commit', async () => {
  assert.match(await fake.succeed(['system', 'prune', '-af', '--volumes']), /Total reclaimed space: 0B/);
  await fake.succeed(['create', '--name', 'base', 'debian:bookworm']);
  const options = ['-c', 'CMD ["x"]', '-m', 'why'];
  assert.match(await fake.succeed(['commit', ...options, 'base', 'made:1']), /^sha256:[0-9a-f]{64}$/);
  await fake.succeed(['rm', 'base']);
});

test('volumes, networks, disk usage', async () => {
  assert.equal(await fake.succeed(['volume', 'create', '--label', 'a=b', 'data']), 'data');
  assert.equal(await fake.succeed(['volume', 'ls', '-q', '-f', 'label=a']), 'data');
  assert.equal(await fake.succeed(['volume', 'inspect', '-f', '{{.Mountpoint}}', 'data']), '/volumes/data');
  await fake.succeed(['create', '--name', 'user', '-v', 'data:/data', 'debian:bookworm']);
  assert.match(
    (await fake.docker(['volume', 'rm', 'data'])).stderr,
    /remove data: volume is in use - \[[0-9a-f]{64}\]/,
  );
  assert.equal(
    await fake.succeed(['ps', '-aq', '--no-trunc', '-f', 'volume=data']),
    fake.engine.backend.containers.get('user').id,
  );
  assert.match(await fake.succeed(['system', 'df']), /Images\s+1\s+1\s+117MB/);
  assert.match(await fake.succeed(['system', 'df', '-v']), /data\s+1\s+4\.096kB/);
  await fake.succeed(['rm', 'user']);
  await fake.succeed(['volume', 'rm', 'data']);
  assert.match((await fake.docker(['volume', 'rm', 'data'])).stderr, /get data: no such volume|No such volume: data/);
  assert.equal(await fake.succeed(['network', 'ls', '--format', '{{.Name}}']), 'bridge\nhost\nnone');
  assert.equal(
    await fake.succeed(['network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'bridge']),
    '10.88.0.1',
  );
});

const refused: readonly (readonly [args: readonly string[], stderr: RegExp])[] = [
  [['run', '-p', '80:80', 'debian:bookworm'], /published ports are not supported yet/],
  [['run', '-P', 'debian:bookworm'], /published ports are not supported yet/],
  [['run', '--link', 'a:b', 'debian:bookworm'], /links are not supported yet/],
  [['run', '--gpus', 'all', 'debian:bookworm'], /device requests \(--gpus, CDI\) are not supported yet/],
  [['run', '--log-driver', 'syslog', 'debian:bookworm'], /log driver "syslog" is not supported yet/],
  [['run', '--log-opt', 'foo=1', 'debian:bookworm'], /unknown log opt 'foo' for json-file log driver/],
  [['run', '--runtime', 'kata', 'debian:bookworm'], /unknown or invalid runtime name: kata/],
  [['run', '-m', '1m', 'debian:bookworm'], /Minimum memory limit allowed is 6MB/],
  [['run', '--cpus', '64', 'debian:bookworm'], /range of CPUs is from 0\.01 to 2\.00/i],
  [['run', '--cpuset-cpus', '9', 'debian:bookworm'], /Requested CPUs are not available - requested 9, available: 0-1/],
  [['run', '-v', '/a:b', 'debian:bookworm'], /mount path must be absolute/],
  [['run', '-v', 'a/b:/c', 'debian:bookworm'], /includes invalid characters for a local volume name/],
  [['run', '-v', '/a:/b', '-v', '/c:/b', 'debian:bookworm'], /Duplicate mount point: \/b/],
  [
    ['run', '--rm', '--network', 'bridge', '--ip', '10.0.0.9', 'debian:bookworm'],
    /user specified IP address is supported on user defined networks only/,
  ],
  [['create', '--name', '-bad', 'debian:bookworm'], /Invalid container name \(-bad\)/],
  [['network', 'create', 'x'], /holm does not support "POST \/networks\/create" yet/],
  [['search', 'x'], /holm does not support "GET \/images\/search" yet/],
  [['swarm', 'init'], /holm does not support "POST \/swarm\/init" yet/],
];
for (const [args, stderr] of refused)
  test(`docker ${args.join(' ')} is refused`, async () => {
    const result = await fake.docker(args);
    assert.match(result.stderr, stderr);
  });
