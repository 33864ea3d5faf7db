// `holm update`: new limits and restart policy for containers, running or not.
import { escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { parseRestart, resourceFields } from '../run/body.ts';
import { forEach } from '../targets.ts';

export async function update({ flags, positionals, client }: Invocation): Promise<number> {
  const restart = flags.has('restart') ? parseRestart(flags.text('restart')) : { Name: '', MaximumRetryCount: 0 };
  const json = {
    ...resourceFields(flags),
    PidsLimit: flags.has('pids-limit') ? flags.int('pids-limit') : null,
    RestartPolicy: restart,
  };
  const warnings: string[] = [];
  const code = await forEach(positionals, async (name) => {
    const path = `/containers/${escapePath(name)}/update`;
    const answer = await client.json<{ Warnings?: string[] | null }>('POST', path, { json });
    warnings.push(...(answer.Warnings ?? []));
  });
  if (warnings.length > 0) process.stderr.write(`${warnings.join('\n')}\n`);
  return code;
}
