// npm start: from a fresh host to a running container and a booted machine. Installs what is missing, builds the keeper, starts
// holmd, makes the images and runs them. Every step looks first whether it is done already: run it as often as you like.
// `npm start -- --no-machine` leaves the machine out.
import { statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildKeeper } from './build-keeper.ts';
import { buildPrograms } from './build-programs.ts';
import { command, output } from './command.ts';
import { daemonPaths, findDaemon, projectRoot, startDaemon } from './daemon-process.ts';
import { findProgram, installMissing } from './debian.ts';
import { call, callLines, ping } from './engine-client.ts';
import { formatSeconds, step } from './step.ts';

const image = 'debian:bookworm';
const machineImage = 'debian:trixie-riscv64';
const machine = 'debian';
const bootMs = 600_000;
const dockerHost = `unix://${daemonPaths.socket}`;

try {
  const startedAt = performance.now();
  requireRoot();
  await step('Debian packages', installPackages);
  await step('keeper', build);
  await step('programs', makePrograms);
  await step('holmd', startUnlessRunning);
  await step(`image ${image}`, () => makeImage(image, 'suite=bookworm'));
  await step('container, by holm', () => runContainer([`${projectRoot}/bin/holm`, '--host', dockerHost]));
  await step('container, by docker', runByDocker);
  if (!process.argv.includes('--no-machine')) await startMachine();
  console.log(`\nReady after ${formatSeconds(performance.now() - startedAt)}. Go on with:\n${nextSteps()}`);
} catch (error) {
  console.error(`\nholm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Error('Starting holm takes root: namespaces, mounts and the bridge are made by it. Run: sudo npm start');
}

async function installPackages(): Promise<string> {
  const installed = await installMissing([
    { package: 'debootstrap', provides: 'debootstrap', for: 'images from Debian packages' },
    { package: 'gcc', provides: 'cc', for: 'the keeper' },
    { package: 'libc6-dev', provides: '/usr/lib/*/libc.a', for: "the keeper (the C library's static files)" },
    { package: 'kmod', provides: 'depmod', for: 'the kernel of the machine' },
    { package: 'xz-utils', provides: 'xz', for: 'unpacking its packages' },
    { package: 'erofs-utils', provides: 'mkfs.erofs', for: 'the disk of its image' },
    { package: 'e2fsprogs', provides: 'mkfs.ext4', for: 'its own disk' },
  ]);
  return installed.length === 0 ? 'all there' : `installed ${installed.join(', ')}`;
}

async function build(): Promise<string> {
  const startedAt = Date.now();
  const path = await buildKeeper();
  return statSync(path).mtimeMs >= startedAt ? `built ${path}` : 'up to date';
}

async function makePrograms(): Promise<string> {
  const paths = await buildPrograms();
  return paths.map((path) => path.slice(projectRoot.length + 1)).join(', ');
}

async function startUnlessRunning(): Promise<string> {
  const running = findDaemon();
  if (running !== undefined && (await ping(daemonPaths.socket))) return `runs already, pid ${running}`;
  if (running !== undefined) {
    throw new Error(
      `holmd (${running}) does not answer on ${daemonPaths.socket}. Its log: ${daemonPaths.log}. End it: npm stop`,
    );
  }
  return `pid ${await startDaemon()}, on ${daemonPaths.socket}`;
}

async function makeImage(name: string, query: string): Promise<string> {
  if ((await call(daemonPaths.socket, 'GET', `/images/${name}/json`)) !== undefined) return 'there already';
  await callShowing(`/holm/images/from-debian?${query}&tag=${name}`);
  return "made from Debian's packages";
}

/** A request whose answer tells what goes on. */
async function callShowing(path: string, body?: unknown): Promise<void> {
  const show = process.stdout.isTTY ? showInPlace : createPhaseLines();
  await callLines(daemonPaths.socket, 'POST', path, (line) => show(String(line.status ?? '')), body);
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
}

/** A terminal has one line for all that goes on. */
function showInPlace(status: string): void {
  process.stdout.write(`\r\x1b[K${`             ${status}`.slice(0, process.stdout.columns - 1)}`);
}

/** A log has a line for each kind of work, not for each of the hundred packages: "Retrieving adduser 3.134" stands for all that follow. */
function createPhaseLines(): (status: string) => void {
  const told = new Set(['']);
  return (status) => {
    const verb = status.split(' ', 1)[0] ?? '';
    if (!told.has(verb)) console.log(`             ${status}`);
    told.add(verb);
  };
}

async function runByDocker(): Promise<string> {
  if (findProgram('docker') === undefined) return 'no docker client here';
  return await runContainer(['docker', '-H', dockerHost]);
}

async function runContainer(client: readonly string[]): Promise<string> {
  const release = await output([...client, 'run', '--rm', image, 'cat', '/etc/os-release'], { timeoutMs: 60_000 });
  const name = /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1];
  if (name === undefined) throw new Error(`The container's /etc/os-release is not Debian's:\n${release}`);
  const again = await command([...client, 'run', '--rm', image, 'true'], { timeoutMs: 60_000 });
  return `${name} (a second run took ${Math.round(again.milliseconds)} ms)`;
}

async function startMachine(): Promise<void> {
  const found = (await call(daemonPaths.socket, 'GET', `/holm/machines/${machine}`)) !== undefined;
  if (found) return void (await step('machine', () => Promise.resolve('there already')));
  await step(`image ${machineImage}`, () => makeImage(machineImage, 'suite=trixie&arch=riscv64&kernel=1'));
  await step('machine made, its packages configured', makeMachine);
  await step('machine booted', bootMachine);
  await step('machine powered off', async () => {
    await call(daemonPaths.socket, 'POST', `/holm/machines/${machine}/stop`, { timeoutMs: 120_000 });
    return undefined;
  });
}

async function makeMachine(): Promise<undefined> {
  await callShowing(`/holm/machines/create?name=${machine}`, { image: machineImage });
}

/** Boots it with its own init; its console says what it is before it asks who wants to log in (a log has whole lines only). */
async function bootMachine(): Promise<string> {
  const holm = [`${projectRoot}/bin/holm`, '--host', dockerHost, 'machine'];
  await output([...holm, 'start', machine], { timeoutMs: 60_000 });
  const deadline = Date.now() + bootMs;
  for (;;) {
    const said = await output([...holm, 'logs', machine], { timeoutMs: 60_000 });
    const greeting = /^(Debian GNU\/Linux \S+) \S+ ttyS0\r?$/m.exec(said);
    const kernel = /Linux version (\S+)/.exec(said)?.[1];
    if (greeting !== null) return `${greeting[1]} on Linux ${kernel}, to its login prompt`;
    const { state } = (await call(daemonPaths.socket, 'GET', `/holm/machines/${machine}`)) as { state: { is: string } };
    if (state.is !== 'running' || Date.now() > deadline)
      throw new Error(`The machine has not booted; its console ends with\n${said.slice(-2000)}`);
    await sleep(500);
  }
}

function nextSteps(): string {
  const lines = [
    `  export DOCKER_HOST=${dockerHost}`,
    '  docker run -it --rm debian:bookworm bash     # or: bin/holm run …',
    `  bin/holm machine start ${machine} && bin/holm machine console ${machine}   # log in as root; ctrl-p ctrl-q leaves`,
    '  bin/holm ps -a',
    '  bin/holm explain run --rm debian:bookworm true   # what the kernel would be asked, and why',
    '  npm stop                                     # ends holmd; guests run on, `npm stop -- --all` ends them too',
  ];
  return lines.join('\n');
}
