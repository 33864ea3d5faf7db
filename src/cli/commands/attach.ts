// `holm start` and `holm attach`.
import { HolmError } from '../../base/error.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { attachContainer, followContainer, type WaitAnswer } from '../guest.ts';
import { forEach } from '../targets.ts';
import { checkTerminal } from './run.ts';

interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly State: { readonly Running: boolean; readonly Paused: boolean; readonly Restarting: boolean };
  readonly HostConfig: { readonly AutoRemove: boolean };
}

export async function start({ flags, positionals, client }: Invocation): Promise<number> {
  const detachKeys = flags.text('detach-keys');
  if (!flags.bool('attach') && !flags.bool('interactive'))
    return forEach(positionals, (name) =>
      client.json('POST', `/containers/${escapePath(name)}/start`, {
        query: { detachKeys: detachKeys === '' ? undefined : detachKeys },
      }),
    );
  if (positionals.length > 1) throw new HolmError('invalid', 'you cannot start and attach multiple containers at once');
  const container = await inspect(client, positionals[0]!);
  const stdin = flags.bool('interactive') && container.Config.OpenStdin;
  checkTerminal(stdin, container.Config.Tty);
  const attached = await attachContainer(client, container.Id, {
    stdin,
    stdout: true,
    stderr: true,
    terminal: container.Config.Tty,
    detachKeys,
  });
  const exit = waitFor(client, container.Id, container.HostConfig.AutoRemove ? 'removed' : 'next-exit');
  await client.json('POST', `/containers/${container.Id}/start`);
  const code = await followContainer(client, container.Id, { attached, exit, sigProxy: true });
  return code === 'detached' ? 0 : code;
}

export async function attach({ flags, positionals, client }: Invocation): Promise<number> {
  const container = await inspect(client, positionals[0]!);
  if (!container.State.Running)
    throw new HolmError('wrongState', 'cannot attach to a stopped container, start it first');
  if (container.State.Paused)
    throw new HolmError('wrongState', 'cannot attach to a paused container, unpause it first');
  const stdin = !flags.bool('no-stdin') && container.Config.OpenStdin;
  checkTerminal(stdin, container.Config.Tty);
  const exit = waitFor(client, container.Id, 'not-running');
  const attached = await attachContainer(client, container.Id, {
    stdin,
    stdout: true,
    stderr: true,
    terminal: container.Config.Tty,
    detachKeys: flags.text('detach-keys'),
  });
  const code = await followContainer(client, container.Id, { attached, exit, sigProxy: flags.bool('sig-proxy') });
  if (code === 'detached') throw new HolmError('cancelled', 'read escape sequence');
  return code;
}

function inspect(client: Client, name: string): Promise<Inspected> {
  return client.json<Inspected>('GET', `/containers/${escapePath(name)}/json`);
}

function waitFor(client: Client, id: string, condition: string): Promise<WaitAnswer> {
  const exit = client.json<WaitAnswer>('POST', `/containers/${id}/wait`, { query: { condition } });
  exit.catch(() => undefined);
  return exit;
}
