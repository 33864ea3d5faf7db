// Debian as it is, in a machine: to a login prompt with its own init, used by a person, over the network, with a shared
// directory; stopped, killed and started again. The first run on a host also makes the image and boots it for the first time.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { Session } from '../harness/session.ts';
import { debianImage, prepareDebian } from './debian.ts';
import { machineHost } from './machine-host.ts';

const host = await machineHost();
const share = join(host.daemon.names.directory, 'share');
const bootMs = 240_000;
const prompt = /root@guest-1:~# $/;

before(() => prepareDebian(host));

/** Types a line at the shell's prompt, and gives what it printed; it must succeed. */
async function shell(console: Session, line: string, timeoutMs = 60_000): Promise<string> {
  const from = console.stdout.length;
  const deadline = Date.now() + timeoutMs;
  console.write(`${line}; echo "=$?="\n`);
  for (;;) {
    const text = stripVTControlCharacters(console.stdout.slice(from)).replaceAll('\r', '');
    const match = /^=(\d+)=$/m.exec(text);
    if (match !== null) {
      assert.equal(match[1], '0', `"${line}" failed: ${text}`);
      return text.slice(0, match.index);
    }
    assert.ok(Date.now() < deadline, `"${line}" took more than ${timeoutMs} ms: ${text}`);
    await sleep(50);
  }
}

test('Debian boots to a login prompt, and a person works at its console', async (t) => {
  mkdirSync(share);
  writeFileSync(join(share, 'letter'), 'from the host\n', { mode: 0o644 });
  const options = ['--name', 'guest_1', '-p', '8080', '-v', `${share}:letters`];
  await using console = host.inTerminal(['run', ...options, debianImage]);
  await console.waitFor(/guest-1 login: /, bootMs);
  console.write('root\n');
  await console.waitFor(prompt, 60_000);

  await t.test('it is Debian, on a RISC-V kernel, and systemd is content', async () => {
    assert.match(await shell(console, 'cat /etc/os-release'), /^PRETTY_NAME="Debian GNU\/Linux 13 \(trixie\)"$/m);
    assert.match(await shell(console, 'uname -sm'), /^Linux riscv64$/m);
    assert.doesNotMatch(await shell(console, 'systemctl --failed --no-legend --plain'), /\.service/);
    assert.match(await shell(console, 'dpkg --audit && echo whole'), /^whole$/m);
  });

  await t.test('the size of the window reaches the guest', async () => {
    await console.resize(40, 132);
    // It takes a message to a service of the guest.
    assert.match(await shell(console, 'until stty size | grep "^40 132$"; do sleep 0.2; done'), /^40 132$/m);
  });

  await t.test('the guest reaches a server of the host, and names are resolved', async () => {
    const server = createServer((_, response) => response.end('from the host\n'));
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    try {
      const { port } = server.address() as { port: number };
      const { container } = await host.inspect('guest_1');
      const gateway = await host.daemon.succeed([
        'inspect',
        '-f',
        '{{.NetworkSettings.Networks.bridge.Gateway}}',
        container!,
      ]);
      const fetch = `exec 3<>/dev/tcp/${gateway}/${port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
      assert.match(await shell(console, fetch), /200 OK[\s\S]*from the host/);
    } finally {
      server.close();
    }
    assert.match(
      await shell(console, 'apt-get -qq -o Acquire::Languages=none update && echo updated', 240_000),
      /^updated$/m,
    );
  });

  await t.test('the host reaches a server of the guest', async () => {
    const serve =
      "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 5); print qq(up\\n); $c = $s->accept; print $c qq(from the guest\\n)' &";
    console.write(`${serve}\n`);
    await console.waitFor(/\bup\r\n/, 60_000);
    assert.equal(await readAll((await host.inspect('guest_1')).address, 8080), 'from the guest\n');
  });

  await t.test('a directory of the host is the guest’s too', async () => {
    await shell(console, 'mkdir -p /mnt/letters && mount -t virtiofs letters /mnt/letters');
    assert.match(await shell(console, 'cat /mnt/letters/letter'), /^from the host$/m);
    await shell(console, 'echo from the guest >/mnt/letters/answer && sync');
    assert.equal(readFileSync(join(share, 'answer'), 'utf8'), 'from the guest\n');
    assert.equal(statSync(join(share, 'answer')).uid, statSync(share).uid);
    await shell(console, 'umount /mnt/letters && echo kept >/root/kept');
  });

  await t.test('leaving the console and coming back', async () => {
    console.write('\x10\x11');
    assert.equal(await console.end(), 0);
    await using again = host.inTerminal(['console', 'guest_1']);
    again.write('\n');
    await again.waitFor(/root@guest-1:~# /, 30_000);
    again.write('\x10\x11');
    assert.equal(await again.end(), 0);
  });
});

test('holmd is killed meanwhile, and the next one stops the guest as its power button would', async () => {
  await host.daemon.kill9();
  await host.daemon.restart();
  await host.succeed(['stop', '-t', '120', 'guest_1'], { timeoutMs: 150_000 });
  assert.equal(await host.endOf('guest_1'), 'power off');
  assert.match(await host.succeed(['logs', 'guest_1']), /reboot: Power down/);
});

test('what was written is there after the next start; a kernel that panics is told so', async () => {
  await host.succeed(['start', 'guest_1']);
  await host.waitForLog('guest_1', /Power down[\s\S]*^Debian GNU\/Linux 13 guest-1 ttyS0\r$/m, bootMs);
  await using console = host.inTerminal(['console', 'guest_1']);
  console.write('root\n');
  await console.waitFor(prompt, 60_000);
  assert.match(await shell(console, 'cat /root/kept'), /^kept$/m);
  console.write('echo c >/proc/sysrq-trigger\n');
  await console.waitFor(/Kernel panic - not syncing: sysrq triggered crash/, 30_000);
  assert.equal(await host.endOf('guest_1'), 'panic');
  assert.match(await host.succeed(['logs', '--tail', '50', 'guest_1']), /Kernel panic - not syncing/);
  await host.succeed(['rm', 'guest_1']);
});

/** Lines in which the kernel tells what it measured, or which words it was given. */
const measured = /audit:|deferred pages|Ratio of byte access|setting system clock|ommand line: /;

test('every engine boots to the same words on the console', async () => {
  const said = new Map<string, readonly string[]>();
  for (const engine of ['translator', 'interpreter']) {
    const name = `by-${engine}`;
    await host.succeed(['create', '--name', name, '--engine', engine, '--append', 'holm.first-boot-only', debianImage]);
    await host.succeed(['start', name]);
    assert.equal(await host.endOf(name, bootMs), 'power off');
    const lines = (await host.succeed(['logs', name])).split('\n').map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
    // What the kernel does in the background it tells at any time.
    said.set(engine, lines.filter((line) => !measured.test(line)).sort());
    await host.succeed(['rm', name]);
  }
  assert.ok(said.get('translator')!.length > 100);
  assert.deepEqual(said.get('translator'), said.get('interpreter'));
});

async function readAll(address: string, port: number): Promise<string> {
  let text = '';
  const socket = connect(port, address);
  socket.setTimeout(20_000, () => socket.destroy(new Error('it does not answer')));
  for await (const chunk of socket) text += chunk;
  return text;
}
