// Programs through the real binary: what is refused before its first step, and how steps, registers, outputs and errors behave.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { callNames } from '../../src/kernel/calls.ts';
import * as linux from '../../src/kernel/constants.ts';
import { type Program, type Register, register, step } from '../../src/kernel/steps.ts';
import { encodeProgram, encodeStart } from '../../src/kernel/wire.ts';
import { Connection, commandLine, isAlive, readAll, shell, testKeeper } from './client.ts';

const keeper = await testKeeper();
const { kernel } = keeper;
const { ENOENT, EBADF, EBADMSG, EEXIST } = linux.errno;
const [fd, other, third] = [register(1), register(2), register(3)];
const openDirectory = (path: string, result: Register = fd): Program => [
  step('openat2', [linux.AT_FDCWD, path, openHow(linux.O_PATH | linux.O_CLOEXEC), 24], `open ${path}`, { result }),
];

function openHow(flags: number, mode = 0): Buffer {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  return how;
}

// A step by hand: call, result, arguments, skips, tolerated, zero, then the bytes.
function rawStep(
  call: number,
  args: number[][],
  head: Partial<Record<'result' | 'count' | 'fail' | 'ok' | 'zero', number>> = {},
): number[] {
  const count = head.count ?? args.length;
  return [
    call & 255,
    call >> 8,
    head.result ?? 255,
    count,
    head.fail ?? 0,
    head.ok ?? 0,
    0,
    head.zero ?? 0,
    ...args.flat(),
  ];
}

const raw = (...steps: number[][]): Buffer =>
  Buffer.from([steps.length & 255, steps.length >> 8, 0, 0, ...steps.flat()]);
const call = (name: (typeof callNames)[number]): number => callNames.indexOf(name);
const integer = (value: number): number[] => [0, value, 0, 0, 0, 0, 0, 0, 0];
const text = (value: string): number[] => [1, value.length + 1, 0, 0, 0, ...Buffer.from(value), 0];
const close9 = rawStep(call('close'), [integer(200)]);

const malformed: Record<string, Buffer> = {
  'no bytes at all': Buffer.alloc(0),
  'a count without steps': Buffer.from([1, 0, 0, 0]),
  'a second count that is not zero': Buffer.from([0, 0, 1, 0]),
  'bytes after the last step': Buffer.concat([raw(close9), Buffer.from([0])]),
  'a step cut off': raw(close9).subarray(0, -1),
  'an unknown call': raw(rawStep(callNames.length, [])),
  'too few arguments': raw(rawStep(call('close'), [])),
  'too many arguments': raw(rawStep(call('close'), [integer(1), integer(2)])),
  'a result register beyond the last': raw(rawStep(call('close'), [integer(200)], { result: 32 })),
  'a padding byte that is not zero': raw(rawStep(call('close'), [integer(200)], { zero: 1 })),
  'a skip beyond the end': raw(rawStep(call('close'), [integer(200)], { ok: 1 })),
  'a skip on failure beyond the end': raw(rawStep(call('close'), [integer(200)], { fail: 255 }), close9),
  'an unknown argument type': raw(rawStep(call('close'), [[8, 0]])),
  'an argument register beyond the last': raw(rawStep(call('close'), [[3, 32]])),
  'a string where an integer belongs': raw(rawStep(call('close'), [text('x')])),
  'an integer other than 0 where a string belongs': raw(rawStep(call('chdir'), [integer(1)])),
  'bytes where a string belongs': raw(rawStep(call('chdir'), [[2, 2, 0, 0, 0, 65, 0]])),
  'a string without its NUL': raw(rawStep(call('chdir'), [[1, 1, 0, 0, 0, 65]])),
  'a string with a NUL in its middle': raw(rawStep(call('chdir'), [[1, 3, 0, 0, 0, 65, 0, 0]])),
  'an empty string without NUL': raw(rawStep(call('chdir'), [[1, 0, 0, 0, 0]])),
  'a string longer than the program': raw(rawStep(call('chdir'), [[1, 255, 255, 255, 255, 65, 0]])),
  'an out larger than 1 MiB': raw(rawStep(call('read'), [integer(0), [4, 1, 0, 16, 0], integer(1)])),
  'a patch beyond its bytes': raw(
    rawStep(call('write'), [integer(0), [5, 4, 0, 0, 0, 1, 2, 3, 4, 1, 1, 0, 0, 0, 1], integer(4)]),
  ),
  'a patch of bytes shorter than it': raw(
    rawStep(call('write'), [integer(0), [5, 2, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 1], integer(2)]),
  ),
  'a patch from a register beyond the last': raw(
    rawStep(call('write'), [integer(0), [5, 4, 0, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0, 0, 32], integer(4)]),
  ),
  'a text longer than 4096 bytes': encodeProgram([
    step('chdir', [{ prefix: 'x'.repeat(4096), register: fd, suffix: '' }], 'x'),
  ]),
  'a list where none belongs': raw(rawStep(call('close'), [[6, 0, 0, 0, 0]])),
  'exec in a RUN': encodeProgram(shell('true')),
  'pack in a RUN': encodeProgram([step('pack', [0, '/', 0, 0], 'x')]),
  'await_guard in a RUN': encodeProgram([step('await_guard', [], 'x')]),
  'hand_over in a RUN': encodeProgram([step('hand_over', [], 'x')]),
  'hold in a RUN': encodeProgram([step('hold', [3], 'x')]),
};

