// Functions of templates, and how values print and count as true, all as Go's text/template and docker's clients have them.
import { HolmError } from '../../base/error.ts';

// biome-ignore lint/suspicious/noExplicitAny: data of any shape
export type Value = any;

const functions: Readonly<Record<string, (...values: Value[]) => Value>> = {
  json: (value) => JSON.stringify(value ?? null),
  join: (list, separator) => ((list as Value[] | null) ?? []).map(printValue).join(separator),
  split: (text, separator) => String(text).split(separator),
  lower: (text) => String(text).toLowerCase(),
  upper: (text) => String(text).toUpperCase(),
  title: (text) => String(text).replace(/(^|\s)\S/g, (letter) => letter.toUpperCase()),
  pad: (text, before, after) => (text === '' ? text : ' '.repeat(before) + text + ' '.repeat(after)),
  truncate: (text, length) => [...String(text)].slice(0, length).join(''),
  println: (...values) => `${values.map(printValue).join(' ')}\n`,
  print: (...values) => values.map(printValue).join(''),
  printf: (format, ...values) => formatText(String(format), values),
  len: (value) => (value === null || value === undefined ? 0 : (value.length ?? Object.keys(value).length)),
  index: (value, ...keys) => keys.reduce((at: Value, key: Value) => at?.[key] ?? '', value),
  slice: (value, from = 0, to = undefined) => value.slice(from, to),
  eq: (value, ...others) => others.some((other) => other === value),
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
};

export function callFunction(name: string, values: readonly Value[]): Value {
  const call = functions[name];
  if (call === undefined)
    throw new HolmError('invalid', `template parsing error: template: :1: function "${name}" not defined`);
  return call(...values);
}

export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go prints it: [a b], map[k:v], <no value>. */
export function printValue(value: Value): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${pairs.map(([key, one]) => `${key}:${printValue(one)}`).join(' ')}]`;
}

/** %s %v %d %q %%, with a width. */
function formatText(format: string, values: Value[]): string {
  let at = 0;
  return format.replace(/%(-?\d*)([svdq%])/g, (_match, width: string, verb: string) => {
    if (verb === '%') return '%';
    const value = values[at++];
    const text = verb === 'q' ? JSON.stringify(printValue(value)) : printValue(value);
    return width.startsWith('-') ? text.padEnd(Number(width.slice(1))) : text.padStart(Number(width));
  });
}
