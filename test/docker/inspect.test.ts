// What docker shows of containers: inspect, ps with filters and formats, top, stats, events, version, info.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();

before(async () => {
  const options = [
    '--name',
    'shown',
    '-e',
    'A=1',
    '-l',
    'role=web',
    '-w',
    '/tmp',
    '-u',
    'alice',
    '-m',
    '64m',
    '-v',
    'data:/data',
  ];
  await daemon.succeed(['run', '-d', ...options, 'busybox:test', 'sleep', '300']);
  await daemon.succeed(['run', '--name', 'ended', '-l', 'role=job', 'busybox:test', 'true']);
});

test('inspect tells what was asked for and what came of it', async () => {
  interface Inspected {
    Path: string;
    Args: string[];
    Image: string;
    Driver: string;
    RestartCount: number;
    Config: { Env: string[]; User: string; WorkingDir: string; Cmd: string[]; Image: string; Hostname: string };
    HostConfig: { Memory: number; NetworkMode: string };
    Mounts: { Type: string; Name: string; Source: string; Destination: string; RW: boolean }[];
    NetworkSettings: {
      Networks: { bridge: { IPAddress: string; Gateway: string; IPPrefixLen: number; MacAddress: string } };
    };
    State: { Pid: number };
  }
  const shown = await daemon.inspect<Inspected>('shown');
  assert.deepEqual([shown.Path, shown.Args], ['sleep', ['300']]);
  assert.match(shown.Image, /^sha256:[0-9a-f]{64}$/);
  assert.ok(shown.Config.Env.includes('A=1'));
  assert.deepEqual([shown.Config.User, shown.Config.WorkingDir, shown.Config.Image], ['alice', '/tmp', 'busybox:test']);
  assert.equal(shown.HostConfig.Memory, 64 << 20);
  assert.match(shown.HostConfig.NetworkMode, /^(?:bridge|default)$/);
  const [mount] = shown.Mounts;
  assert.deepEqual([mount?.Type, mount?.Name, mount?.Destination, mount?.RW], ['volume', 'data', '/data', true]);
  const { bridge } = shown.NetworkSettings.Networks;
  assert.match(bridge.IPAddress, /^10\.\d+\.\d+\.\d+$/);
  assert.equal(bridge.IPPrefixLen, 24);
  assert.match(bridge.MacAddress, /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  assert.match(readFileSync(`/proc/${shown.State.Pid}/cmdline`, 'latin1'), /^sleep\x00300\x00$/);
});

test('ps shows what runs, ps -a all', async () => {
  assert.equal(await daemon.succeed(['ps', '--format', '{{.Names}}']), 'shown');
  assert.equal(await daemon.succeed(['ps', '-a', '--format', '{{.Names}}']), 'ended\nshown');
  const table = await daemon.succeed(['ps', '-a']);
  assert.match(table, /"sleep 300"\s+.* ago\s+Up .*shown/);
  assert.match(table, /"true"\s+.* ago\s+Exited \(0\) .* ago\s+ended/);
});

const filters: readonly (readonly [filter: string, names: string])[] = [
  ['name=show', 'shown'],
  ['label=role=web', 'shown'],
  ['label=role', 'ended\nshown'],
  ['status=exited', 'ended'],
  ['status=running', 'shown'],
  ['exited=0', 'ended'],
  ['ancestor=busybox:test', 'ended\nshown'],
  ['volume=data', 'shown'],
  ['since=shown', 'ended'],
  ['before=ended', 'shown'],
  ['network=bridge', 'ended\nshown'],
];

for (const [filter, names] of filters) {
  test(`ps --filter ${filter}`, async () => {
    assert.equal(await daemon.succeed(['ps', '-a', '--filter', filter, '--format', '{{.Names}}']), names);
  });
}

test('ps -n, -l, -s', async () => {
  assert.equal(await daemon.succeed(['ps', '-l', '--format', '{{.Names}}']), 'ended');
  assert.equal(await daemon.succeed(['ps', '-n', '1', '--format', '{{.Names}}']), 'ended');
  assert.match(
    await daemon.succeed(['ps', '-as', '--format', '{{.Size}}']),
    /^\d+(?:\.\d+)?[kM]?B \(virtual \d\.\d+MB\)/,
  );
});

test('top', async () => {
  assert.match(await daemon.succeed(['top', 'shown']), /^UID\s+PID\s+PPID.*CMD\n\S+\s+\d+.* sleep 300$/);
  assert.match(await daemon.succeed(['top', 'shown', '-o', 'pid,comm']), /^PID\s+COMMAND\n\s*\d+\s+sleep$/);
});

test('stats', async () => {
  const line = await daemon.succeed([
    'stats',
    '--no-stream',
    '--format',
    '{{.Name}} {{.MemUsage}} {{.PIDs}} {{.CPUPerc}} {{.NetIO}}',
    'shown',
  ]);
  assert.match(line, /^shown [\d.]+[kKM]i?B \/ 64MiB 1 [\d.]+% [\d.]+k?B \/ [\d.]+k?B$/);
});

test('events tell a life in order', async () => {
  await using session = daemon.talk(['events', '--filter', 'container=eventful', '--format', '{{.Action}}']);
  await sleep(400);
  await daemon.docker(['run', '--rm', '--name', 'eventful', 'busybox:test', 'sh', '-c', 'exit 3']);
  await session.waitFor(/destroy/);
  assert.deepEqual(session.stdout.trim().split('\n'), ['create', 'attach', 'start', 'die', 'destroy']);
});

test('past events, with attributes', async () => {
  const until = String(Math.ceil(Date.now() / 1000) + 1);
  const lines = await daemon.succeed([
    'events',
    '--since',
    '10m',
    '--until',
    until,
    '--filter',
    'event=die',
    '--format',
    '{{json .}}',
  ]);
  const events = lines.split('\n').map((line) => JSON.parse(line) as { Actor: { Attributes: Record<string, string> } });
  const attributes = events.find((event) => event.Actor.Attributes.name === 'eventful')?.Actor.Attributes;
  assert.deepEqual([attributes?.exitCode, attributes?.image], ['3', 'busybox:test']);
});

test('version and info', async () => {
  assert.match(
    await daemon.succeed(['version', '--format', '{{.Server.Os}} {{.Server.APIVersion}}']),
    /^linux 1\.\d+$/,
  );
  const info = await daemon.succeed([
    'info',
    '--format',
    '{{.OSType}} {{.Driver}} {{.ContainersRunning}} {{.ContainersStopped}} {{.NCPU}}',
  ]);
  assert.match(info, /^linux overlay\S* 1 1 \d+$/);
});

test('update changes a running container', async () => {
  await daemon.succeed(['update', '-m', '32m', '--memory-swap', '-1', 'shown']);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.HostConfig.Memory}}', 'shown']), String(32 << 20));
  assert.match(await daemon.succeed(['stats', '--no-stream', '--format', '{{.MemUsage}}', 'shown']), /\/ 32MiB$/);
});

test('diff tells what changed', async () => {
  await daemon.succeed([
    'exec',
    '-u',
    'root',
    'shown',
    'sh',
    '-c',
    'echo x > /etc/new; echo y >> /etc/passwd; rm /etc/group',
  ]);
  assert.deepEqual((await daemon.succeed(['diff', 'shown'])).split('\n').sort(), [
    'A /data',
    'A /etc/new',
    'C /etc',
    'C /etc/passwd',
    'D /etc/group',
  ]);
});

test('what holm cannot do is answered with 501 and a sentence', async () => {
  for (const args of [
    ['swarm', 'init'],
    ['plugin', 'install', 'x'],
    ['search', 'x'],
  ]) {
    const result = await daemon.docker(args);
    assert.notEqual(result.code, 0, args.join(' '));
    assert.notEqual(result.stderr.trim(), '');
  }
});