test('a malformed program is refused before its first step', async (t) => {
  const connection = new Connection(keeper.socket);
  const directory = keeper.newDirectory();
  for (const [name, payload] of Object.entries(malformed)) {
    await t.test(name, async () => {
      const result = await connection.send(1, payload);
      assert.deepEqual([result.errno, result.phase, result.step], [EBADMSG, 'refused', 0]);
    });
  }
  await t.test('a good step before a bad one', async () => {
    const good = encodeProgram([step('mkdirat', [linux.AT_FDCWD, join(directory, 'made'), 0o755], 'make')]).subarray(4);
    const result = await connection.send(
      1,
      Buffer.concat([Buffer.from([2, 0, 0, 0]), good, Buffer.from(close9).subarray(0, -2)]),
    );
    assert.equal(result.errno, EBADMSG);
    assert.equal(existsSync(join(directory, 'made')), false);
  });
  await t.test('a start with a flag that is not known', async () => {
    const start = encodeStart({
      title: 'x',
      directory,
      stdin: 'none',
      spillDirectory: directory,
      awaitClients: 0,
      exitFiles: [],
      cloneFlags: 0,
      before: [],
      after: [],
      stage: shell('true'),
    });
    start[1] = 16;
    assert.equal((await connection.send(3, start)).errno, EBADMSG);
  });
  connection.close();
});

test('a broken frame header closes the connection, and no other', async () => {
  for (const header of [
    [0, 0, 0, 255, 0, 0, 0, 0, 1, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0],
    [4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1],
  ]) {
    const connection = new Connection(keeper.socket);
    await connection.hello;
    connection.socket.write(Buffer.from(header));
    await connection.closed;
  }
  await kernel.run([]);
});

