// Health checks: what docker's client shows of them, the probes themselves, and holm's restart of what is unhealthy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

interface Health {
  readonly Status: string;
  readonly FailingStreak: number;
  readonly Log: readonly { Start: string; End: string; ExitCode: number; Output: string }[];
}
interface Inspected {
  readonly RestartCount: number;
  readonly State: { Status: string; Pid: number; StartedAt: string; Health?: Health };
}

const quick = ['--health-interval', '100ms', '--health-timeout', '2s', '--health-retries', '2'];

/** Runs a container that is well while /well exists, unless told otherwise. */
function runChecked(name: string, options: readonly string[] = [], check = 'cat /well'): Promise<string> {
  return daemon.succeed([
    ...['run', '-d', '--name', name, '--stop-timeout', '0', ...quick, '--health-cmd', check, ...options],
    ...['busybox:test', 'sh', '-c', 'echo all is well > /well; exec sleep 300'],
  ]);
}

async function healthOf(name: string): Promise<Health | undefined> {
  return (await daemon.inspect<Inspected>(name)).State.Health;
}

/** Waits for a condition on what inspect says, and gives that. */
async function until(name: string, isMet: (found: Inspected) => boolean): Promise<Inspected> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await daemon.inspect<Inspected>(name);
    if (isMet(found)) return found;
    assert.ok(Date.now() < deadline, `${name} stays at ${JSON.stringify(found.State.Health)}`);
    await sleep(20);
  }
}

function untilStatus(name: string, status: string): Promise<Inspected> {
  return until(name, ({ State }) => State.Health?.Status === status);
}

/** Names that a list with this health filter shows. */
async function listed(health: string): Promise<readonly string[]> {
  const names = await daemon.succeed(['ps', '-a', '--filter', `health=${health}`, '--format', '{{.Names}}']);
  return names.split('\n').filter(Boolean).sort();
}

function statusText(name: string): Promise<string> {
  return daemon.succeed(['ps', '-a', '--filter', `name=^/${name}$`, '--format', '{{.Status}}']);
}

