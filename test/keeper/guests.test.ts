// The life of a guest under its guard: its start and all the ways in which that fails, its streams, its end.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as linux from '../../src/kernel/constants.ts';
import { guardLeft, openAttachment, readExit } from '../../src/kernel/guard.ts';
import { guestPid, guestPidfd, type Program, register, step } from '../../src/kernel/steps.ts';
import {
  commandLine,
  control,
  eventually,
  type GuestOptions,
  isAlive,
  processesBelow,
  readAll,
  shell,
  testKeeper,
} from './client.ts';

const keeper = await testKeeper();
const { CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWNS, AT_FDCWD, O_CLOEXEC, O_WRONLY } = linux;
const path = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';
const bad: Program = [step('umask', [0o22], 'set'), step('chdir', ['/none/of/it'], 'go nowhere')];

function guardOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
}

test('exit codes and signals', async (t) => {
  const cases: [string, number, number][] = [
    ['true', 0, 0],
    ['exit 7', 7, 0],
    ['exit 255', 255, 0],
    ['kill -9 0', 137, 9],
    ['kill -9 $$', 137, 9],
    ['kill -TERM $$', 143, 15],
    ['kill -SEGV $$', 139, 11],
  ];
  for (const [script, code, signal] of cases) {
    await t.test(script, async () => {
      const before = BigInt(Date.now()) * 1_000_000n;
      const guest = await keeper.start(script);
      const exit = await guest.ended();
      assert.deepEqual([exit.code, exit.signal, exit.files], [code, signal, []]);
      assert.ok(exit.at > before - 1_000_000n && exit.at <= BigInt(Date.now() + 1) * 1_000_000n);
      await eventually('the guard has left', () => processesBelow(guest.directory).length === 0);
      assert.deepEqual(readdirSync(guest.directory), ['exit']);
    });
  }
});

test('a start that fails leaves nothing, and says where it failed', async (t) => {
  const seccomp = (code: number): Buffer => Buffer.from([0x06, 0, 0, 0, 0, 0, code & 255, code >> 8]);
  const cases: [string, GuestOptions, string][] = [
    ['before', { before: bad }, 'Cannot go nowhere: ENOENT from chdir(2)'],
    ['after', { after: bad }, 'Cannot go nowhere: ENOENT from chdir(2)'],
    ['stage', { stage: bad }, 'Cannot go nowhere: ENOENT from chdir(2)'],
    [
      'stage, while "after" works',
      { stage: bad, after: [step('read', [0, { outBytes: 1 }, 1], 'wait')] },
      'Cannot go nowhere: ENOENT from chdir(2)',
    ],
    [
      'clone',
      { cgroup: register(1), before: [step('socket', [1, 1, 0], 'open', { result: register(1) })] },
      'Cannot make a process in its namespaces: EBADF from clone3(2)',
    ],
    [
      'clone flags that are no namespaces',
      { cloneFlags: 0x100 },
      'Cannot carry out a program: EBADMSG from the keeper (refused)',
    ],
    ['no exec', { stage: [step('umask', [0o22], 'set')] }, 'Cannot carry out a step: ENOEXEC from unknown(2)'],
    [
      'exec of nothing',
      { stage: [step('exec', [['/none'], ['x'], []], 'run it')] },
      'Cannot run it: ENOENT from execve(2)',
    ],
    [
      'exec of a directory',
      { stage: [step('exec', [['/none', '/etc', '/none'], ['x'], []], 'run it')] },
      'Cannot run it: EACCES from execve(2)',
    ],
    [
      'killed in the stage',
      { stage: [step('setsid', [], 'end myself'), step('kill', [0, 9], 'end'), ...shell('true')] },
      'Cannot end myself: ECHILD from setsid(2)',
    ],
    [
      'a bad filter',
      { stage: [step('seccomp_filter', [Buffer.from([1, 2, 3]), 0], 'filter')] },
      'Cannot filter: EINVAL from seccomp_filter(2)',
    ],
    [
      'a filter without exit',
      { stage: [step('seccomp_filter', [Buffer.alloc(8), 0], 'filter')] },
      'Cannot filter: EINVAL from seccomp_filter(2)',
    ],
    [
      'exec forbidden by a filter',
      {
        stage: [
          step('prctl', [linux.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], 'nnp'),
          step(
            'seccomp_filter',
            [
              Buffer.concat([
                Buffer.from([0x20, 0, 0, 0, 0, 0, 0, 0]),
                jumpIfExecve(0, 1),
                seccomp(0).fill(Buffer.from([1, 0, 5, 0]), 4),
                seccomp(0).fill(Buffer.from([0, 0, 0xff, 0x7f]), 4),
              ]),
              0,
            ],
            'filter',
          ),
          ...shell('true'),
        ],
      },
      'Cannot run a shell: EPERM from execve(2)',
    ],
    [
      'no log directory',
      { log: { path: join(keeper.directory, 'none/log'), maxBytes: 0, maxFiles: 1 } },
      'Cannot make a process in its namespaces: ENOENT from clone3(2)',
    ],
    ['the guard killed', { before: [step('kill', [0, 9], 'end myself')] }, 'Cannot end myself: ECANCELED from kill(2)'],
  ];
  for (const [name, options, message] of cases) {
    await t.test(name, async () => {
      const count = readdirSync(keeper.directory).length;
      await assert.rejects(keeper.start('true', options), { message });
      const directory = join(
        keeper.directory,
        `${count - 1 - readdirSync(keeper.directory).filter((one) => /\D/.test(one)).length + 1}`,
      );
      await eventually('no process is left', () => processesBelow(directory).length === 0);
      assert.deepEqual(readdirSync(directory), []);
    });
  }
});

