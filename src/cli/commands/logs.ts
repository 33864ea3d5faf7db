// `holm logs`.
import { HolmError } from '../../base/error.ts';
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { parseWhen } from '../format/when.ts';
import { copyOutput } from '../streams.ts';

export async function logs({ flags, positionals, client }: Invocation): Promise<number> {
  const tail = flags.text('tail');
  if (!/^(all|-?\d+)$/.test(tail))
    throw new HolmError('invalid', `Cannot read --tail "${tail}": not a number nor "all"`);
  const path = `/containers/${escapePath(positionals[0]!)}`;
  const { headers, body } = await client.request('GET', `${path}/logs`, {
    query: {
      stdout: true,
      stderr: true,
      follow: flags.bool('follow') || undefined,
      timestamps: flags.bool('timestamps') || undefined,
      details: flags.bool('details') || undefined,
      since: flags.has('since') ? parseWhen(flags.text('since')) : undefined,
      until: flags.has('until') ? parseWhen(flags.text('until')) : undefined,
      tail,
    },
  });
  const type = headers.get('content-type') ?? '';
  const told = type.includes('docker.raw-stream') || type.includes('docker.multiplexed-stream');
  const terminal = told
    ? type.includes('docker.raw-stream')
    : (await client.json<{ Config: { Tty: boolean } }>('GET', `${path}/json`)).Config.Tty;
  await copyOutput(body, !terminal);
  return 0;
}
