// `holm events`.
import { formatTime } from '../../base/clock.ts';
import { splitLines } from '../client.ts';
import type { Invocation } from '../command.ts';
import { formatFilters } from '../format/table.ts';
import { compileTemplate } from '../format/template.ts';
import { parseWhen } from '../format/when.ts';

interface Event {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> | null };
  readonly time: number;
}

export async function events({ flags, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const template = format === '' || format === 'json' ? undefined : compileTemplate(format);
  const { body } = await client.request('GET', '/events', {
    query: {
      since: flags.has('since') ? parseWhen(flags.text('since')) : undefined,
      until: flags.has('until') ? parseWhen(flags.text('until')) : undefined,
      filters: formatFilters(flags.list('filter')),
    },
  });
  for await (const line of splitLines(body)) {
    if (format === 'json') {
      process.stdout.write(`${line}\n`);
      continue;
    }
    const event = JSON.parse(line) as Event;
    const nanos = /"timeNano":\s*(\d+)/.exec(line)?.[1] ?? `${event.time}000000000`;
    const shown = {
      ...event,
      ID: event.Actor.ID,
      Status: event.Action,
      Time: event.time,
      TimeNano: nanos,
      Scope: 'local',
    };
    process.stdout.write(`${template === undefined ? formatEvent(event, BigInt(nanos)) : template(shown)}\n`);
  }
  return 0;
}

/** "2026-01-31T12:00:00.000000000Z container start 0123… (image=debian, name=web)". */
function formatEvent({ Type, Action, Actor }: Event, nanos: bigint): string {
  const attributes = Object.entries(Actor.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const details = attributes.map(([key, value]) => `${key}=${value}`).join(', ');
  return `${formatTime(nanos)} ${Type} ${Action} ${Actor.ID}${details === '' ? '' : ` (${details})`}`;
}
