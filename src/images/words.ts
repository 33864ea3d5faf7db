// Words of a Dockerfile instruction: quotes, backslashes and variables, as docker's builder reads them.
import { HolmError } from '../base/error.ts';

export type Variables = ReadonlyMap<string, string>;

/** Splits at white space outside quotes; quotes, backslashes and variables stay as they are. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    word += char;
    if (char === '\\' && quote !== "'" && at + 1 < text.length) word += text[++at]!;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (word !== '') words.push(word);
  return words;
}

/** Takes quotes and backslashes away and puts the values of variables in: $NAME, ${NAME}, ${NAME:-else}, ${NAME:+then}. */
export function expandWord(text: string, variables: Variables): string {
  let value = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "'" && quote !== '"') quote = quote === '' ? char : '';
    else if (char === '"' && quote !== "'") quote = quote === '' ? char : '';
    else if (char === '\\' && quote !== "'" && at + 1 < text.length) {
      const next = text[++at]!;
      value += quote === '"' && !/["$\\]/.test(next) ? `\\${next}` : next;
    } else if (char === '$' && quote !== "'") {
      const { text: found, end } = expandVariable(text, at, variables);
      value += found;
      at = end - 1;
    } else value += char;
  }
  if (quote !== '')
    throw new HolmError('invalid', `unexpected end of statement while looking for matching quote: ${text}`);
  return value;
}

function expandVariable(text: string, start: number, variables: Variables): { text: string; end: number } {
  const plain = /^\$([a-zA-Z_]\w*|\d|[@*#])/.exec(text.slice(start));
  if (plain !== null) return { text: variables.get(plain[1]!) ?? '', end: start + plain[0].length };
  if (text[start + 1] !== '{') return { text: '$', end: start + 1 };
  const end = closingBrace(text, start + 2);
  const inner = /^([a-zA-Z_]\w*)(?::([-+])(.*))?$/s.exec(text.slice(start + 2, end));
  if (inner === null) throw new HolmError('invalid', `unsupported modifier in substitution: ${text}`);
  const value = variables.get(inner[1]!) ?? '';
  if (inner[2] === undefined) return { text: value, end: end + 1 };
  const other = expandWord(inner[3]!, variables);
  const chosen = inner[2] === '-' ? value || other : value === '' ? '' : other;
  return { text: chosen, end: end + 1 };
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '{') depth++;
    if (text[at] === '}' && --depth === 0) return at;
  }
  throw new HolmError('invalid', `syntax error: missing '}': ${text}`);
}

/** Reads "name=value …" pairs, or docker's older "name value with blanks". */
export function parsePairs(
  instruction: string,
  text: string,
  variables: Variables,
): readonly { name: string; value: string }[] {
  const words = splitWords(text);
  if (words.length === 0) throw new HolmError('invalid', `${instruction} requires at least one argument`);
  if (!words[0]!.includes('=')) {
    const [, name, value] = /^(\S+)\s+(.*)$/s.exec(text.trim()) ?? [];
    if (name === undefined) throw new HolmError('invalid', `${instruction} must have two arguments`);
    return [{ name: expandWord(name, variables), value: expandWord(value!, variables) }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0)
      throw new HolmError('invalid', `Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    const name = expandWord(word.slice(0, equals), variables);
    if (name === '') throw new HolmError('invalid', `${instruction} names can not be blank`);
    return { name, value: expandWord(word.slice(equals + 1), variables) };
  });
}
