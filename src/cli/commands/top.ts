// `holm top`.
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { alignColumns } from '../format/table.ts';

interface Processes {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

export async function top({ positionals, client }: Invocation): Promise<number> {
  const [name, ...ps] = positionals as [string, ...string[]];
  const query = { ps_args: ps.length === 0 ? undefined : ps.join(' ') };
  const { Titles, Processes } = await client.json<Processes>('GET', `/containers/${escapePath(name)}/top`, { query });
  process.stdout.write(alignColumns([Titles, ...Processes], 20));
  return 0;
}
