// docker logs, and the json-file driver behind it: order, times, tail, follow, rotation, odd lines.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

async function runToEnd(name: string, script: string, options: readonly string[] = []): Promise<void> {
  await daemon.succeed(['run', '-d', '--name', name, ...options, 'busybox:test', 'sh', '-c', script]);
  await daemon.succeed(['wait', name]);
}

test('output and errors come back apart', async () => {
  await runToEnd('apart', 'echo out; echo err >&2; echo again');
  const { stdout, stderr } = await daemon.docker(['logs', 'apart']);
  assert.deepEqual([stdout, stderr], ['out\nagain\n', 'err\n']);
});

test('--tail', async () => {
  await runToEnd('ten', 'seq 10');
  for (const [tail, expected] of [
    ['0', ''],
    ['3', '8\n9\n10\n'],
    ['10', /^1\n.*10\n$/s],
    ['99', /^1\n.*10\n$/s],
    ['all', /^1\n.*10\n$/s],
  ] as const) {
    const { stdout } = await daemon.docker(['logs', '--tail', tail, 'ten']);
    if (typeof expected === 'string') assert.equal(stdout, expected);
    else assert.match(stdout, expected);
  }
});

test('-t puts the time before each line', async () => {
  const { stdout } = await daemon.docker(['logs', '-t', '--tail', '1', 'ten']);
  assert.match(stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z 10\n$/);
});

test('--since and --until', async () => {
  await runToEnd('slow', 'echo early; sleep 1.5; echo late');
  const { stdout } = await daemon.docker(['logs', '-t', 'slow']);
  const [early = '', late = ''] = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  const between = new Date((Date.parse(early) + Date.parse(late)) / 2).toISOString();
  assert.equal((await daemon.docker(['logs', '--since', between, 'slow'])).stdout, 'late\n');
  assert.equal((await daemon.docker(['logs', '--until', between, 'slow'])).stdout, 'early\n');
  assert.equal((await daemon.docker(['logs', '--since', '10m', 'slow'])).stdout, 'early\nlate\n');
});

test('-f follows until the container ends', async () => {
  await daemon.succeed([
    'run',
    '-d',
    '--name',
    'going',
    'busybox:test',
    'sh',
    '-c',
    'for i in 1 2 3 4; do echo $i; sleep 0.2; done',
  ]);
  assert.equal(await daemon.succeed(['logs', '-f', 'going'], { timeoutMs: 15_000 }), '1\n2\n3\n4');
});

test('-f with --tail 0 shows only what is new', async () => {
  await daemon.succeed(['run', '-d', '-i', '--name', 'new', 'busybox:test', 'sh', '-c', 'echo old; read x; echo $x']);
  await sleep(300);
  await using follower = daemon.talk(['logs', '-f', '--tail', '0', 'new']);
  await sleep(400);
  const writer = daemon.talk(['attach', 'new']);
  await sleep(300);
  writer.write('fresh\n');
  await follower.waitFor(/fresh/);
  assert.equal(follower.stdout, 'fresh\n');
  await writer.end();
  assert.equal(await follower.end(), 0);
});

test('a line without an end, a long line, an empty line, bytes that are not UTF-8', async () => {
  const script = [
    'echo',
    `printf '\\377\\n'`,
    "head -c 40000 /dev/zero | tr '\\0' x",
    'echo',
    `printf '%s\\n' '<&>"\\'`,
    'printf end',
  ];
  await runToEnd('odd', script.join('; '));
  const { stdout } = await daemon.docker(['logs', 'odd']);
  const lines = stdout.split('\n');
  assert.deepEqual([lines[0], lines[1], lines[2]?.length, lines[3], lines[4]], ['', '\uFFFD', 40_000, '<&>"\\', 'end']);
});

test("the log file is docker's json-file", async () => {
  const path = await daemon.succeed(['inspect', '-f', '{{.LogPath}}', 'apart']);
  const lines = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
  assert.deepEqual(lines.map(({ log, stream }) => [log, stream]).sort(), [
    ['again\n', 'stdout'],
    ['err\n', 'stderr'],
    ['out\n', 'stdout'],
  ]);
  for (const line of lines) assert.match(line.time ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
});

test('--log-opt max-size and max-file rotate', async () => {
  await runToEnd('rotated', 'seq 20000', ['--log-opt', 'max-size=100k', '--log-opt', 'max-file=3']);
  const path = await daemon.succeed(['inspect', '-f', '{{.LogPath}}', 'rotated']);
  assert.deepEqual(
    [existsSync(path), existsSync(`${path}.1`), existsSync(`${path}.2`), existsSync(`${path}.3`)],
    [true, true, true, false],
  );
  for (const file of [path, `${path}.1`, `${path}.2`])
    assert.ok(statSync(file).size <= 100_200, `${file}: ${statSync(file).size}`);
  const lines = (await daemon.succeed(['logs', 'rotated'])).split('\n');
  assert.equal(lines.at(-1), '20000');
  assert.equal(lines.length, 20_000 - Number(lines[0]) + 1, 'no line is missing between the oldest and the last');
});

test('--log-driver none keeps nothing, and says so', async () => {
  await runToEnd('silent', 'echo unheard', ['--log-driver', 'none']);
  const result = await daemon.docker(['logs', 'silent']);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /configured logging driver does not support reading/);
});

test('a log goes on after a restart of the container', async () => {
  await daemon.succeed(['create', '--name', 'twice', 'busybox:test', 'echo', 'once']);
  for (let round = 0; round < 2; round++) await daemon.succeed(['start', '-a', 'twice']);
  assert.equal(await daemon.succeed(['logs', 'twice']), 'once\nonce');
});