// jump if the number of the system call is execve's: over so many instructions if it is, if it is not.
function jumpIfExecve(yes: number, no: number): Buffer {
  const number = { x64: 59, arm64: 221, riscv64: 221 }[process.arch as 'x64'];
  return Buffer.from([0x15, 0, yes, no, number & 255, 0, 0, 0]);
}

test('standard output and error stay apart, in docker frames', async () => {
  const guest = await keeper.start('printf out; printf err >&2; sleep 0.05; printf end', { awaitClients: 1 });
  const output = await guest.output(true);
  const streams: Record<number, string> = {};
  for (let at = 0; at < output.length; ) {
    const header = Buffer.from(output.slice(at, at + 8), 'latin1');
    const stream = header[0]!;
    streams[stream] = (streams[stream] ?? '') + output.slice(at + 8, at + 8 + header.readUInt32BE(4));
    at += 8 + header.readUInt32BE(4);
  }
  assert.deepEqual(streams, { 1: 'outend', 2: 'err' });
});

test('standard input: half-close, none, and order to close', async (t) => {
  await t.test('half-close ends it, output goes on', async () => {
    const guest = await keeper.start('cat; echo after', { stdin: 'once', awaitClients: 1 });
    const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
    stream.end('some text\n');
    assert.equal(await readAll(stream), 'some text\nafter\n');
  });
  await t.test('none is /dev/null', async () => {
    const guest = await keeper.start('readlink /proc/self/fd/0; cat', { awaitClients: 1 });
    assert.equal(await guest.output(), '/dev/null\n');
  });
  await t.test('kept open over several clients, until told', async () => {
    const guest = await keeper.start('cat', { stdin: 'open', awaitClients: 1 });
    const output = guest.output();
    const one = await openAttachment(guest.directory, { stdin: true, stdout: false, stderr: false }, false);
    one.end('one ');
    await sleep(50);
    const two = await openAttachment(guest.directory, { stdin: true, stdout: false, stderr: false }, false);
    const three = await openAttachment(guest.directory, { stdin: true, stdout: false, stderr: false }, false);
    two.write('two ');
    await sleep(50);
    three.write('three');
    await sleep(50);
    assert.equal(readExit(guest.directory), undefined);
    (await control(guest)).closeStdin();
    assert.equal(await output, 'one two three');
  });
  await t.test('a client that leaves closes it once', async () => {
    const guest = await keeper.start('cat; echo end', { stdin: 'once', awaitClients: 1 });
    const output = guest.output();
    const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
    stream.write('text');
    await sleep(50);
    stream.destroy();
    assert.equal(await output, 'textend\n');
  });
  await t.test('much of it, to a guest that takes its time', async () => {
    const guest = await keeper.start('sleep 0.3; cksum', { stdin: 'once', awaitClients: 1 });
    const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
    stream.end(Buffer.alloc(20_000_000, 'text'));
    assert.match(await readAll(stream), /^\d+ 20000000\n$/);
  });
  await t.test('more than a guest reads', async () => {
    const guest = await keeper.start('head -c 3; exec <&-; sleep 0.1; echo end', { stdin: 'once', awaitClients: 1 });
    const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
    stream.on('error', () => {});
    stream.write(Buffer.alloc(3_000_000, 'text'));
    assert.equal(await readAll(stream), 'texend\n');
  });
});

