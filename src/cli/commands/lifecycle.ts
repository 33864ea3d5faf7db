// Commands that ask one thing of one or more containers, one request each.
import { HolmError } from '../../base/error.ts';
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { forEach } from '../targets.ts';

const pathOf = (name: string): string => `/containers/${escapePath(name)}`;

export function stop({ flags, positionals, client }: Invocation): Promise<number> {
  const query = stopQuery(flags);
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/stop`, { query }));
}

export function restart({ flags, positionals, client }: Invocation): Promise<number> {
  const query = stopQuery(flags);
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/restart`, { query }));
}

export function kill({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { signal: flags.has('signal') ? flags.text('signal') : undefined };
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/kill`, { query }));
}

export function pause({ positionals, client }: Invocation): Promise<number> {
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/pause`));
}

export function unpause({ positionals, client }: Invocation): Promise<number> {
  return forEach(positionals, (name) => client.json('POST', `${pathOf(name)}/unpause`));
}

export function wait({ positionals, client }: Invocation): Promise<number> {
  return forEach(
    positionals,
    (name) => client.json('POST', `${pathOf(name)}/wait`),
    (_name, answer) => String((answer as { StatusCode: number }).StatusCode),
  );
}

export function remove({ flags, positionals, client }: Invocation): Promise<number> {
  const query = {
    v: flags.bool('volumes') || undefined,
    link: flags.bool('link') || undefined,
    force: flags.bool('force') || undefined,
  };
  return forEach(positionals, (name) => client.json('DELETE', pathOf(name), { query }));
}

export async function rename({ positionals, client }: Invocation): Promise<number> {
  await client.json('POST', `${pathOf(positionals[0]!)}/rename`, { query: { name: positionals[1] } });
  return 0;
}

export async function diff({ positionals, client }: Invocation): Promise<number> {
  const changes = await client.json<{ Kind: 0 | 1 | 2; Path: string }[] | null>(
    'GET',
    `${pathOf(positionals[0]!)}/changes`,
  );
  process.stdout.write((changes ?? []).map(({ Kind, Path }) => `${'CAD'[Kind]} ${Path}\n`).join(''));
  return 0;
}

type Bindings = Record<string, { HostIp: string; HostPort: string }[] | null>;

export async function port({ positionals, client }: Invocation): Promise<number> {
  const [name, asked] = positionals as [string, string | undefined];
  const { NetworkSettings } = await client.json<{ NetworkSettings: { Ports: Bindings | null } }>(
    'GET',
    `${pathOf(name)}/json`,
  );
  const format = (host: { HostIp: string; HostPort: string }) =>
    `${host.HostIp.includes(':') ? `[${host.HostIp}]` : host.HostIp}:${host.HostPort}`;
  const ports = NetworkSettings.Ports ?? {};
  if (asked === undefined) {
    const lines = Object.entries(ports).flatMap(([key, hosts]) =>
      (hosts ?? []).map((host) => `${key} -> ${format(host)}\n`),
    );
    process.stdout.write(lines.sort().join(''));
    return 0;
  }
  const hosts = ports[asked.includes('/') ? asked : `${asked}/tcp`] ?? [];
  if (hosts.length === 0) throw new HolmError('notFound', `no public port '${asked}' published for ${name}`);
  process.stdout.write(hosts.map((host) => `${format(host)}\n`).join(''));
  return 0;
}

function stopQuery(flags: Invocation['flags']): Record<string, string | number | undefined> {
  return {
    signal: flags.has('signal') ? flags.text('signal') : undefined,
    t: flags.has('timeout') ? flags.int('timeout') : undefined,
  };
}
