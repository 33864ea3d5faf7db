// npm start: from a fresh machine to a running container. Installs what is missing, builds the keeper, starts holmd,
// makes the image debian:bookworm and runs it. Every step looks first whether it is done already: run it as often as you like.
import { statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { buildKeeper } from './build-keeper.ts';
import { buildPrograms } from './build-programs.ts';
import { command, output } from './command.ts';
import { daemonPaths, findDaemon, projectRoot, startDaemon } from './daemon-process.ts';
import { findProgram, installMissing } from './debian.ts';
import { call, callLines, ping } from './engine-client.ts';
import { formatSeconds, step } from './step.ts';

const image = 'debian:bookworm';
const dockerHost = `unix://${daemonPaths.socket}`;

try {
  const startedAt = performance.now();
  requireRoot();
  await step('Debian packages', installPackages);
  await step('keeper', build);
  await step('programs', makePrograms);
  await step('holmd', startUnlessRunning);
  await step(`image ${image}`, makeImage);
  await step('container, by holm', () => runContainer([`${projectRoot}/bin/holm`, '--host', dockerHost]));
  await step('container, by docker', runByDocker);
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

async function makeImage(): Promise<string> {
  if ((await call(daemonPaths.socket, 'GET', `/images/${image}/json`)) !== undefined) return 'there already';
  let shown = '';
  await callLines(daemonPaths.socket, 'POST', `/holm/images/from-debian?suite=bookworm&tag=${image}`, (line) => {
    const status = String(line.status ?? '');
    if (status === '' || status === shown) return;
    shown = status;
    console.log(`             ${status}`);
  });
  return "made from Debian's packages";
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

function nextSteps(): string {
  const lines = [
    `  export DOCKER_HOST=${dockerHost}`,
    '  docker run -it --rm debian:bookworm bash     # or: bin/holm run …',
    '  bin/holm ps -a',
    '  bin/holm explain run --rm debian:bookworm true   # what the kernel would be asked, and why',
    '  npm stop                                     # ends holmd; guests run on, `npm stop -- --all` ends them too',
  ];
  return lines.join('\n');
}
