// GET /events: what happened and what happens, as lines of JSON.
import { once } from 'node:events';
import { nowNanos } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import { changedIn } from './api-version.ts';
import type { EngineEvent } from './backend.ts';
import type { Call } from './call.ts';
import type { Filters } from './filters.ts';
import type { Route } from './router.ts';

const eventFilters: readonly string[] = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
];

async function events(call: Call): Promise<void> {
  const { query, minor } = call;
  const since = query.time('since');
  const until = query.time('until');
  if (since !== undefined && until !== undefined && until < since)
    throw new HolmError(
      'invalid',
      `\`since\` time (${query.text('since')}) cannot be after \`until\` time (${query.text('until')})`,
    );
  const filters = query.filters(eventFilters);
  const range = {
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(since === undefined && until !== undefined && until < nowNanos() && { since: 0n }),
  };
  const { signal } = call;
  // Subscribed before the headers go out, so that the client misses nothing that it does after it has them.
  const stream = call.backend.events.subscribe(range, signal)[Symbol.asyncIterator]();
  let next = stream.next();
  next.catch(() => undefined);
  const form = contentForm(call);
  const response = call.beginStream(form.type);
  try {
    for (;;) {
      const { done, value: event } = await next;
      if (done) break;
      next = stream.next();
      next.catch(() => undefined);
      if (!matchesEvent(event, filters)) continue;
      if (!response.write(`${form.before}${eventText(event, minor)}\n`)) await once(response, 'drain', { signal });
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** RFC 7464 sequences put a record separator before each text. */
function contentForm(call: Call): { type: string; before: string } {
  const accepted = call.request.headers.accept ?? '';
  if (accepted.includes('application/json-seq')) return { type: 'application/json-seq', before: '\x1e' };
  for (const type of ['application/x-ndjson', 'application/jsonl'])
    if (accepted.includes(type)) return { type, before: '' };
  const isLines = call.minor >= changedIn.eventsAsJsonLines;
  return { type: isLines ? 'application/x-ndjson' : 'application/json', before: '' };
}

/** An event as the text of Docker's JSON. */
export function eventText(event: EngineEvent, minor: number): string {
  const { type, action, actorId, attributes, at } = event;
  const isLegacy = minor < changedIn.noLegacyEventFields && (type === 'container' || type === 'image');
  const json = {
    ...(isLegacy && { status: action, id: actorId, ...(type === 'container' && { from: attributes.image ?? '' }) }),
    Type: type,
    Action: action,
    Actor: { ID: actorId, Attributes: attributes },
    scope: 'local',
    time: Number(at / 1_000_000_000n),
  };
  // Nanoseconds do not fit a number exactly: put in as text.
  return `${JSON.stringify(json).slice(0, -1)},"timeNano":${at}}`;
}

/** Whether an event passes the filters. Names may be beginnings, as with Docker. */
export function matchesEvent(event: EngineEvent, filters: Filters): boolean {
  if (filters.isEmpty) return true;
  const { type, action, actorId, attributes } = event;
  const name = attributes.name ?? '';
  const isNamed = (kind: EngineEvent['type']): boolean => {
    const values = filters.get(kind);
    if (values.length === 0) return true;
    if (type !== kind) return false;
    return values.some((value) => actorId.startsWith(value) || name.startsWith(value));
  };
  return (
    filters.exact('type', type) &&
    filters.exact('scope', 'local') &&
    matchesAction(action, filters.get('event')) &&
    filters.labels(attributes) &&
    isNamed('container') &&
    isNamed('volume') &&
    isNamed('network') &&
    isNamed('daemon') &&
    matchesImage(event, filters.get('image')) &&
    !['config', 'node', 'plugin', 'secret', 'service'].some((kind) => filters.has(kind))
  );
}

/** "exec_start: sh -c x" is found by "exec_start", "health_status: healthy" by "health_status". */
function matchesAction(action: string, wanted: readonly string[]): boolean {
  return wanted.length === 0 || wanted.some((value) => action === value || action.startsWith(`${value}:`));
}

/** An image by id or name, also in the events of its containers. */
function matchesImage({ type, actorId, attributes }: EngineEvent, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const name = (type === 'image' ? attributes.name : attributes.image) ?? '';
  const bare = name.replace(/:[^/:]*$/, '');
  return wanted.some(
    (value) =>
      value === name || value === bare || value === `${bare}:latest` || (type === 'image' && actorId.startsWith(value)),
  );
}

export const eventRoutes: readonly Route[] = [{ method: 'GET', path: '/events', handle: events }];
