// A private holmd for tests of machines: `holm machine …` against it, and the end of all machines with the file.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandOptions, type CommandResult, command } from '../../scripts/command.ts';
import { daemonForFile, type TestDaemon } from '../harness/daemon.ts';
import { inTerminal, type Session } from '../harness/session.ts';
import { type KernelName, kernelImage, kernelOf } from './kernels.ts';

const holmCommand = join(import.meta.dirname, '../../bin/holm');

export interface MachineFacts {
  readonly id: string;
  readonly container: string | null;
  readonly address: string;
  readonly state: { readonly is: string; readonly why?: string; readonly pid?: number; readonly code?: number };
}

export class MachineHost {
  readonly daemon: TestDaemon;

  constructor(daemon: TestDaemon) {
    this.daemon = daemon;
  }

  /** Runs `holm machine …`; a code other than 0 is the caller's to judge. */
  machine(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.daemon.holm(['machine', ...args], options);
  }

  /** Runs `holm machine …`, which must succeed; gives its standard output without the last line's end. */
  async succeed(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.machine(args, options);
    assert.equal(result.code, 0, `"holm machine ${args.join(' ')}" ended with ${result.code}: ${result.output}`);
    return result.stdout.replace(/\n$/, '');
  }

  /** `holm machine …` in a terminal. */
  inTerminal(args: readonly string[], size?: readonly [rows: number, columns: number]): Session {
    return inTerminal([holmCommand, 'machine', ...args], { env: this.daemon.env, ...(size && { size }) });
  }

  async inspect(name: string): Promise<MachineFacts> {
    return (JSON.parse(await this.succeed(['inspect', name])) as MachineFacts[])[0]!;
  }

  /** Waits until a machine has ended, and says why. */
  async endOf(name: string, timeoutMs = 30_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const { state } = await this.inspect(name);
      if (state.is === 'ended') return state.why!;
      assert.ok(Date.now() < deadline, `machine "${name}" is ${state.is} after ${timeoutMs} ms`);
      await sleep(50);
    }
  }

  /** Waits until the console's log matches, and gives the match. */
  async waitForLog(name: string, pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const said = await this.succeed(['logs', name]);
      const match = pattern.exec(said);
      if (match !== null) return match;
      assert.ok(Date.now() < deadline, `no ${pattern} within ${timeoutMs} ms in the log of "${name}": ${said}`);
      await sleep(100);
    }
  }

  /** Loads an image whose kernel is the program of this name, as "NAME:test". */
  async loadKernel(name: KernelName): Promise<string> {
    return await this.loadImage(`${name}:test`, kernelOf(name));
  }

  async loadImage(tag: string, kernel: Uint8Array): Promise<string> {
    const archive = join(this.daemon.names.directory, 'kernel.tar');
    await kernelImage(tag, kernel, archive);
    await this.daemon.succeed(['load', '-q', '-i', archive]);
    rmSync(archive);
    return tag;
  }
}

/** Starts a holmd for the whole test file; machines are removed after the file's last test, and holmd ends. */
export async function machineHost(): Promise<MachineHost> {
  // Hooks run in the order in which they were made: the machines go before their holmd.
  const found: { host?: MachineHost } = {};
  after(async () => {
    const ids = (await found.host?.succeed(['ls', '-aq', '--no-trunc'])) ?? '';
    for (const id of ids.split('\n').filter(Boolean)) await found.host?.machine(['rm', '-f', id]);
  });
  const daemon = await daemonForFile();
  const host = new MachineHost(daemon);
  found.host = host;
  return host;
}

/** Runs a program of the host, which must succeed. */
export async function onHost(argv: readonly string[]): Promise<string> {
  const result = await command(argv, { timeoutMs: 30_000 });
  assert.equal(result.code, 0, result.output);
  return result.stdout;
}
