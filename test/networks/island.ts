// A network world of one test file's own, so that the machine's network is not touched: a "host" namespace, in which the
// keeper runs, and an "outside" namespace behind the host's one uplink. Guests here are Node in a new network namespace.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { AT_FDCWD, CLONE_NEWNET, O_WRONLY } from '../../src/kernel/constants.ts';
import { openKeeper } from '../../src/kernel/keeper.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { guestPid, type Program, register, step } from '../../src/kernel/steps.ts';
import { changeLink, createLink, decodeLinks, type Link, listLinks } from '../../src/netlink/link.ts';
import type { Message } from '../../src/netlink/message.ts';
import { acknowledgeLast, exchange, NETLINK_ROUTE, netlinkSteps } from '../../src/netlink/program.ts';
import { addAddress, addRoute } from '../../src/netlink/route.ts';

const loopback = changeLink({ index: 1, up: true });
const uplink = { index: 100, name: 'uplink' };
/** The host's address on the uplink, and the outside's. */
export const hostAddress = '198.51.100.1';
export const outsideAddress = '198.51.100.2';

/** A namespace of its own with these programs, or one that is there. */
export type Place = { readonly after: Program; readonly stage: Program } | 'host' | 'outside';

/** A guest's script writes what it found by `tell(text)`. */
export interface IslandGuest {
  readonly pid: number;
  /** What it told, waiting for it. */
  told(): Promise<string>;
  end(): Promise<void>;
}

export class Island implements AsyncDisposable {
  readonly kernel: Kernel;
  readonly #directory: string;
  readonly #guests = new Set<IslandGuest>();
  #outside = 0;
  #count = 0;

  private constructor(kernel: Kernel, directory: string) {
    this.kernel = kernel;
    this.#directory = directory;
  }

  /** A host without forwarding, its uplink, and an outside that listens on port 7 and knows the way to 172.16.0.0/12. */
  static async open(): Promise<Island> {
    const directory = mkdtempSync(join(tmpdir(), 'holm-island-'));
    const inNamespace = join(directory, 'keeper');
    writeFileSync(inNamespace, `#!/bin/sh\nexec unshare --net -- '${await buildKeeper()}' "$@"\n`);
    chmodSync(inNamespace, 0o755);
    const kernel = await openKeeper(inNamespace, join(directory, 'keeper.sock'));
    // A new namespace takes this over from the machine's own.
    const forwarding = [AT_FDCWD, '/proc/sys/net/ipv4/ip_forward', Buffer.from('0'), O_WRONLY];
    await kernel.run([step('write_file', forwarding, 'switch forwarding off')]);
    const island = new Island(kernel, directory);
    await island.#makeOutside();
    return island;
  }

  async #makeOutside(): Promise<void> {
    const peer = { name: 'eth0', index: 2, namespace: { pid: guestPid } };
    const outside = await this.guest(echoServer, {
      after: netlinkSteps(NETLINK_ROUTE, [createLink(uplink, { is: 'veth', peer })], 'make the uplink', register(28)),
      stage: setUp([
        loopback,
        addAddress({ index: 2, address: outsideAddress, prefixLength: 24 }),
        changeLink({ index: 2, up: true }),
        addRoute({ destination: '172.16.0.0', prefixLength: 12, gateway: hostAddress }),
      ]),
    });
    await this.change([
      loopback,
      addAddress({ index: uplink.index, address: hostAddress, prefixLength: 24 }),
      changeLink({ index: uplink.index, up: true }),
    ]);
    await outside.told();
    this.#outside = outside.pid;
  }

  /** Carries rtnetlink messages out in the host's namespace. */
  async change(messages: readonly Message[]): Promise<void> {
    await exchange(this.kernel, NETLINK_ROUTE, acknowledgeLast(messages), 'change the network');
  }

  async links(): Promise<readonly Link[]> {
    return decodeLinks(await exchange(this.kernel, NETLINK_ROUTE, [listLinks()], 'list links'));
  }

  /** Runs a script of JavaScript. */
  async guest(script: string, place: Place): Promise<IslandGuest> {
    const directory = `${this.#directory}/${this.#count++}`;
    mkdirSync(directory);
    const file = `${directory}/told`;
    const source = `const tell = (text) => (fs.writeFileSync('${file}~', text), fs.renameSync('${file}~', '${file}'));${script}`;
    const { pid } = await this.kernel.start({
      title: `holm-guard ${directory}`,
      directory,
      log: { path: `${directory}/log`, maxBytes: 0, maxFiles: 1 },
      stdin: 'none',
      spillDirectory: directory,
      awaitClients: 0,
      exitFiles: [],
      cloneFlags: typeof place === 'string' ? 0 : CLONE_NEWNET,
      before: [],
      after: typeof place === 'string' ? [] : place.after,
      stage: [
        step('await_guard', [], 'wait for the guard'),
        ...(place === 'host' ? [] : place === 'outside' ? enter(this.#outside) : place.stage),
        step('exec', [[process.execPath], ['node', '-e', source], []], 'start the guest'),
      ],
    });
    const guest: IslandGuest = {
      pid,
      told: async () => {
        await eventually(() => existsSync(file) || existsSync(`${directory}/exit`));
        return existsSync(file) ? readFileSync(file, 'utf8') : `nothing: ${readFileSync(`${directory}/log`, 'utf8')}`;
      },
      end: async () => {
        this.#guests.delete(guest);
        if (!existsSync(`${directory}/exit`)) killIfAlive(pid);
        await eventually(() => existsSync(`${directory}/exit`) && !existsSync(`${directory}/guard.sock`));
      },
    };
    this.#guests.add(guest);
    return guest;
  }

  /** What a guest gets from port 7 of an address: its own address as seen there, or why not. */
  async ask(address: string, place: Place): Promise<string> {
    const guest = await this.guest(client(address), place);
    const told = await guest.told();
    await guest.end();
    return told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const guest of [...this.#guests]) await guest.end();
    const alive = setInterval(() => {}, 1000); // the keeper's process does not hold Node's loop
    await this.kernel.close();
    clearInterval(alive);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended just now; its guard is about to say so.
  }
}

function setUp(messages: readonly Message[]): Program {
  return netlinkSteps(NETLINK_ROUTE, acknowledgeLast(messages), 'set up the network', register(28));
}

function enter(pid: number): Program {
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  const file = register(0);
  return [
    step('openat2', [AT_FDCWD, `/proc/${pid}/ns/net`, how, how.length], 'open a namespace', { result: file }),
    step('setns', [file, CLONE_NEWNET], 'enter a namespace'),
  ];
}

/** Tells every caller on port 7 the address that it comes from. */
export const echoServer =
  "net.createServer((one) => (one.on('error', () => {}), one.end(one.remoteAddress))).listen(7, '0.0.0.0', () => tell('ready'));";

function client(address: string): string {
  return `let got = ''; const one = net.connect({ port: 7, host: '${address}', timeout: 700 });
    one.on('data', (chunk) => (got += chunk)).on('end', () => tell(got)).on('error', (error) => tell(error.code))
      .on('timeout', () => (tell('no answer'), one.destroy()));`;
}

/** Waits until something holds, at most ten seconds. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not true within ten seconds: ${holds}`);
    await sleep(5);
  }
}