test('starting, healthy, unhealthy and healthy again: inspect, ps, filters and events', async () => {
  const since = new Date().toISOString();
  const id = await runChecked('box', ['--health-interval', '1s']);
  assert.deepEqual(await healthOf('box'), { Status: 'starting', FailingStreak: 0, Log: [] });
  assert.match(await statusText('box'), /^Up .* \(health: starting\)$/);
  assert.deepEqual(await listed('starting'), ['box']);
  const well = (await untilStatus('box', 'healthy')).State.Health!;
  assert.match(await statusText('box'), /^Up .* \(healthy\)$/);
  assert.deepEqual(await listed('healthy'), ['box']);
  const [first] = well.Log;
  assert.deepEqual([first?.ExitCode, first?.Output], [0, 'all is well\n']);
  assert.ok(first !== undefined && Date.parse(first.Start) <= Date.parse(first.End));
  await daemon.succeed(['exec', 'box', 'rm', '/well']);
  const ill = (await untilStatus('box', 'unhealthy')).State.Health!;
  assert.equal(ill.FailingStreak, 2);
  assert.match(ill.Log.at(-1)?.Output ?? '', /^cat: can't open '\/well': No such file or directory\n$/);
  assert.match(await statusText('box'), /^Up .* \(unhealthy\)$/);
  assert.deepEqual(await listed('unhealthy'), ['box']);
  await daemon.succeed(['exec', 'box', 'touch', '/well']);
  assert.equal((await untilStatus('box', 'healthy')).State.Health?.FailingStreak, 0);
  const range = ['--since', since, '--until', new Date().toISOString()];
  const events = async (name: string): Promise<readonly string[]> => {
    const format = ['--format', '{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.exitCode}}'];
    return (await daemon.succeed(['events', ...range, '--filter', `event=${name}`, ...format])).split('\n');
  };
  const changes = ['healthy', 'unhealthy', 'healthy'];
  assert.deepEqual(
    await events('health_status'),
    changes.map((status) => `health_status: ${status} ${id} <no value>`),
  );
  assert.ok((await events('exec_create')).includes(`exec_create: /bin/sh -c cat /well ${id} <no value>`));
  assert.ok((await events('exec_start')).includes(`exec_start: /bin/sh -c cat /well ${id} <no value>`));
  assert.ok((await events('exec_die')).includes(`exec_die ${id} 1`));
  await daemon.succeed(['rm', '-f', 'box']);
});

test('the last five probes are kept, and 4096 bytes of their output', async () => {
  await runChecked('long', [], 'head -c 5000 /dev/zero | tr "\\0" x; echo more >&2; exit 3');
  const { State } = await until('long', ({ State }) => (State.Health?.FailingStreak ?? 0) > 6);
  const log = State.Health?.Log ?? [];
  assert.equal(log.length, 5);
  for (const { ExitCode, Output } of log) assert.deepEqual([ExitCode, Output], [3, `${'x'.repeat(4096)}...`]);
  assert.deepEqual(
    log.map(({ Start }) => Start),
    log.map(({ Start }) => Start).toSorted(),
  );
  await daemon.succeed(['rm', '-f', 'long']);
});

test('a probe that hangs is killed with all that it started', async () => {
  const script = 'echo begun; sleep 777 & sleep 777';
  await runChecked('slow', ['--health-timeout', '300ms', '--health-interval', '200ms'], script);
  const { State } = await untilStatus('slow', 'unhealthy');
  for (const { ExitCode, Output } of State.Health?.Log ?? [])
    assert.deepEqual([ExitCode, Output], [-1, 'Health check exceeded timeout (300ms): begun\n']);
  await daemon.succeed(['pause', 'slow']);
  await daemon.succeed(['unpause', 'slow']);
  const left = await daemon.succeed(['exec', 'slow', 'sh', '-c', 'ps | grep "sleep 77[7]" || true']);
  assert.equal(left, '');
  await daemon.succeed(['rm', '-f', 'slow']);
});

test('a probe that cannot be executed has failed', async () => {
  const options = ['--health-cmd', 'unused', ...quick];
  const body = { Image: 'busybox:test', Cmd: ['sleep', '300'], StopTimeout: 0 };
  const Healthcheck = { Test: ['CMD', '/no/such'], Interval: 1e8, Retries: 1 };
  await daemon.request('POST', '/containers/create?name=none', { ...body, Healthcheck });
  assert.equal(await healthOf('none'), undefined, 'none before the first start');
  await daemon.succeed(['start', 'none']);
  const { State } = await untilStatus('none', 'unhealthy');
  assert.equal(State.Health?.Log[0]?.ExitCode, -1);
  assert.match(State.Health?.Log[0]?.Output ?? '', /Cannot execute "\/no\/such": ENOENT/);
  await daemon.succeed(['rm', '-f', 'none']);
  const refused = await daemon.docker(['run', '--no-healthcheck', ...options, 'busybox:test', 'true']);
  assert.match(refused.stderr, /--no-healthcheck conflicts with --health-\* options/);
});

test('within the start period failures do not count, and the start interval holds', async () => {
  const seconds = (count: number): number => count * 1e9;
  await daemon.request('POST', '/containers/create?name=young', {
    Image: 'busybox:test',
    Cmd: ['sh', '-c', 'sleep 1; touch /well; exec sleep 300'],
    StopTimeout: 0,
    Healthcheck: {
      Test: ['CMD-SHELL', 'cat /well'],
      Interval: seconds(60),
      StartPeriod: seconds(60),
      StartInterval: seconds(0.1),
      Retries: 1,
    },
  });
  await daemon.succeed(['start', 'young']);
  await until('young', ({ State }) => (State.Health?.Log.length ?? 0) > 2);
  const { Status, FailingStreak } = (await healthOf('young'))!;
  assert.deepEqual([Status, FailingStreak], ['starting', 0]);
  await untilStatus('young', 'healthy');
  await daemon.succeed(['rm', '-f', 'young']);
});

test('the image’s check with its shell, field by field replaced, or none', async () => {
  await daemon.succeed(['create', '--name', 'seed', 'busybox:test']);
  const check = 'HEALTHCHECK --interval=100ms --retries=7 CMD echo "$0 says"';
  const shell = 'SHELL ["/bin/busybox", "ash", "-c"]';
  await daemon.succeed(['commit', '--change', shell, '--change', check, 'seed', 'checked:test']);
  const run = (name: string, ...options: string[]): Promise<string> =>
    daemon.succeed(['run', '-d', '--name', name, '--stop-timeout', '0', ...options, 'checked:test', 'sleep', '300']);
  await run('its');
  assert.equal((await untilStatus('its', 'healthy')).State.Health?.Log[0]?.Output, 'ash says\n');
  await run('mixed', '--health-interval', '90ms', '--health-cmd', 'exit 1');
  const { Config } = await daemon.inspect<{ Config: { Healthcheck: unknown } }>('mixed');
  assert.deepEqual(Config.Healthcheck, { Test: ['CMD-SHELL', 'exit 1'], Interval: 90_000_000, Retries: 7 });
  await run('none', '--no-healthcheck');
  assert.equal(await healthOf('none'), undefined);
  assert.deepEqual(await listed('none'), ['none', 'seed']);
  await daemon.succeed(['rm', '-f', 'seed', 'its', 'mixed', 'none']);
  await daemon.succeed(['rmi', 'checked:test']);
});

test('a paused container is not probed, and keeps its health', async () => {
  await runChecked('rests');
  await untilStatus('rests', 'healthy');
  await daemon.succeed(['pause', 'rests']);
  assert.match(await statusText('rests'), /\(Paused\)$/);
  const before = await healthOf('rests');
  await sleep(500);
  assert.deepEqual(await healthOf('rests'), before);
  await daemon.succeed(['unpause', 'rests']);
  await until('rests', ({ State }) => State.Health?.Log.at(-1)?.Start !== before?.Log.at(-1)?.Start);
  assert.equal((await healthOf('rests'))?.Status, 'healthy');
  await daemon.succeed(['stop', 'rests']);
  assert.equal((await healthOf('rests'))?.Status, 'unhealthy', 'as docker says of what is no longer probed');
  assert.match(await statusText('rests'), /^Exited/);
  await daemon.succeed(['start', 'rests']);
  assert.equal((await healthOf('rests'))?.FailingStreak, 0);
  await untilStatus('rests', 'healthy');
  await daemon.succeed(['rm', '-f', 'rests']);
});

test('lists of new API versions say the health, old ones do not', async () => {
  await runChecked('told');
  await daemon.succeed(['run', '-d', '--name', 'plain', 'busybox:test', 'sleep', '300']);
  await untilStatus('told', 'healthy');
  const rows = async (version: string): Promise<Map<string, unknown>> => {
    const list = (await daemon.request('GET', `/${version}/containers/json`)) as { Names: string[]; Health: unknown }[];
    return new Map(list.map(({ Names, Health }) => [Names[0] ?? '', Health]));
  };
  const now = await rows('v1.52');
  assert.deepEqual(now.get('/told'), { Status: 'healthy', FailingStreak: 0 });
  assert.deepEqual(now.get('/plain'), { Status: 'none', FailingStreak: 0 });
  assert.equal((await rows('v1.51')).get('/told'), undefined);
  const refused = await daemon.docker(['ps', '--filter', 'health=fine']);
  assert.match(refused.stderr, /Unrecognised filter value for health: fine/);
  await daemon.succeed(['rm', '-f', 'told', 'plain']);
});

test('a holmd that was killed goes on probing the guests it finds', async () => {
  await runChecked('stays');
  await untilStatus('stays', 'healthy');
  await daemon.kill9();
  await daemon.restart();
  await untilStatus('stays', 'healthy');
  await daemon.succeed(['exec', 'stays', 'rm', '/well']);
  await untilStatus('stays', 'unhealthy');
  await daemon.succeed(['rm', '-f', 'stays']);
});

test('with the label holm.restart=unhealthy it is started again, else not', async () => {
  await runChecked('helped', ['--label', 'holm.restart=unhealthy']);
  await runChecked('left');
  for (const name of ['helped', 'left']) await untilStatus(name, 'healthy');
  const before = await daemon.inspect<Inspected>('helped');
  for (const name of ['helped', 'left']) await daemon.succeed(['exec', name, 'rm', '/well']);
  const after = await until('helped', ({ RestartCount, State }) => {
    return RestartCount === 1 && State.Health?.Status === 'healthy';
  });
  assert.notEqual(after.State.Pid, before.State.Pid);
  const left = await untilStatus('left', 'unhealthy');
  assert.deepEqual([left.State.Status, left.RestartCount], ['running', 0]);
  await daemon.succeed(['rm', '-f', 'helped', 'left']);
});
