// A private holmd for one test file: own directories, bridge, subnet and cgroup parent, so that files run side by side
// and beside the system's holmd. Its end removes all guests, ends holmd, and fails if anything is left on the host.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandOptions, type CommandResult, command } from '../../scripts/command.ts';
import { call, callLines, ping } from '../../scripts/engine-client.ts';
import { cacheDirectory, dockerClient } from './docker-client.ts';
import { busyboxImage, changedImage } from './images.ts';
import { type Snapshot, settleLeftovers, takeSnapshot } from './leftovers.ts';
import { inTerminal, Session } from './session.ts';
import { dismantle, makeNames, type Names, sweep } from './sweep.ts';

const projectRoot = join(import.meta.dirname, '../..');

export interface DaemonOptions {
  /** Further flags of holmd. */
  readonly flags?: readonly string[];
  /** Load "busybox:test"; true unless told. */
  readonly busybox?: boolean;
}

export class TestDaemon implements AsyncDisposable {
  readonly names: Names;
  readonly state: string;
  readonly run: string;
  readonly socket: string;
  readonly log: string;
  readonly #flags: readonly string[];
  readonly #docker: string;
  readonly #before: Snapshot;
  #process: ChildProcess | undefined;

  private constructor(docker: string, before: Snapshot, flags: readonly string[]) {
    this.names = makeNames();
    const { directory } = this.names;
    this.state = join(directory, 'state');
    this.run = join(directory, 'run');
    this.socket = join(this.run, 'holm.sock');
    this.log = join(directory, 'holmd.log');
    this.#docker = docker;
    this.#before = before;
    const places = ['--state', this.state, '--run', this.run, '--socket', this.socket];
    const own = ['--bridge', this.names.bridge, '--subnet', freeSubnet(), '--cgroup-parent', this.names.cgroupParent];
    this.#flags = [...places, ...own, ...flags];
    mkdirSync(join(directory, 'home'));
  }

  /** Starts a holmd and loads "busybox:test" into it. */
  static async start(options: DaemonOptions = {}): Promise<TestDaemon> {
    const daemon = new TestDaemon(await dockerClient(), await takeSnapshot(), options.flags ?? []);
    process.on('exit', () => {
      if (existsSync(daemon.names.directory)) sweep(daemon.names);
    });
    try {
      await daemon.restart();
      if (options.busybox !== false) await daemon.succeed(['load', '-i', await busyboxImage()]);
    } catch (error) {
      await daemon.#giveUp();
      throw error;
    }
    return daemon;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts holmd, again after kill9(), and waits until it answers. */
  async restart(): Promise<void> {
    const log = openSync(this.log, 'a');
    const child = spawn(join(projectRoot, 'bin/holmd'), this.#flags, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#process = child;
    const deadline = Date.now() + 30_000;
    while (!(await ping(this.socket))) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline)
        throw new Error(`holmd ${ended ? 'ended' : 'does not answer'}\n${this.#lastLog()}`);
      await sleep(5);
    }
  }

  /** Starts another holmd on the same directories, which must end by itself; rejects with what it said. */
  async secondDaemon(): Promise<void> {
    const second = await command([join(projectRoot, 'bin/holmd'), ...this.#flags], { timeoutMs: 10_000 });
    assert.ok(!second.timedOut, 'the second holmd runs on');
    throw new Error(second.output);
  }

  /** Ends holmd as a power cut would. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL', 5000);
  }

  /** Ends holmd as `npm stop` does. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM', 20_000);
  }

  async #end(signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const inTime = await Promise.race([ended.then(() => true), sleep(timeoutMs, false, { ref: false })]);
    assert.ok(inTime, `holmd did not end within ${timeoutMs} ms of ${signal}`);
  }

  /** The environment of a client: this daemon's socket, a home that is empty. */
  get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: join(this.names.directory, 'home'),
      DOCKER_HOST: `unix://${this.socket}`,
      TERM: 'xterm',
      LC_ALL: 'C.UTF-8',
    };
  }

