// What a machine's process can do to its host, seen from the host: nothing but to read and write the machine's own files.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { machineHost, onHost } from './machine-host.ts';

const host = await machineHost();
let pid: number;

before(async () => {
  await host.succeed(['run', '-d', '--name', 'held', await host.loadKernel('spin')]);
  await host.waitForLog('held', /spinning/);
  pid = (await host.inspect('held')).state.pid!;
});
after(() => host.machine(['rm', '-f', 'held']));

/** The fields of /proc/PID/status. */
function statusOf(process: number | string): ReadonlyMap<string, string> {
  const lines = readFileSync(`/proc/${process}/status`, 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
}

test('has no capabilities, gains none, and is nobody on the host', () => {
  const status = statusOf(pid);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(status.get(set), '0'.repeat(16));
  assert.equal(status.get('NoNewPrivs'), '1');
  assert.equal(status.get('Seccomp'), '2');
  for (const kind of ['Uid', 'Gid']) for (const id of status.get(kind)!.split('\t')) assert.ok(Number(id) > 65_536, id);
});

test('has namespaces of its own', () => {
  for (const kind of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'])
    assert.notEqual(readlinkSync(`/proc/${pid}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`), kind);
});

test('sees no file of the host but its program and the machine’s', () => {
  const state = host.daemon.state;
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [fields = '', kind = ''] = line.split(' - ');
      const [, , , root = '', point = '', options = ''] = fields.split(' ');
      return { root, point, writable: options.split(',')[0] === 'rw', kind: kind.split(' ')[0]! };
    });
  // What lies on a disk of the host, and so is shared with it.
  const shared = mounts.filter(({ kind }) => !/^(proc|sysfs|tmpfs|devpts|mqueue|cgroup2?|devtmpfs|none)$/.test(kind));
  const known =
    /^\/($|etc\/(resolv\.conf|hostname|hosts)$|holm\/(node|machine\.cjs)$|machine\/(settings\.json|kernel|image\.erofs|disk)$|(usr\/)?lib)/;
  for (const { point, root } of shared) {
    assert.match(point, known);
    if (point.includes('/lib')) assert.match(root, /\.so(\.[\d.]+)?$/);
  }
  const writable = shared
    .filter((mount) => mount.writable && !mount.point.startsWith('/etc/'))
    .map(({ point }) => point);
  assert.deepEqual(writable, ['/machine/disk']);
  assert.ok(shared.find(({ point }) => point === '/machine/disk')!.root.startsWith('/'));
  assert.equal(readlinkSync(`/proc/${pid}/root`), '/');
  assert.ok(!mounts.some(({ root }) => root === state || root === `${state}/machines`));
});

test('has open files of its own only, and a limit of memory', async () => {
  const listing = await onHost(['ls', '-l', `/proc/${pid}/fd`]);
  for (const [, target] of listing.matchAll(/-> (\/\S+)$/gm))
    assert.match(target!, /^\/(dev\/(pts\/0|null|console)|machine\/(disk|image\.erofs))$/);
  const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  assert.ok(
    cgroup
      .trim()
      .split('\n')
      .every((line) => !line.includes('memory') || line.includes(host.daemon.names.cgroupParent)),
  );
  const { container } = await host.inspect('held');
  const memory = await host.daemon.succeed(['inspect', '-f', '{{.HostConfig.Memory}}', container!]);
  assert.ok(Number(memory) > 512 * 2 ** 20 && Number(memory) < 2048 * 2 ** 20, memory);
});

test('its disks belong to root on the host, where nobody else can read them', async () => {
  const { id } = await host.inspect('held');
  const disk = join(host.daemon.state, 'machines', id, 'disk');
  assert.equal((await onHost(['stat', '-c', '%u %g %a', disk])).trim(), '0 0 600');
});