test('a terminal: size, resize, its own session, input', async () => {
  const run = 'tty; stty size; trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done';
  const guest = await keeper.start('', {
    terminal: { rows: 11, columns: 222 },
    stdin: 'open',
    awaitClients: 1,
    stage: [
      step('open_terminal', ['/dev/ptmx', 0, 0], 'open a terminal', { result: register(1) }),
      step('fchownat', [register(1), '', 12, 34, linux.AT_EMPTY_PATH], 'give it away'),
      step('exec', [['/bin/sh'], ['sh', '-c', `stat -c %u:%g $(tty); ${run}`], [path]], 'run a shell'),
    ],
  });
  const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await eventually('the guest is ready', () => text.includes('ready'));
  assert.match(text, /^12:34\r\n\/dev\/pts\/\d+\r\n11 222\r\nready\r\n$/);
  const stat = readFileSync(`/proc/${guest.pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  assert.equal(Number(stat[3]), guest.pid); // session
  assert.notEqual(Number(stat[4]), 0); // terminal
  const order = await control(guest);
  order.resize(33, 44);
  assert.equal((await order.exit)?.code, 3);
  assert.match(text, /33 44\r\n$/);
});

test('a terminal passes Ctrl-C on and echoes', async () => {
  const guest = await keeper.start('', {
    terminal: { rows: 24, columns: 80 },
    stdin: 'open',
    awaitClients: 1,
    stage: [
      step('open_terminal', ['/dev/ptmx', 24, 80], 'open a terminal'),
      ...shell('echo ready; read line; echo "<$line>"; exec cat'),
    ],
  });
  const stream = await openAttachment(guest.directory, { stdin: true, stdout: true, stderr: true }, false);
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await eventually('it is ready', () => text.includes('ready'));
  stream.write('word\n');
  await eventually('it answers', () => text.includes('<word>'));
  assert.equal(text, 'ready\r\nword\r\n<word>\r\n');
  stream.write('\x03');
  const exit = await guest.ended();
  assert.equal(exit.signal, 2);
});

test('control: state, signals, the end', async () => {
  const guest = await keeper.start("trap 'exit 5' USR1; while :; do sleep 0.02; done");
  const [one, two] = [await control(guest), await control(guest)];
  assert.equal(one.pid, guest.pid);
  assert.ok(Math.abs(Number(one.startedAt / 1_000_000n) - Date.now()) < 10_000);
  await sleep(50);
  one.signal(10);
  const exits = await Promise.all([one.exit, two.exit, guest.ended()]);
  assert.deepEqual(exits[0], exits[2]);
  assert.deepEqual(exits[1], exits[2]);
  assert.equal(exits[0]?.code, 5);
});

test('the end is told on the connection of the START', async () => {
  const guest = await keeper.start('sleep 0.1; exit 3');
  const guard = guardOf(guest.pid);
  const end = await guest.end;
  assert.deepEqual(end, { guardPid: guard, record: readExit(guest.directory) });
  assert.equal(end?.record?.code, 3);
  await guardLeft(guard);
  assert.ok(!isAlive(guard));
});

test('of a guard that was killed no end is told', async () => {
  const guest = await keeper.start('sleep 100');
  process.kill(guardOf(guest.pid), 'SIGKILL');
  assert.equal(await guest.end, undefined);
  process.kill(guest.pid, 'SIGKILL');
});

test('a descriptor that the guard holds', async () => {
  const held = keeper.newDirectory();
  const fd = register(5);
  const how = Buffer.alloc(24);
  how.writeUInt32LE(linux.O_PATH | O_CLOEXEC);
  const open = step('openat2', [AT_FDCWD, held, how, how.length], `open "${held}"`, { result: fd });
  const guest = await keeper.start('', { stage: [open, step('hold', [fd], 'have it held'), ...shell('sleep 0.2')] });
  const holds = (pid: number): boolean =>
    readdirSync(`/proc/${pid}/fd`).some((name) => readlinkSync(`/proc/${pid}/fd/${name}`) === held);
  assert.ok(holds(guardOf(guest.pid)));
  assert.ok(!holds(guest.pid));
  assert.equal((await guest.end)?.record?.code, 0);
});

test('exit files', async () => {
  const directory = keeper.newDirectory();
  const guest = await keeper.start(`echo some text > ${directory}/a; head -c 9000 /dev/zero > ${directory}/b`, {
    exitFiles: [`${directory}/a`, `${directory}/none`, `${directory}/b`, directory],
  });
  const { files } = await guest.ended();
  assert.deepEqual(
    files.map((file) => file.length),
    [10, 0, 4096, 0],
  );
  assert.equal(files[0], 'some text\n');
});

test('output waits for the clients that were announced', async () => {
  const guest = await keeper.start('echo early; echo error >&2', { awaitClients: 2, logged: true });
  await sleep(150);
  assert.equal(readExit(guest.directory), undefined);
  const one = guest.output();
  await sleep(100);
  assert.equal(guest.log(), '');
  assert.deepEqual(
    (await Promise.all([one, guest.output()])).map((text) => text.length),
    [12, 12],
  );
  assert.equal((await guest.ended()).code, 0);
});

test('descendants that keep the output open do not hold up the end', async () => {
  const guest = await keeper.start('sleep 30 & echo $!; exit 4', { awaitClients: 1 });
  const startedAt = performance.now();
  const pid = Number(await guest.output());
  assert.equal((await guest.ended()).code, 4);
  assert.ok(performance.now() - startedAt < 2000);
  process.kill(pid, 'SIGKILL');
});

test('the guest inherits nothing but its streams; the guard keeps little', async () => {
  const guest = await keeper.start(
    'ls -l /proc/self/fd | wc -l; grep -E "Sig(Blk|Ign)" /proc/self/status; pwd; sleep 0.5',
    { awaitClients: 1 },
  );
  const guard = guardOf(guest.pid);
  await eventually('the guard has few descriptors', () => readdirSync(`/proc/${guard}/fd`).length <= 10);
  assert.equal(commandLine(guard), `holm-guard ${guest.directory}\0`);
  assert.match(readlinkSync(`/proc/${guard}/exe`), /memfd:holm-keeper/);
  const output = await guest.output();
  assert.deepEqual(output.split('\n'), ['5', 'SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000', '/', '']);
});

test('namespaces, and "after" beside the stage', async () => {
  const map = Buffer.from('0 0 4294967295\n');
  const guest = await keeper.start('', {
    cloneFlags: CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
    awaitClients: 1,
    after: [
      step(
        'write_file',
        [AT_FDCWD, { prefix: '/proc/', register: guestPid, suffix: '/uid_map' }, map, O_WRONLY],
        'map users',
      ),
      step(
        'write_file',
        [AT_FDCWD, { prefix: '/proc/', register: guestPid, suffix: '/gid_map' }, map, O_WRONLY],
        'map groups',
      ),
      step('pidfd_send_signal', [guestPidfd, 0, null, 0], 'look for it'),
    ],
    stage: [
      step('await_guard', [], 'wait for the maps'),
      step('setresuid', [0, 0, 0], 'become root'),
      step('mount', ['proc', '/proc', 'proc', 0, null], 'mount /proc'),
      ...shell('echo $$ $(id -u) $(cat /proc/self/uid_map)'),
    ],
  });
  assert.equal((await guest.output()).trim(), '1 0 0 0 4294967295');
});

test('a cgroup of version 2: entered by the clone, its devices filtered', async (t) => {
  const root = / (\/\S+) cgroup2 /.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
  if (root === undefined) return t.skip('the host has no cgroup of version 2');
  const group = join(root, `holm-test-${process.pid}`);
  mkdirSync(group);
  try {
    const how = Buffer.alloc(24);
    how.writeUInt32LE(O_CLOEXEC, 0);
    const open = step('openat2', [AT_FDCWD, group, how, 24], 'open the group', { result: register(4) });
    const denyAll = Buffer.from([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
    const guest = await keeper.start('grep ^0: /proc/self/cgroup; cat /dev/zero', {
      cgroup: register(4),
      awaitClients: 1,
      before: [open],
      after: [step('device_filter', [register(4), denyAll], 'filter devices')],
    });
    assert.match(
      await guest.output(),
      new RegExp(`^0::.*/holm-test-${process.pid}\ncat: /dev/zero: Operation not permitted\n$`),
    );
  } finally {
    await eventually('the group is empty', () => {
      try {
        rmdirSync(group);
      } catch {}
      return !existsSync(group);
    });
  }
});

test('a guard of which nothing is told stays when the spawner gets a signal', async () => {
  const guest = await keeper.start('sleep 0.5; echo end', { awaitClients: 1 });
  const guard = guardOf(guest.pid);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(guard, signal);
  assert.equal(await guest.output(), 'end\n');
  await eventually('the guard has left', () => !isAlive(guard));
});

test('a stage in another guest’s user namespace: its new namespaces belong to that one, its parent is its guard', async () => {
  const write = (file: string): Program[number] =>
    step(
      'write_file',
      [AT_FDCWD, { prefix: '/proc/', register: guestPid, suffix: file }, Buffer.from('0 0 10\n'), O_WRONLY],
      'map the ids',
    );
  const owner = await keeper.start('exec sleep 1000', {
    cloneFlags: CLONE_NEWUSER,
    after: [write('/gid_map'), write('/uid_map')],
  });
  const inside = {
    user: register(4),
    before: [step('pidfd_open', [owner.pid, 0], 'open the other', { result: register(4) })],
    awaitClients: 1,
  };
  try {
    const { CLONE_NEWNET } = linux;
    const ask =
      'readlink /proc/self/ns/user; echo $$; ip link add d0 type dummy 2>&1 || ip link set lo up && echo mine';
    const guest = await keeper.start(ask, { ...inside, cloneFlags: CLONE_NEWPID | CLONE_NEWNET });
    const guard = guardOf(guest.pid);
    assert.match(commandLine(guard), new RegExp(`holm-guard ${guest.directory}`));
    const [user, pid, ...rest] = (await guest.output()).trim().split('\n');
    assert.equal(user, readlinkSync(`/proc/${owner.pid}/ns/user`));
    assert.deepEqual([pid, rest.at(-1)], ['1', 'mine']);
    await guest.ended();
    // A descriptor that is no process: the clone fails, and nothing is left.
    const gone = {
      ...inside,
      before: [step('openat2', [AT_FDCWD, '/', Buffer.alloc(24), 24], 'open', { result: register(4) })],
    };
    await assert.rejects(keeper.start('true', gone), /EINVAL/);
  } finally {
    process.kill(owner.pid, 'SIGKILL');
    await owner.ended();
  }
});

/** Steps by which a guest joins the pid namespace of another, and goes on in a child that is born there. */
function enterPidsOf(pid: number): Program {
  const pidfd = register(4);
  return [
    step('pidfd_open', [pid, 0], 'open the other', { result: pidfd }),
    step('setns', [pidfd, CLONE_NEWPID], 'join its pid namespace'),
    step('hand_over', [], 'go on in there'),
  ];
}

test('a guest that hands over to a child in a joined pid namespace is known by the child’s number outside', async () => {
  const owner = await keeper.start('exec sleep 1000', { cloneFlags: CLONE_NEWPID });
  try {
    for (const clone of [0, linux.CLONE_NEWNS]) {
      const script = 'echo $$; cat /proc/sys/kernel/random/uuid; sleep 0.3; exit 5';
      const stage = [...enterPidsOf(owner.pid), ...shell(script)];
      const guest = await keeper.start('', { stage, cloneFlags: clone, awaitClients: 1 });
      const status = readFileSync(`/proc/${guest.pid}/status`, 'latin1');
      const [, inside] = new RegExp(`^NSpid:\\s+${guest.pid}\\s+(\\d+)$`, 'm').exec(status) ?? [];
      assert.match(commandLine(guardOf(guest.pid)), /holm-guard/);
      assert.match(status, new RegExp(`^NSsid:\\s+${guest.pid}\\s`, 'm'));
      assert.equal((await guest.output()).split('\n')[0], inside);
      assert.equal((await guest.ended()).code, 5);
      const told = await guest.end;
      assert.equal(told?.record?.code, 5);
    }
    // What fails in the child is told as ever.
    const missing = [...enterPidsOf(owner.pid), step('exec', [['/nowhere'], ['nowhere'], []], 'execute "nowhere"')];
    await assert.rejects(keeper.start('', { stage: missing }), /Cannot execute "nowhere": ENOENT from execve/);
  } finally {
    process.kill(owner.pid, 'SIGKILL');
    await owner.ended();
  }
});

test('a child that is handed over to has the terminal', async () => {
  const owner = await keeper.start('exec sleep 1000', { cloneFlags: CLONE_NEWPID });
  try {
    const terminal = step('open_terminal', ['/dev/ptmx', 30, 90], 'open a terminal', { result: register(5) });
    const guest = await keeper.start('', {
      terminal: { rows: 30, columns: 90 },
      awaitClients: 1,
      stage: [terminal, ...enterPidsOf(owner.pid), ...shell('stty size; echo mine > /dev/tty; sleep 0.2')],
    });
    assert.equal(await guest.output(), '30 90\r\nmine\r\n');
    assert.equal((await guest.ended()).code, 0);
  } finally {
    process.kill(owner.pid, 'SIGKILL');
    await owner.ended();
  }
});

test('what a stage has open is closed when a child takes its place', async () => {
  const directory = keeper.newDirectory();
  const how = Buffer.alloc(24);
  const open = step('openat2', [AT_FDCWD, directory, how, how.length], 'open a directory', { result: register(6) });
  const use = step('fchdir', [register(6)], 'enter the directory');
  const stage = [open, use, step('hand_over', [], 'go on in a child'), use];
  await assert.rejects(keeper.start('', { stage }), /Cannot enter the directory: EBADF/);
});

test('an end with long exit files is told without them', async () => {
  const file = join(keeper.newDirectory(), 'long');
  writeFileSync(file, 'x'.repeat(5000));
  const guest = await keeper.start('exit 6', { exitFiles: [file, file, file] });
  const end = await guest.end;
  assert.equal(end?.record, undefined);
  assert.ok(end?.guardPid !== undefined);
  const record = await guest.ended();
  assert.deepEqual([record.code, record.files.map(({ length }) => length)], [6, [4096, 4096, 4096]]);
});

test('the guard’s program knows the guest’s streams', async () => {
  const give = (number: number): Program[number] =>
    step('fchownat', [register(number), '', 7, 8, linux.AT_EMPTY_PATH], 'give a stream an owner', { tolerate: [9] });
  const guest = await keeper.start('stat -Lc "%u %g" /dev/stdin /dev/stdout /dev/stderr', {
    stdin: 'open',
    awaitClients: 1,
    stage: [step('await_guard', [], 'wait'), ...shell('stat -Lc "%u %g" /dev/stdin /dev/stdout /dev/stderr')],
    after: [19, 18, 17].map(give),
  });
  assert.equal(await guest.output(), '7 8\n7 8\n7 8\n');
  // A terminal is not there yet.
  const terminal = await keeper.start('', {
    terminal: { rows: 1, columns: 1 },
    stdin: 'open',
    awaitClients: 1,
    stage: [step('open_terminal', ['/dev/ptmx', 0, 0], 'open a terminal'), ...shell('echo there')],
    after: [19, 18, 17].map(give),
  });
  assert.match(await terminal.output(), /there/);
});