  /** Runs the docker client to its end; a code other than 0 is the caller's to judge. */
  docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command([this.#docker, ...args], { timeoutMs: 60_000, ...options, env: { ...this.env, ...options.env } });
  }

  /** Runs the docker client, which must succeed; gives its standard output without the last line's end. */
  async succeed(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.docker(args, options);
    const why = `${result.timedOut ? 'took too long' : `ended with ${result.code}`}: ${result.output}`;
    assert.equal(result.code, 0, `"docker ${args.join(' ')}" ${why}`);
    return result.stdout.replace(/\n$/, '');
  }

  /** Starts the docker client and gives a session to talk with it. */
  talk(args: readonly string[]): Session {
    return new Session([this.#docker, ...args], { env: this.env });
  }

  /** The same, with a terminal. */
  talkInTerminal(args: readonly string[], size?: readonly [rows: number, columns: number]): Session {
    return inTerminal([this.#docker, ...args], size === undefined ? { env: this.env } : { env: this.env, size });
  }

  /** Runs holm's own command against this daemon. */
  holm(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const argv = [join(projectRoot, 'bin/holm'), ...args];
    return command(argv, {
      timeoutMs: 60_000,
      ...options,
      env: { ...this.env, HOLM_HOST: `unix://${this.socket}`, ...options.env },
    });
  }

  /** A request to the API, with its JSON answer; undefined for 404. */
  request(method: string, path: string, body?: unknown): Promise<unknown> {
    return call(this.socket, method, path, body === undefined ? {} : { body });
  }

  /** The first element of `docker inspect`. */
  async inspect<T>(reference: string): Promise<T> {
    const list = JSON.parse(await this.succeed(['inspect', reference])) as readonly T[];
    return list[0]!;
  }

  /** Loads an image that is busybox:test with a layer over it for each change, made in an empty directory. */
  async loadChanged(tag: string, ...changes: readonly ((root: string) => void)[]): Promise<void> {
    const archive = join(this.names.directory, 'changed.tar');
    await changedImage(tag, archive, ...changes);
    await this.succeed(['load', '-q', '-i', archive]);
    rmSync(archive);
  }

  /** Makes "debian:bookworm" from Debian's packages, or loads what an earlier run made. */
  async loadDebian(): Promise<void> {
    const kept = join(cacheDirectory, 'debian-bookworm.tar');
    if ((await this.docker(['load', '-i', kept])).code === 0) return;
    await callLines(this.socket, 'POST', '/holm/images/from-debian?suite=bookworm&tag=debian:bookworm', () => {});
    await this.succeed(['save', '-o', kept, 'debian:bookworm']);
  }

  /** Removes all guests and volumes, ends holmd, and fails if anything of it is left on the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!(await ping(this.socket))) await this.restart();
      const ids = (await this.succeed(['ps', '-aq', '--no-trunc'])).split('\n').filter(Boolean);
      if (ids.length > 0) await this.succeed(['rm', '-f', '-v', ...ids]);
      await this.stop();
      dismantle(this.names);
      const left = await settleLeftovers(this.#before, (thing) => this.#isOurs(thing, ids));
      assert.deepEqual(left, [], `holmd left something behind; its log ends with\n${this.#lastLog()}`);
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
    rmSync(this.names.directory, { recursive: true });
  }

  #isOurs(thing: string, ids: readonly string[]): boolean {
    const { directory, bridge, cgroupParent } = this.names;
    if (thing === directory) return false;
    if (thing.includes(`${directory}/`) || thing.includes(bridge) || thing.includes(cgroupParent)) return true;
    return ids.some((id) => thing.includes(id));
  }

  // For the time after a failure: nothing of this daemon may disturb the next test file.
  async #giveUp(): Promise<void> {
    await this.#end('SIGKILL', 5000).catch(() => {});
    sweep(this.names);
  }

  #lastLog(): string {
    return readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
  }
}

/** Starts a daemon for the whole test file; it ends after the file's last test. */
export async function daemonForFile(options: DaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(options);
  after(() => daemon[Symbol.asyncDispose]());
  return daemon;
}

// Test files run as processes of their own; the pid keeps their subnets apart.
function freeSubnet(): string {
  return `10.${100 + ((process.pid >> 8) % 100)}.${process.pid & 255}.0/24`;
}
