// The API over the engine in memory, and the real docker client against it. Needs no root and leaves nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandOptions, type CommandResult, command } from '../../scripts/command.ts';
import { type ApiServer, serve } from '../../src/api/server.ts';
import { dockerClient } from '../harness/docker-client.ts';
import { inTerminal, Session } from '../harness/session.ts';
import { FakeEngine } from './fake-backend.ts';

export class FakeServer implements AsyncDisposable {
  readonly engine: FakeEngine = new FakeEngine();
  readonly directory: string = mkdtempSync(join(tmpdir(), 'holm-api-'));
  readonly socket: string = join(this.directory, 'sock');
  #server: ApiServer | undefined;
  #docker = '';

  static async start(): Promise<FakeServer> {
    const fake = new FakeServer();
    fake.#docker = await dockerClient();
    fake.#server = await serve(fake.engine.backend, { socketPath: fake.socket });
    return fake;
  }

  get environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, HOME: this.directory, DOCKER_HOST: `unix://${this.socket}` };
  }

  /** Runs the docker client to its end. */
  docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command([this.#docker, ...args], { env: this.environment, timeoutMs: 20_000, ...options });
  }

  /** The client's standard output; fails with its words when its code is not 0. */
  async succeed(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.docker(args, options);
    if (result.code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${result.code}: ${result.output}`);
    return result.stdout.trim();
  }

  talk(args: readonly string[]): Session {
    return new Session([this.#docker, ...args], { env: this.environment });
  }

  talkInTerminal(args: readonly string[], size: readonly [number, number]): Session {
    return inTerminal([this.#docker, ...args], { env: this.environment, size });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
