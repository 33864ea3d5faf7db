// The machine in a web page, as a person has it: `holm machine page` serves it with the kernel of an image made of Debian's
// packages, Debian's Chromium opens it, Start is pressed, and a shell answers.
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildPage } from '../../scripts/build-page.ts';
import { callLines } from '../../scripts/engine-client.ts';
import { Browser, type Page } from '../harness/browser.ts';
import { daemonForFile } from '../harness/daemon.ts';
import { Session } from '../harness/session.ts';

const image = 'debian:machine';
const bootMs = 120_000;
const built = await buildPage();
const daemon = await daemonForFile({ busybox: false });
let browser: Browser;
let server: Session;
let url: string;

before(async () => {
  const query = `suite=trixie&arch=riscv64&kernel=1&tag=${image}`;
  await callLines(daemon.socket, 'POST', `/holm/images/from-debian?${query}`, () => {});
  server = serve(image);
  url = await addressOf(server);
  browser = await Browser.start();
});
after(async () => {
  await browser?.[Symbol.asyncDispose]();
  server?.kill();
});

function serve(...args: string[]): Session {
  return new Session([join(import.meta.dirname, '../../bin/holm'), 'machine', 'page', ...args], { env: daemon.env });
}

async function addressOf(session: Session): Promise<string> {
  return (await session.waitFor(/^http:\/\/127\.0\.0\.1:\d+\/$/m, 30_000))[0];
}

async function open(query = ''): Promise<Page> {
  const page = await browser.open(url + query);
  await ready(page);
  assert.match(await page.text('#kernel-name'), /debian:machine/);
  return page;
}

/** Waits until the page has looked for what lies beside it. */
async function ready(page: Page): Promise<void> {
  const until = performance.now() + 20_000;
  while (await page.evaluate('document.querySelector("#settings")?.disabled ?? true')) {
    assert.ok(performance.now() < until, 'the page is not ready');
    await sleep(100);
  }
}

async function startMachine(page: Page): Promise<void> {
  await page.click('#run');
  await page.waitFor('#terminal', /\[ +\d+\.\d+\] /, bootMs);
}

/** Workers are gone a moment after they were ended. */
async function waitForWorkers(count: number): Promise<void> {
  const until = performance.now() + 10_000;
  while ((await browser.countWorkers()) !== count && performance.now() < until) await sleep(100);
  assert.equal(await browser.countWorkers(), count);
}

