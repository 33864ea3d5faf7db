// Docker's "filters" parameter: JSON of map[string][]string, or of the older map[string]map[string]bool.
// Values of one name are alternatives, except where a matcher says otherwise; different names must all hold.
import { HolmError } from '../base/error.ts';

export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  get(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** No values, or one of them equals the text. */
  exact(name: string, text: string): boolean {
    const values = this.#values.get(name);
    return values === undefined || values.includes(text);
  }

  /** No values, or one of them, read as a regular expression, is found in one of the texts. */
  pattern(name: string, ...texts: readonly string[]): boolean {
    const values = this.#values.get(name);
    if (values === undefined) return true;
    return values.some((value) => {
      const pattern = compile(value);
      return texts.some((text) => text === value || pattern?.test(text));
    });
  }

  /** All "key" and "key=value" of `label` stand in the labels and none of `label!` does. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    return (
      this.get('label').every((wanted) => holdsLabel(labels, wanted)) &&
      !this.get('label!').some((unwanted) => holdsLabel(labels, unwanted))
    );
  }

  /** A yes-or-no filter; `byDefault` when absent. */
  flag(name: string, byDefault: boolean): boolean {
    const values = this.#values.get(name);
    if (values === undefined || values.length === 0) return byDefault;
    const truths = values.map((value) => {
      if (value === '1' || value === 'true') return true;
      if (value === '0' || value === 'false') return false;
      throw new HolmError('invalid', `invalid filter '${name}=[${value}]'`);
    });
    if (truths.some((truth) => truth !== truths[0]))
      throw new HolmError('invalid', `invalid filter '${name}=[${values.join(' ')}]'`);
    return truths[0] ?? byDefault;
  }
}

function holdsLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=');
  if (at < 0) return Object.hasOwn(labels, wanted);
  const key = wanted.slice(0, at);
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(at + 1);
}

/** A pattern that cannot hold up the daemon; undefined for others, which are then plain text. */
function compile(text: string): RegExp | undefined {
  const isCostly = text.length > 256 || /\)[*+?{]|\(\?|\\[1-9k]/.test(text) || text.split(/[*+{]/).length > 4;
  if (isCostly) return undefined;
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

const none = new Filters(new Map());

/** Parses the parameter; names that are not allowed are refused as Docker refuses them. */
export function parseFilters(text: string, allowed: readonly string[]): Filters {
  if (text === '') return none;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new HolmError('invalid', `invalid filters: ${text.slice(0, 200)}`, { cause });
  }
  if (parsed === null) return none;
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw new HolmError('invalid', 'invalid filters: not a map');
  const values = new Map<string, readonly string[]>();
  for (const [name, given] of Object.entries(parsed)) {
    if (!allowed.includes(name)) throw new HolmError('invalid', `invalid filter '${name}'`);
    const list = readValues(name, given);
    if (list.length > 0) values.set(name, list);
  }
  return new Filters(values);
}

function readValues(name: string, given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((value): value is string => typeof value === 'string')) return given;
  if (typeof given === 'object' && given !== null && !Array.isArray(given))
    return Object.entries(given).flatMap(([value, held]) => (held === true ? [value] : []));
  if (given === null) return [];
  throw new HolmError('invalid', `invalid filter '${name}': not a list of strings`);
}
