import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from './backend.ts';
import { eventText, matchesEvent } from './events.ts';
import { parseFilters } from './filters.ts';

const event: EngineEvent = {
  type: 'container',
  action: 'exec_start: sh -c x',
  actorId: 'abcdef0123',
  attributes: { name: 'web', image: 'debian:bookworm', role: 'front' },
  at: 1_700_000_000_123_456_789n,
};
const names = ['container', 'image', 'event', 'type', 'label', 'volume', 'scope'];

const cases: readonly (readonly [filters: object, passes: boolean])[] = [
  [{}, true],
  [{ container: ['web'] }, true],
  [{ container: ['abcdef'] }, true],
  [{ container: ['other'] }, false],
  [{ container: ['other', 'web'] }, true],
  [{ event: ['exec_start'] }, true],
  [{ event: ['exec'] }, false],
  [{ type: ['container'] }, true],
  [{ type: ['image'] }, false],
  [{ image: ['debian:bookworm'] }, true],
  [{ image: ['debian'] }, true],
  [{ image: ['ubuntu'] }, false],
  [{ label: ['role=front'] }, true],
  [{ label: ['role=back'] }, false],
  [{ volume: ['web'] }, false],
  [{ scope: ['swarm'] }, false],
];
for (const [filters, passes] of cases)
  test(`${JSON.stringify(filters)} ${passes ? 'passes' : 'stops'} the event`, () => {
    assert.equal(matchesEvent(event, parseFilters(JSON.stringify(filters), names)), passes);
  });

test('nanoseconds are exact, old fields end with 1.51', () => {
  assert.match(
    eventText(event, 51),
    /^\{"status":"exec_start: sh -c x","id":"abcdef0123","from":"debian:bookworm","Type"/,
  );
  assert.match(eventText(event, 52), /^\{"Type":"container".*"time":1700000000,"timeNano":1700000000123456789\}$/);
  JSON.parse(eventText(event, 55));
});
