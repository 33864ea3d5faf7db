import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-bundle-'));
after(() => rmSync(directory, { recursive: true }));
const script = join(directory, 'holm.cjs');
const main = fileURLToPath(new URL('main.ts', import.meta.url));

function run(...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [script, ...args]);
  assert.equal(stderr.toString(), '');
  return stdout.toString();
}

test('the bundle of all commands runs, each of its modules too', () => {
  const text = bundle(main, directory);
  writeFileSync(script, text);
  assert.match(run('--version'), /^holm version /);
  assert.equal(run('help', '--markdown'), readFileSync(new URL('../../docs/holm.md', import.meta.url), 'utf8'));
  writeFileSync(
    script,
    text.replace(
      'else __load(0);',
      'else console.log(modules.slice(1).map((_one, at) => typeof __load(at + 1)).join());',
    ),
  );
  assert.match(run(), /^object(,object){50,}\n$/);
});

test('the bundle gives way to younger sources', () => {
  const source = join(directory, 'main.ts');
  writeFileSync(source, "console.log('old');\n");
  writeFileSync(script, bundle(source, directory));
  writeFileSync(source, "const text: string = 'new';\nconsole.log(text);\n");
  utimesSync(source, 1, 1);
  assert.equal(run(), 'old\n');
  utimesSync(source, Date.now() / 1000 + 10, Date.now() / 1000 + 10);
  assert.equal(run(), 'new\n');
});

test('what it does not know it refuses', () => {
  const source = join(directory, 'odd.ts');
  writeFileSync(source, 'export default 1;\n');
  assert.throws(() => bundle(source, directory), { kind: 'unsupported' });
});
