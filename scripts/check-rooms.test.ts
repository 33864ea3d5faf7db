import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRooms, importsOf, type Tree } from './check-rooms.ts';
import type { Room } from './rooms.ts';

const table: readonly Room[] = [
  { floor: 0, name: 'base' },
  { floor: 1, name: 'kernel' },
  { floor: 1, name: 'mounts', beside: ['kernel'] },
  { floor: 1, name: 'vcpu', pure: true },
  { floor: 2, name: 'images' },
];

function treeOf(sources: Readonly<Record<string, string>>, architecture?: string): Tree {
  const rooms = Object.keys(sources).map((path) => `\`${path.split('/')[1]}\``);
  return {
    sources: new Map(Object.entries(sources)),
    architecture: architecture ?? rooms.join(' '),
    exists: (path) => path in sources || path === 'docs/keeper.md' || path === 'test/harness/daemon.ts',
  };
}

const base = { 'src/base/id.ts': '' };
const kernel = { ...base, 'src/kernel/wire.ts': "import { id } from '../base/id.ts';" };

const cases: readonly (readonly [name: string, tree: Tree, problem: RegExp | undefined])[] = [
  ['a room imports from the floor below', treeOf(kernel), undefined],
  ['no files', treeOf({}), /no file below src/],
  [
    'an import from above',
    treeOf({ ...kernel, 'src/base/x.ts': "import type { W } from '../kernel/wire.ts';" }),
    /"kernel" is above it/,
  ],
  [
    'an arrow that is listed',
    treeOf({ ...kernel, 'src/mounts/m.ts': "export * from '../kernel/wire.ts';" }),
    undefined,
  ],
  [
    'an arrow that is not listed',
    treeOf({ ...kernel, 'src/mounts/m.ts': '', 'src/kernel/k.ts': "import { m } from '../mounts/m.ts';" }),
    /"mounts" is beside it/,
  ],
  ['a dynamic import counts', treeOf({ ...kernel, 'src/base/x.ts': "await import('../kernel/wire.ts')" }), /above it/],
  [
    'a file that is not there',
    treeOf({ ...base, 'src/kernel/k.ts': "import { x } from '../base/gone.ts';" }),
    /there is no "..\/base\/gone.ts"/,
  ],
  ['a room that is not in the table', treeOf({ 'src/helpers/x.ts': '' }), /"helpers" is not in scripts\/rooms.ts/],
  [
    'the daemon imports from any room',
    treeOf({ ...kernel, 'src/daemon.ts': "import { w } from './kernel/wire.ts';" }),
    undefined,
  ],
  [
    'no room imports the daemon',
    treeOf({ 'src/daemon.ts': '', 'src/base/x.ts': "import '../daemon.ts';" }),
    /stands above all rooms/,
  ],
  ['a pure room and Node', treeOf({ 'src/vcpu/v.ts': "import { readFileSync } from 'node:fs';" }), /pure/],
  [
    'the test of a pure room and Node',
    treeOf({ 'src/vcpu/v.test.ts': "import { test } from 'node:test';" }),
    undefined,
  ],
  ['any other room and Node', treeOf({ 'src/base/v.ts': "import { readFileSync } from 'node:fs';" }), undefined],
  [
    'a test may use the harness',
    treeOf({ 'src/base/v.test.ts': "import { d } from '../../test/harness/daemon.ts';" }),
    undefined,
  ],
  [
    'a room may not',
    treeOf({ 'src/base/v.ts': "import { d } from '../../test/harness/daemon.ts';" }),
    /outside of src/,
  ],
  ['a path that is gone', treeOf(base, '`base` `src/base/gone.ts`'), /names "src\/base\/gone.ts"/],
  ['a path that is there', treeOf(base, '`src/base/id.ts` `docs/keeper.md` `src/*/x.ts`'), undefined],
  ['a room that is not named', treeOf(kernel, '`base`'), /does not name the room "kernel"/],
];

for (const [name, tree, problem] of cases) {
  test(`checkRooms(): ${name}`, () => {
    const problems = checkRooms(tree, table);
    if (problem === undefined) assert.deepEqual(problems, []);
    else assert.match(problems.join('\n'), problem);
  });
}

test('importsOf() finds every form and leaves prose alone', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type {\n  B,\n  C,\n} from './b.ts';",
    "export { d } from './d.ts';",
    "import './e.ts';",
    "const f = await import('./f.ts');",
    "// taken from './comment.ts'",
    "const sentence = 'made from x';",
  ].join('\n');
  assert.deepEqual(importsOf(text), ['./a.ts', './b.ts', './d.ts', './e.ts', './f.ts']);
});
