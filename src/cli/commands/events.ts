// `holm events`.
import { formatTime } from '../../base/clock.ts';
import type { Invocation } from '../command.ts';
import { formatFilters } from '../format/table.ts';
import { compileTemplate } from '../format/template.ts';
import { parseWhen } from '../format/when.ts';

interface Event {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> | null };
  readonly time: number;
  readonly timeNano: number;
}

export async function events({ flags, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const template = format === '' || format === 'json' ? undefined : compileTemplate(format);
  const stream = client.jsonLines<Event>('GET', '/events', {
    query: {
      since: flags.has('since') ? parseWhen(flags.text('since')) : undefined,
      until: flags.has('until') ? parseWhen(flags.text('until')) : undefined,
      filters: formatFilters(flags.list('filter')),
    },
  });
  for await (const event of stream) {
    if (format === 'json') process.stdout.write(`${JSON.stringify(event)}\n`);
    else if (template === undefined) process.stdout.write(`${formatEvent(event)}\n`);
    else
      process.stdout.write(
        `${template({ ...event, ID: event.Actor.ID, Status: event.Action, Time: event.time, TimeNano: event.timeNano, Scope: 'local' })}\n`,
      );
  }
  return 0;
}

/** "2026-01-31T12:00:00.000000000Z container start 0123… (image=debian, name=web)". */
function formatEvent({ Type, Action, Actor, time, timeNano }: Event): string {
  const attributes = Object.entries(Actor.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const details = attributes.map(([key, value]) => `${key}=${value}`).join(', ');
  const nanos = timeNano > 0 ? BigInt(Math.round(timeNano / 1000)) * 1000n : BigInt(time) * 1_000_000_000n;
  return `${formatTime(nanos)} ${Type} ${Action} ${Actor.ID}${details === '' ? '' : ` (${details})`}`;
}
