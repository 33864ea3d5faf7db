// A reporter for node:test: one line of JSON for every test that begins, and one when it finished. test-files.ts reads it.
import type { TestEvent } from 'node:test/reporters';

/** A test that finished, or has begun. No suites. */
export interface TestLine {
  readonly name: string;
  readonly outcome: 'begun' | 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped; empty if it passed. */
  readonly reason: string;
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const suites: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:diagnostic' && event.data.level === 'error')
      process.stderr.write(`${event.data.message}\n`);
    if (event.type === 'test:dequeue') yield lineOf({ name: event.data.name, outcome: 'begun', reason: '' });
    if (event.type === 'test:start') suites.length = event.data.nesting;
    if (event.type === 'test:start') suites.push(event.data.name);
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    if (data.details.type === 'suite' && (event.type === 'test:pass' || isOnlyItsTests(event.data))) continue;
    const name = [...suites.slice(0, data.nesting), data.name].join(' › ');
    yield lineOf({ name, ...outcomeOf(event) });
  }
}

function lineOf(line: TestLine): string {
  return `${JSON.stringify(line)}\n`;
}

function outcomeOf(
  event: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>,
): Pick<TestLine, 'outcome' | 'reason'> {
  const { skip } = event.data;
  if (skip !== undefined && skip !== false) return { outcome: 'skipped', reason: skip === true ? '' : skip };
  if (event.type === 'test:pass') return { outcome: 'passed', reason: '' };
  const { error } = event.data.details;
  const reasons = causesOf(error.cause ?? error).map((cause) => (cause instanceof Error ? cause.stack : String(cause)));
  const reason = reasons.join('\ncaused by: ');
  return { outcome: 'failed', reason: reason.replaceAll(/^ +at .*node:internal.*\n?/gm, '') };
}

// An error, its cause, its cause's cause.
function causesOf(error: unknown): readonly unknown[] {
  return error instanceof Error && error.cause !== undefined ? [error, ...causesOf(error.cause)] : [error];
}

// A suite that failed only because a test in it did is told by that test.
function isOnlyItsTests(data: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data']): boolean {
  const error = 'error' in data.details ? data.details.error : undefined;
  return error !== undefined && 'failureType' in error && error.failureType === 'subtestsFailed';
}