it('boots Debian’s kernel to a shell, takes what is typed, and powers off', async () => {
  const page = await open('?cpus=2&memory=256');
  assert.match(await page.text('#initrd-name'), /debian:machine/);
  await startMachine(page);
  await page.waitFor('#terminal', /init reached.*# \s*$/s, bootMs);
  assert.equal(await browser.countWorkers(), 2);
  assert.match(await page.text('#boot'), /^\d+\.\d\d s$/);
  assert.match(await page.text('#mips'), /^\d+/);
  assert.ok(Number.parseInt(await page.text('#touched'), 10) > 10);
  await page.type('uname -m; nproc');
  await page.waitFor('#terminal', /uname -m; nproc\s+riscv64\s+2\s+.*# \s*$/s, 20_000);
  writeFileSync(join(built, '../page.png'), await page.screenshot());
  await page.type('poweroff -f');
  await page.waitFor('#terminal', /The machine is off/, 20_000);
  await waitForWorkers(0);
  assert.equal(await page.text('#run'), 'Start');
  assert.deepEqual(browser.complaints, []);
  await page.close();
});

it('has disks: a file that is only read, and one in the memory of the page', async () => {
  const file = join(daemon.names.directory, 'image');
  writeFileSync(file, 'read from a file\n'.padEnd(2 ** 20, 'x'));
  const page = await open('?disk=16&append=holm.rescue');
  await page.chooseFile('#image-file', file);
  await page.waitFor('#image-name', /^image$/, 5000);
  await startMachine(page);
  // The file has no file system that could be a root, so /init gives a shell.
  await page.waitFor('#terminal', /Cannot boot: the disk "image" has neither.*# \s*$/s, bootMs);
  await page.type('head -n 1 /dev/vda; cat /sys/block/vd?/ro /sys/block/vd?/size');
  await page.waitFor('#terminal', /size\s+read from a file\s+1\s+0\s+2048\s+32768\s/, 20_000);
  await page.type(
    'echo "and back" | dd of=/dev/vdb seek=9000; sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vdb skip=9000 count=1 | head -n 1',
  );
  await page.waitFor('#terminal', /head -n 1\s.*\nand back\s/s, 20_000);
  await page.click('#run');
  await page.waitFor('#terminal', /The machine was stopped/, 20_000);
  assert.deepEqual(browser.complaints, []);
  await page.close();
});

it('stops when told, starts again, and leaves no worker when the page is closed', async () => {
  const page = await open();
  await startMachine(page);
  await waitForWorkers(1);
  await page.click('#run');
  await page.waitFor('#terminal', /The machine was stopped/, 20_000);
  await waitForWorkers(0);
  await startMachine(page);
  await waitForWorkers(1);
  // The process of the page is the one that has worked most.
  const process = (await browser.renderers()).toSorted((a, b) => b.cpuTime - a.cpuTime)[0]!.id;
  await page.close();
  await waitForWorkers(0);
  const isThere = async () => (await browser.renderers()).some(({ id }) => id === process);
  for (const until = performance.now() + 20_000; (await isThere()) && performance.now() < until; ) await sleep(200);
  assert.ok(!(await isThere()), 'the process of the closed page runs on');
});

it('says what it lacks: a kernel, a good one, memory, isolation', async () => {
  await using bare = serve();
  const page = await browser.open(await addressOf(bare));
  await ready(page);
  assert.match(await page.text('#kernel-name'), /none/);
  assert.equal(await page.evaluate('document.querySelector("#run").disabled'), true);
  await page.chooseFile('#kernel-file', join(built, 'index.html'));
  await page.waitFor('#kernel-name', /index\.html/, 5000);
  await page.click('#run');
  await page.waitFor('#problem', /Cannot run the machine: it has no RISC-V Image header/, 20_000);
  await page.close();

  const small = await open('?memory=64');
  const large = join(daemon.names.directory, 'initrd');
  writeFileSync(large, '');
  truncateSync(large, 40 * 2 ** 20);
  await small.chooseFile('#initrd-file', large);
  await small.waitFor('#initrd-name', /^initrd$/, 5000);
  await small.click('#run');
  await small.waitFor('#problem', /it needs at least \d+ MiB of memory with its initial RAM disk/, 20_000);
  await small.evaluate(`
    globalThis.kept = [];
    try {
      for (;;) kept.push(new WebAssembly.Memory({ initial: 65536, maximum: 65536, shared: true }));
    } catch {}
  `);
  await small.click('#run');
  await small.waitFor('#problem', /the browser has no 64 MiB of memory for it, take less/, 20_000);
  await small.close();

  const plain = createServer((request, response) => {
    const name = request.url === '/' ? 'index.html' : (request.url ?? '').slice(1);
    const kind = { html: 'text/html', js: 'text/javascript', css: 'text/css' }[name.split('.')[1] ?? ''];
    response.writeHead(200, { 'Content-Type': kind ?? 'text/plain' });
    response.end(readFileSync(join(built, name)));
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  try {
    const open = await browser.open(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/`);
    await open.waitFor('#problem', /not cross-origin isolated/, 20_000);
    assert.equal(await open.evaluate('document.querySelector("#run").disabled'), true);
    await open.close();
  } finally {
    plain.closeAllConnections();
    plain.close();
  }
});

it('is served to this host alone, and only what it is made of', async () => {
  const status = async (path: string, host?: string): Promise<number> => {
    const argv = host === undefined ? {} : { headers: { host } };
    const { request } = await import('node:http');
    return await new Promise((resolve, reject) => {
      const asked = request(new URL(path, url), argv, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      asked.on('error', reject);
      asked.end();
    });
  };
  assert.equal(await status('/'), 200);
  assert.equal(await status('/', 'evil.example'), 403);
  assert.equal(await status('/../../package.json'), 404);
  assert.equal(await status('/%2e%2e/package.json'), 404);
  const { headers } = await fetch(`${url}machine/kernel`, { method: 'HEAD' });
  assert.equal(headers.get('cross-origin-embedder-policy'), 'require-corp');
  server.signal('SIGTERM');
  assert.equal(await server.end(), 0);
  await using missing = serve('no-such-image');
  assert.equal(await missing.end(), 1);
  assert.match(missing.stderr, /no-such-image/);
});
