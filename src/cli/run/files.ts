// Files of environment variables and of labels, and pairs "key=value".
import { HolmError, hasCode } from '../../base/error.ts';

/** Variables of the files, then those given; a name alone takes its value from our environment. */
export function readEnvironment(files: readonly string[], given: readonly string[]): string[] {
  const fromFiles = files.flatMap((path) => readLines(path).flatMap((line) => expand(line) ?? []));
  return [...fromFiles, ...given.map((one) => expand(checked(one)) ?? one)];
}

/** Labels of the files, then those given; in a file a key alone is no label. */
export function readLabels(files: readonly string[], given: readonly string[]): Record<string, string> {
  return toMap([...files.flatMap(readLines).filter((line) => line.includes('=')), ...given]);
}

/** "a=b" and "c" to { a: 'b', c: '' }, ordered by key as docker sends them. */
export function toMap(pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** A file's text; throws in docker's words. */
export function readText(path: string): string {
  try {
    // Not imported: that would load all of node:fs's promises for every `run`.
    return process.getBuiltinModule('node:fs').readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT'))
      throw new HolmError('notFound', `open ${path}: no such file or directory`, { cause: error });
    throw error;
  }
}

function readLines(path: string): string[] {
  const lines = readText(path)
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  return lines.flatMap((raw) => {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) return [];
    const name = line.split('=', 1)[0]!;
    if (name === '') throw new HolmError('invalid', `${path}: no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new HolmError('invalid', `${path}: variable '${name}' contains whitespaces`);
    return [line];
  });
}

function checked(pair: string): string {
  if (pair === '' || pair.startsWith('=')) throw new HolmError('invalid', `invalid environment variable: ${pair}`);
  return pair;
}

/** "NAME=value"; undefined for a name that our environment does not have. */
function expand(pair: string): string | undefined {
  if (pair.includes('=')) return pair;
  const value = process.env[pair];
  return value === undefined ? undefined : `${pair}=${value}`;
}
