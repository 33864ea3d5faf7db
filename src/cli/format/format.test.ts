import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPorts } from '../commands/ps.ts';
import { splitReference } from '../commands/transfer.ts';
import { parseCsv } from './csv.ts';
import { formatAge, formatDuration, parseDuration } from './duration.ts';
import { formatStep } from './progress.ts';
import { alignColumns, type Fields, formatFilters, formatRows } from './table.ts';
import { parseWhen } from './when.ts';

test('durations', () => {
  const parsed: [string, number | undefined][] = [
    ['1m30s', 90e9],
    ['1.5h', 5400e9],
    ['500ms', 5e8],
    ['-2s', -2e9],
    ['0', 0],
    ['5', undefined],
    ['s', undefined],
    ['', undefined],
  ];
  for (const [text, nanos] of parsed) assert.equal(parseDuration(text), nanos, text);
  const seconds: [number, string][] = [
    [0.4, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [150, '2 minutes'],
    [3600, 'About an hour'],
    [86400, '24 hours'],
    [3 * 86400, '3 days'],
    [15 * 86400, '2 weeks'],
    [70 * 86400, '2 months'],
    [800 * 86400, '2 years'],
  ];
  for (const [value, text] of seconds) assert.equal(formatDuration(value * 1000), text);
  assert.equal(formatAge('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:05:00Z')), '5 minutes ago');
  assert.equal(formatAge('0001-01-01T00:00:00Z'), 'N/A');
});

test('times of --since', () => {
  const now = Date.parse('2026-01-31T12:00:00Z');
  const cases: [string, string][] = [
    ['1700000000', '1700000000'],
    ['1700000000.5', '1700000000.5'],
    ['1h', `${now / 1000 - 3600}.000000000`],
    ['2013-01-02T13:23:37Z', '1357133017.000000000'],
    ['2013-01-02T13:23:37.123456789+01:00', '1357129417.123456789'],
    ['2013-01-02T13:23Z', '1357132980.000000000'],
  ];
  for (const [text, expected] of cases) assert.equal(parseWhen(text, now), expected, text);
  assert.throws(() => parseWhen('yesterday'), { kind: 'invalid' });
});

test('comma-separated values', () => {
  assert.deepEqual(parseCsv('a=1,"b=2,3",,"say ""x"""'), ['a=1', 'b=2,3', '', 'say "x"']);
  assert.throws(() => parseCsv('"a'), { kind: 'invalid' });
});

test('tables, JSON and templates of the same fields', () => {
  const fields: Fields<{ id: number }> = {
    ID: { heading: 'THING ID', value: (row) => String(row.id) },
    Name: { heading: 'NAME', value: (row) => `n${row.id}` },
  };
  const rows = [{ id: 1 }, { id: 123456789012 }];
  const cases: [string, string][] = [
    ['', 'THING ID       NAME\n1              n1\n123456789012   n123456789012\n'],
    ['json', '{"ID":"1","Name":"n1"}\n{"ID":"123456789012","Name":"n123456789012"}\n'],
    ['{{.Name}}', 'n1\nn123456789012\n'],
    ['table {{.Name}}\\t{{.ID}}', 'NAME            THING ID\nn1              1\nn123456789012   123456789012\n'],
    ['{{json .}}', '{"ID":"1","Name":"n1"}\n{"ID":"123456789012","Name":"n123456789012"}\n'],
  ];
  for (const [format, text] of cases) assert.equal(formatRows(rows, fields, ['ID', 'Name'], format), text, format);
  assert.throws(() => formatRows([], fields, ['ID'], '{{.Nope}}'), /can't evaluate field Nope/);
  assert.equal(
    alignColumns([
      ['A', 'B'],
      ['x', 'y'],
    ]),
    'A         B\nx         y\n',
  );
});

test('filters', () => {
  assert.equal(formatFilters([]), undefined);
  assert.equal(
    formatFilters(['status=exited', 'status=dead', 'label=a=b']),
    '{"status":{"exited":true,"dead":true},"label":{"a=b":true}}',
  );
  assert.throws(() => formatFilters(['x']), { kind: 'invalid' });
});

test('ports are joined to ranges', () => {
  const tcp = (PrivatePort: number, PublicPort?: number, IP = '0.0.0.0') => ({
    PrivatePort,
    Type: 'tcp',
    ...(PublicPort === undefined ? {} : { PublicPort, IP }),
  });
  assert.equal(formatPorts([tcp(81, 8001), tcp(80, 8000)]), '0.0.0.0:8000-8001->80-81/tcp');
  assert.equal(formatPorts([tcp(80), tcp(443)]), '80/tcp, 443/tcp');
  assert.equal(formatPorts([tcp(80, 80, '::')]), '[::]:80->80/tcp');
  assert.equal(formatPorts([tcp(80, 8000), tcp(81, 9000)]), '0.0.0.0:8000->80/tcp, 0.0.0.0:9000->81/tcp');
});

test('references of images', () => {
  const cases: [string, string, string | undefined][] = [
    ['debian', 'debian', undefined],
    ['debian:bookworm', 'debian', 'bookworm'],
    ['host:5000/a/b', 'host:5000/a/b', undefined],
    ['host:5000/a/b:c', 'host:5000/a/b', 'c'],
    ['a:b@sha256:00', 'a', 'sha256:00'],
  ];
  for (const [text, name, tag] of cases) assert.deepEqual(splitReference(text), { name, tag }, text);
});

test('progress lines fit the terminal', () => {
  const step = { id: 'layer', status: 'Unpacking', currentBytes: 5e6, totalBytes: 1e7 };
  assert.equal(formatStep(step, 60), `layer: Unpacking [${'='.repeat(10)}>${' '.repeat(9)}]  5MB/10MB`);
  assert.equal(formatStep({ ...step, currentBytes: 1e7 }, 60), 'layer: Unpacking');
  assert.ok(formatStep(step, 20).length < 20);
});