test('frames in pieces and many frames at once are understood', async () => {
  const connection = new Connection(keeper.socket);
  const payload = encodeProgram([step('umask', [0o22], 'set', { result: fd })]);
  const frame = Buffer.concat([Buffer.from([payload.length, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), payload]);
  for (const byte of frame) connection.socket.write(Buffer.of(byte));
  assert.equal((await connection.next()).errno, 0);
  connection.socket.write(Buffer.concat(Array.from({ length: 500 }, () => frame)));
  for (let i = 0; i < 500; i++) assert.equal((await connection.next()).errno, 0);
  connection.close();
});

test('the keeper tells its version, its title, and runs from a sealed copy', () => {
  assert.equal(execFileSync(keeper.binary, ['version'], { encoding: 'utf8' }), '2\n');
  assert.equal(commandLine(keeper.spawnerPid), 'holm-keeper\0');
  assert.match(readlinkSync(`/proc/${keeper.spawnerPid}/exe`), /memfd:holm-keeper/);
  assert.throws(() => execFileSync('/bin/sh', ['-c', `echo x > /proc/${keeper.spawnerPid}/exe`], { stdio: 'pipe' }));
  assert.equal(statSync(keeper.socket).mode & 0o777, 0o600);
});

test('registers: results, texts, patches; all are -1 at the begin', async () => {
  const directory = keeper.newDirectory();
  const outcome = await kernel.run([
    ...openDirectory(directory),
    step(
      'write_file',
      [
        fd,
        'a',
        { bytes: Buffer.from('0000x'), patches: [{ offset: 0, register: fd }] },
        linux.O_CREAT | linux.O_WRONLY,
      ],
      'write',
    ),
    step(
      'openat2',
      [
        linux.AT_FDCWD,
        { prefix: '/proc/self/fd/', register: fd, suffix: '/a' },
        openHow(linux.O_RDONLY | linux.O_CLOEXEC),
        24,
      ],
      'open',
      { result: other },
    ),
    step('read', [other, { outBytes: 8 }, 8], 'read', { result: third }),
    step('close', [other], 'close'),
    step('close', [fd], 'close'),
  ]);
  assert.equal(outcome.register(third), 5);
  const read = Buffer.from(outcome.output(3)!);
  assert.equal(read.readUInt32LE(0), outcome.register(fd));
  assert.equal(read.toString('latin1', 4), 'x\0\0\0');
  assert.equal(outcome.register(register(4)), -1);
  assert.equal((await kernel.run([])).register(fd), -1);
});

test('a failure names its step, and ends the program', async () => {
  const directory = keeper.newDirectory();
  const program = [
    step('mkdirat', [linux.AT_FDCWD, join(directory, 'a'), 0o755], 'make a'),
    step('unlinkat', [linux.AT_FDCWD, join(directory, 'none'), 0], 'unlink none'),
    step('mkdirat', [linux.AT_FDCWD, join(directory, 'b'), 0o755], 'make b'),
  ];
  await assert.rejects(kernel.run(program), { message: 'Cannot unlink none: ENOENT from unlinkat(2)', errno: ENOENT });
  assert.equal(existsSync(join(directory, 'a')), true);
  assert.equal(existsSync(join(directory, 'b')), false);
});

test('tolerated errnos and skips', async (t) => {
  const bad = (options: object): Program[number] => step('close', [12345], 'close', { result: fd, ...options });
  const mark = (n: number): Program[number] => step('umask', [0o22], 'mark', { result: register(n) });
  const cases: [string, Program, number[]][] = [
    ['tolerated by number', [bad({ tolerate: [ENOENT, EBADF] }), mark(5)], [5]],
    ['any', [bad({ tolerate: 'any' }), mark(5)], [5]],
    ['skip on failure', [bad({ tolerate: 'any', skipOnFailure: 1 }), mark(5), mark(6)], [6]],
    ['no skip on success after a failure', [bad({ tolerate: 'any', skipOnSuccess: 1 }), mark(5), mark(6)], [5, 6]],
    ['skip on success', [step('umask', [0o22], 'x', { skipOnSuccess: 2 }), mark(5), mark(6)], []],
    [
      'a skipped step skips nothing itself',
      [step('umask', [0o22], 'x', { skipOnSuccess: 1 }), step('umask', [0o22], 'x', { skipOnSuccess: 1 }), mark(6)],
      [6],
    ],
  ];
  for (const [name, program, marked] of cases) {
    await t.test(name, async () => {
      const outcome = await kernel.run(program);
      assert.deepEqual(
        [5, 6].filter((n) => outcome.register(register(n)) !== -1),
        marked,
      );
      if (program[0]!.tolerate !== undefined) assert.equal(outcome.register(fd), -EBADF);
    });
  }
  await assert.rejects(kernel.run([bad({ tolerate: [ENOENT] })]), { errno: EBADF });
});

test('read, write and readlinkat never go beyond their buffer', async () => {
  const cases: Program = [
    step('read', [0, { outBytes: 8 }, 9], 'read'),
    step('write', [2, Buffer.from('x'), 2], 'write'),
    step('write', [2, null, 1], 'write'),
    step('readlinkat', [-100, '/proc/self', { outBytes: 4 }, 5], 'read link'),
    step('read', [0, { outBytes: 8 }, -1], 'read'),
  ];
  for (const one of cases) await assert.rejects(kernel.run([one]), { errno: 14 });
});

test('write_file and make_path', async (t) => {
  const directory = keeper.newDirectory();
  mkdirSync(join(directory, 'etc'));
  symlinkSync('/etc', join(directory, 'abs'));
  symlinkSync('../../../../../../etc', join(directory, 'up'));
  symlinkSync('/nowhere', join(directory, 'dangling'));
  const make = async (path: string, kind: number, mode = 0o1777): Promise<string> => {
    const outcome = await kernel.run([
      ...openDirectory(directory),
      step('make_path', [fd, path, mode, kind], 'make', { result: other, tolerate: 'any' }),
      step('close', [fd], 'close'),
      step(
        'readlinkat',
        [-100, { prefix: '/proc/self/fd/', register: other, suffix: '' }, { outBytes: 300 }, 300],
        'read',
        { tolerate: 'any' },
      ),
      step('close', [other], 'close', { tolerate: 'any' }),
    ]);
    if (outcome.register(other) < 0) return linux.errnoName(-outcome.register(other));
    return Buffer.from(outcome.output(3)!).toString('latin1').replaceAll('\0', '').replace(directory, '');
  };
  const cases: [string, number, string][] = [
    ['a/b/c', 0, '/a/b/c'],
    ['/a//b/./x', 1, '/a/b/x'],
    ['a/b/c', 0, '/a/b/c'],
    ['abs/x/y', 0, '/etc/x/y'],
    ['up/z', 1, '/etc/z'],
    ['../../q', 0, '/q'],
    ['abs/../r', 0, '/r'],
    ['/', 0, ''],
    ['dangling', 0, 'ENOENT'],
    ['dangling/x', 0, 'ENOENT'],
    ['a/b/x/y', 0, 'ENOTDIR'],
    ['', 0, ''],
  ];
  for (const [path, kind, expected] of cases) {
    await t.test(`make_path "${path}" gives ${expected}`, async () => assert.equal(await make(path, kind), expected));
  }
  assert.equal(statSync(join(directory, 'a/b/c')).mode, 0o041777);
  assert.equal(statSync(join(directory, 'a/b')).mode, 0o040755);
  assert.equal(existsSync('/nowhere'), false);
  await kernel.run([
    step('write_file', [-100, join(directory, 'f'), 'text', linux.O_CREAT | linux.O_EXCL | linux.O_WRONLY], 'write'),
  ]);
  assert.equal(readFileSync(join(directory, 'f'), 'utf8'), 'text');
  await assert.rejects(
    kernel.run([
      step('write_file', [-100, join(directory, 'f'), 'text', linux.O_CREAT | linux.O_EXCL | linux.O_WRONLY], 'write'),
    ]),
    { errno: EEXIST },
  );
});

test('netlink: a dump, an acknowledgement, an error', async () => {
  const message = (type: number, flags: number, body: Buffer): Buffer => {
    const bytes = Buffer.alloc(16 + body.length);
    bytes.writeUInt32LE(bytes.length, 0);
    bytes.writeUInt16LE(type, 4);
    bytes.writeUInt16LE(flags, 6);
    body.copy(bytes, 16);
    return bytes;
  };
  const run = async (bytes: Buffer, acks: number): Promise<Buffer> => {
    const outcome = await kernel.run([
      step('socket', [16, 3 | 0o2000000, 0], 'open netlink', { result: fd }),
      step('netlink', [fd, bytes, acks], 'ask', { result: other, tolerate: 'any' }),
      step('close', [fd], 'close'),
    ]);
    if (outcome.register(other) < 0) throw new Error(linux.errnoName(-outcome.register(other)));
    return Buffer.from(outcome.output(1) ?? Buffer.alloc(0));
  };
  const links = await run(message(18, 0x301, Buffer.alloc(16)), 1); // RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
  assert.equal(links.readUInt16LE(4), 16); // RTM_NEWLINK
  assert.ok(links.includes('lo\0'));
  const up = Buffer.alloc(16);
  up.writeInt32LE(1, 4);
  assert.equal((await run(message(19, 5, up), 1)).length, 0); // RTM_SETLINK that changes nothing, NLM_F_REQUEST | NLM_F_ACK
  const absent = Buffer.alloc(16);
  absent.writeInt32LE(0x7ffffff0, 4);
  await assert.rejects(run(message(18, 5, absent), 1), { message: 'ENODEV' });
});

test('FORK: a child with a stream in and out; main connection and RUN are not for it', async () => {
  const fork = kernel.fork([step('read', [register(0), { outBytes: 64 }, 64], 'read', { result: fd })]);
  fork.input.write('through the connection');
  const outcome = await fork.outcome;
  assert.equal(Buffer.from(outcome.output(0)!).toString('latin1', 0, outcome.register(fd)), 'through the connection');
  fork.close();
  const failing = kernel.fork([step('chroot', [join(keeper.directory, 'none')], 'enter a root')]);
  await assert.rejects(failing.outcome, { message: 'Cannot enter a root: ENOENT from chroot(2)' });
  failing.close();
  assert.equal(await readAll(failing.output as AsyncIterable<Buffer>).catch(() => 'failed'), 'failed');
});

test('a FORK whose client goes away ends', async () => {
  const connection = new Connection(keeper.socket);
  await connection.hello;
  const result = connection.send(2, encodeProgram([step('read', [register(0), { outBytes: 8 }, 8], 'read')]));
  result.catch(() => {});
  const children = (): string =>
    readFileSync(`/proc/${keeper.spawnerPid}/task/${keeper.spawnerPid}/children`, 'latin1');
  for (let i = 0; i < 200 && children() === ''; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  const child = Number(children().trim().split(' ')[0]);
  assert.ok(isAlive(child));
  connection.close();
  for (let i = 0; i < 200 && isAlive(child); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(isAlive(child), false);
});

test('check_cwd', async () => {
  await kernel.run([step('check_cwd', [], 'check')]);
});

test('the error of a step has the kind that the step gives it', async () => {
  const chdir = (kind?: 'conflict') =>
    step('chdir', ['/nowhere'], 'enter "/nowhere"', kind === undefined ? {} : { kind });
  await assert.rejects(keeper.kernel.fork([chdir()]).outcome, { kind: 'invalid' });
  await assert.rejects(keeper.kernel.fork([chdir('conflict')]).outcome, { kind: 'conflict' });
});
