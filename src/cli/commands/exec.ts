// `holm exec`: create the exec, start it on a hijacked connection, follow its streams, give its exit code.
import { HolmError } from '../../base/error.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { readEnvironment } from '../run/files.ts';
import { joinStreams } from '../streams.ts';
import { followSize, windowSize } from '../terminal.ts';
import { checkTerminal } from './run.ts';

export async function exec({ flags, positionals, client }: Invocation): Promise<number> {
  const [container, ...argv] = positionals as [string, ...string[]];
  const detach = flags.bool('detach');
  const terminal = flags.bool('tty');
  const stdin = flags.bool('interactive') && !detach;
  const detachKeys = flags.text('detach-keys');
  checkTerminal(stdin, terminal);
  const size = terminal ? windowSize() : undefined;
  const consoleSize = size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] };
  const environment = readEnvironment(flags.list('env-file'), flags.list('env'));
  const { Id: id } = await client.json<{ Id: string }>('POST', `/containers/${escapePath(container)}/exec`, {
    json: {
      User: flags.text('user'),
      Privileged: flags.bool('privileged'),
      Tty: terminal,
      ...consoleSize,
      AttachStdin: stdin,
      AttachStdout: !detach,
      AttachStderr: !detach,
      DetachKeys: detachKeys,
      Env: environment.length === 0 ? null : environment,
      WorkingDir: flags.text('workdir'),
      Cmd: argv,
    },
  });
  const path = `/exec/${id}`;
  const json = { Detach: detach, Tty: terminal, ...consoleSize };
  if (detach) {
    await client.json('POST', `${path}/start`, { json });
    return 0;
  }
  const { socket } = await client.hijack(`${path}/start`, { json });
  const unfollow = terminal
    ? followSize(({ rows, columns }) => client.json('POST', `${path}/resize`, { query: { h: rows, w: columns } }))
    : () => undefined;
  try {
    const end = await joinStreams(socket, { stdin, terminal, detachKeys });
    if (end === 'detached') throw new HolmError('cancelled', 'read escape sequence');
  } finally {
    unfollow();
  }
  return exitCodeOf(client, path);
}

/** The record of the end may come a moment after the end of the output. */
async function exitCodeOf(client: Client, path: string): Promise<number> {
  for (let waitMs = 2; ; waitMs *= 2) {
    const { Running, ExitCode } = await client.json<{ Running: boolean; ExitCode: number | null }>(
      'GET',
      `${path}/json`,
    );
    if (!Running || waitMs > 2000) return ExitCode ?? 0;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
