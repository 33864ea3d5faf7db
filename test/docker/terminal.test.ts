// Containers with a terminal, as a person uses them: size, resize, Ctrl-C, detach keys, attach again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonForFile } from '../harness/daemon.ts';

const daemon = await daemonForFile();
const ctrlC = '\x03';
const ctrlD = '\x04';
// The shell asks where the cursor is.
const promptAtEnd = /# (?:\x1b\[6n)?$/;
const detach = '\x10\x11';

test('run -it gives a terminal of the right size', async () => {
  await using session = daemon.talkInTerminal(['run', '-it', '--rm', 'busybox:test', 'sh'], [33, 101]);
  await session.waitFor(/# /);
  session.write('tty; stty size; echo "TERM=$TERM"\n');
  await session.waitFor(/\/dev\/(?:pts\/0|console)\r\n33 101\r\nTERM=xterm\r\n/);
  session.write('exit 5\n');
  assert.equal(await session.end(), 5);
});

test('a change of the size reaches the program', async () => {
  await using session = daemon.talkInTerminal(['run', '-it', '--rm', 'busybox:test', 'sh'], [24, 80]);
  await session.waitFor(/# /);
  session.write("trap 'echo changed $(stty size)' WINCH; echo rea''dy; while :; do sleep 0.05; done\n");
  await session.waitFor(/ready/);
  await session.resize(50, 132);
  await session.waitFor(/changed 50 132/);
  session.write(ctrlC);
  await session.waitFor(promptAtEnd);
  session.write(ctrlD);
  await session.end();
});

test('Ctrl-C interrupts the program and not the shell', async () => {
  await using session = daemon.talkInTerminal(['run', '-it', '--rm', 'busybox:test', 'sh']);
  await session.waitFor(/# /);
  session.write('sleep 100; echo code $?\n');
  await session.waitFor(/sleep 100/);
  await new Promise((resolve) => setTimeout(resolve, 300));
  session.write(ctrlC);
  await session.waitFor(promptAtEnd);
  session.write('echo still here\n');
  await session.waitFor(/\r\nstill here\r\n/);
  session.write(ctrlD);
  await session.end();
});

test('the detach keys leave the container running, attach comes back', async () => {
  await using first = daemon.talkInTerminal(['run', '-it', '--name', 'kept', 'busybox:test', 'sh']);
  await first.waitFor(/# /);
  first.write('x=remembered\n');
  await first.waitFor(/remembered\r\n/);
  first.write(detach);
  assert.equal(await first.end(), 0);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.State.Running}}', 'kept']), 'true');
  await using second = daemon.talkInTerminal(['attach', 'kept']);
  second.write('\necho "it is $x"\n');
  await second.waitFor(/it is remembered\r\n/);
  second.write('exit 4\n');
  assert.equal(await second.end(), 4);
  await daemon.succeed(['rm', 'kept']);
});

test('other detach keys', async () => {
  await using session = daemon.talkInTerminal([
    'run',
    '-it',
    '--detach-keys',
    'ctrl-x,x',
    '--name',
    'other',
    'busybox:test',
    'sh',
  ]);
  await session.waitFor(/# /);
  session.write('\x18x');
  assert.equal(await session.end(), 0);
  assert.equal(await daemon.succeed(['inspect', '-f', '{{.State.Running}}', 'other']), 'true');
  await daemon.succeed(['rm', '-f', 'other']);
});

test('exec -it has a terminal of its own', async () => {
  await daemon.succeed(['run', '-d', '--name', 'host', 'busybox:test', 'sleep', '100']);
  await using session = daemon.talkInTerminal(['exec', '-it', 'host', 'sh'], [40, 120]);
  await session.waitFor(/# /);
  session.write('stty size; tty\n');
  await session.waitFor(/40 120\r\n\/dev\/pts\/\d+/);
  session.write('exit 6\n');
  assert.equal(await session.end(), 6);
  await daemon.succeed(['rm', '-f', 'host']);
});

test('-t without -i: output has the line ends of a terminal', async () => {
  const script = 'echo one; echo two >&2; [ -t 1 ] && echo yes';
  assert.equal(await daemon.succeed(['run', '-t', '--rm', 'busybox:test', 'sh', '-c', script]), 'one\r\ntwo\r\nyes\r');
});

test('-t logs what the terminal shows', async () => {
  await daemon.succeed(['run', '-dt', '--name', 'shown', 'busybox:test', 'sh', '-c', 'echo shown']);
  await daemon.succeed(['wait', 'shown']);
  const result = await daemon.docker(['logs', 'shown']);
  assert.equal(result.stdout, 'shown\r\n');
  await daemon.succeed(['rm', 'shown']);
});
