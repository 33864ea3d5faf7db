// Joins main.ts and all that it imports into one script without types, build/holm.cjs, which `bin/holm` runs when it is there:
// one file loads in a third of the time of sixty. Run as `node src/cli/bundle.ts`. It knows just the forms of import and export
// that this project uses. The script gives way to the sources when one of them is younger than it.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HolmError } from '../base/error.ts';

interface Module {
  readonly number: number;
  readonly path: string;
  /** A function that runs the module and gives its exports. */
  code: string;
}

/** The script of an entry module; `directory` is where it will stand. */
export function bundle(entry: string, directory: string): string {
  const modules = new Map<string, Module>();
  addModule(entry, directory, modules);
  const all = [...modules.values()];
  const sources = all.map(({ path }) => relative(directory, path));
  return `'use strict';
// Made by src/cli/bundle.ts.
const modules = [
${all.map(({ code }) => code).join(',\n')}
];
const made = [];
const __load = (number) => (made[number] ??= modules[number]());
const { statSync } = process.getBuiltinModule('node:fs');
const isYounger = (path) => (statSync(\`\${__dirname}/\${path}\`, { throwIfNoEntry: false })?.mtimeMs ?? 0) > ownTime;
const ownTime = statSync(__filename).mtimeMs;
if (${JSON.stringify(sources)}.some(isYounger)) import(\`\${__dirname}/${sources[0]}\`);
else __load(0);
`;
}

function addModule(path: string, directory: string, modules: Map<string, Module>): number {
  const known = modules.get(path);
  if (known !== undefined) return known.number;
  const module: Module = { number: modules.size, path, code: '' };
  modules.set(path, module);
  const load = (specifier: string) =>
    specifier.startsWith('node:')
      ? `process.getBuiltinModule('${specifier}')`
      : `__load(${addModule(resolve(dirname(path), specifier), directory, modules)})`;
  const exported: string[] = [];
  const code = stripTypeScriptTypes(readFileSync(path, 'utf8'))
    .replace(/^import\s*\{([^}]*)\}\s*from\s*'([^']+)';/gm, (_all, names: string, specifier: string) => {
      const list = names.split(',').map((name) => name.trim().replace(/\s+as\s+/, ': '));
      return `const { ${list.filter((name) => name !== '').join(', ')} } = ${load(specifier)};`;
    })
    .replace(/\bimport\('([^']+)'\)/g, (_all, specifier: string) => `Promise.resolve().then(() => ${load(specifier)})`)
    .replace(/^export\s+((?:async\s+)?function\b\s*\*?|class|const)(\s+)(\w+)/gm, (_all, kind, space, name: string) => {
      exported.push(name);
      return `${kind}${space}${name}`;
    })
    .replaceAll('import.meta.url', `\`file://\${__dirname}/${relative(directory, path)}\``);
  const left = /^(?:import|export)\b.*$/m.exec(code)?.[0];
  if (left !== undefined) throw new HolmError('unsupported', `Cannot bundle "${path}": unknown form "${left}"`);
  const lines = code.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('//'));
  module.code = `() => {\n${lines.map((line) => line.trimEnd()).join('\n')}\nreturn { ${exported.join(', ')} };\n}`;
  return module.number;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = fileURLToPath(new URL('../../build', import.meta.url));
  const entry = fileURLToPath(new URL('main.ts', import.meta.url));
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/holm.cjs.new`, bundle(entry, directory));
  renameSync(`${directory}/holm.cjs.new`, `${directory}/holm.cjs`);
}
