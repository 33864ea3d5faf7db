// Debian's index of packages and the fields of one package (deb-control(5), Debian Policy 5.1): enough to find a package, what
// it depends on, and its file in the archive.
import { HolmError } from '../base/error.ts';

/** A package's paragraph: its fields in their order, values with their continuation lines. */
export interface DebianPackage {
  readonly name: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** Parses one paragraph. Throws `corrupt` when it names no package. */
export function parseControl(text: string): DebianPackage {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of text.split('\n')) {
    if (/^[ \t]/.test(line)) {
      fields.set(last, `${fields.get(last) ?? ''}\n${line}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    last = line.slice(0, colon);
    fields.set(last, line.slice(colon + 1).trim());
  }
  const name = fields.get('Package');
  if (name === undefined) throw new HolmError('corrupt', 'Cannot read a package’s control file: it names no package');
  return { name, fields };
}

/** Parses the paragraphs of the wanted packages out of an index, and of those that they depend on as far as `follows` wants. */
export function findPackages(
  index: string,
  wanted: readonly string[],
  follows: (name: string) => boolean,
): readonly DebianPackage[] {
  const found = new Map<string, DebianPackage>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    const start = index.startsWith(`Package: ${name}\n`) ? 0 : index.indexOf(`\nPackage: ${name}\n`) + 1;
    if (start === 0 && !index.startsWith(`Package: ${name}\n`))
      throw new HolmError('notFound', `Cannot find the package "${name}" in the archive`);
    const end = index.indexOf('\n\n', start);
    const parsed = parseControl(index.slice(start, end < 0 ? undefined : end));
    found.set(name, parsed);
    for (const needed of dependenciesOf(parsed).filter(follows)) visit(needed);
  };
  for (const name of wanted) visit(name);
  return [...found.values()];
}

/** The names of the packages that it depends on; of alternatives the first. */
export function dependenciesOf({ fields }: DebianPackage): readonly string[] {
  return [fields.get('Pre-Depends') ?? '', fields.get('Depends') ?? '']
    .flatMap((list) => list.split(','))
    .map((entry) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(entry)?.[1] ?? '')
    .filter((name) => name !== '');
}
