// The part of Go's text/template that --format needs: fields, pipelines, range, if, with, variables, and docker's functions.
// Grammar: https://pkg.go.dev/text/template
import { HolmError } from '../../base/error.ts';
import { callFunction, isTrue, printValue, type Value } from './template-functions.ts';

type Node =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'value'; readonly pipeline: Pipeline }
  | { readonly is: 'set'; readonly name: string; readonly pipeline: Pipeline }
  | {
      readonly is: 'range' | 'if' | 'with';
      readonly pipeline: Pipeline;
      /** range's $key, $value. */
      readonly names: readonly string[];
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** Calls, each taking the result of the one before as its last argument. */
type Pipeline = readonly (readonly Term[])[];

type Term =
  | { readonly is: 'literal'; readonly value: Value }
  | { readonly is: 'function'; readonly name: string }
  | { readonly is: 'path'; readonly root: 'dot' | string | Pipeline; readonly fields: readonly string[] };

export interface Template {
  (data: Value): string;
  /** Names of the fields of the data that it uses. */
  readonly fields: readonly string[];
}

/** Compiles a template; throws `invalid` when it is none. */
export function compileTemplate(source: string): Template {
  const text = source.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  const reader = { actions: splitActions(text), at: 0, fields: new Set<string>() };
  const { nodes, end } = readNodes(reader);
  if (end !== '') throw wrong(`unexpected {{${end}}}`);
  const run = (data: Value) => render(nodes, { dot: data, root: data, variables: new Map([['$', data]]) });
  return Object.assign(run, { fields: [...reader.fields] });
}

interface Reader {
  readonly actions: readonly { readonly action: boolean; readonly text: string }[];
  at: number;
  readonly fields: Set<string>;
}

function splitActions(text: string): Reader['actions'] {
  const parts: { action: boolean; text: string }[] = [];
  let rest = text;
  for (;;) {
    const match = /\{\{(- )?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?)( -)?\}\}/.exec(rest);
    if (match === null) break;
    const before = rest.slice(0, match.index);
    parts.push({ action: false, text: match[1] === undefined ? before : before.trimEnd() });
    parts.push({ action: true, text: match[2]!.trim() });
    rest = rest.slice(match.index + match[0].length);
    if (match[3] !== undefined) rest = rest.trimStart();
  }
  if (rest.includes('{{')) throw wrong('unclosed action');
  parts.push({ action: false, text: rest });
  return parts;
}

function readNodes(reader: Reader): { nodes: Node[]; end: string } {
  const nodes: Node[] = [];
  while (reader.at < reader.actions.length) {
    const { action, text } = reader.actions[reader.at++]!;
    if (!action) nodes.push({ is: 'text', text });
    else if (text === 'end' || text === 'else' || text.startsWith('else ')) return { nodes, end: text };
    else if (!text.startsWith('/*')) nodes.push(readAction(reader, text));
  }
  return { nodes, end: '' };
}

function readAction(reader: Reader, text: string): Node {
  const block = /^(range|if|with)\s+(.*)$/s.exec(text);
  if (block !== null) return readBlock(reader, block[1] as 'range' | 'if' | 'with', block[2]!);
  const set = /^(\$\w*)\s*:?=\s*(.*)$/s.exec(text);
  if (set !== null) return { is: 'set', name: set[1]!, pipeline: parsePipeline(set[2]!, reader) };
  return { is: 'value', pipeline: parsePipeline(text, reader) };
}

function readBlock(reader: Reader, is: 'range' | 'if' | 'with', text: string): Node {
  const named = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*(.*)$/s.exec(text);
  const names = named === null ? [] : [named[1]!, named[2]].filter((name) => name !== undefined);
  const pipeline = parsePipeline(named?.[3] ?? text, reader);
  const { nodes: body, end } = readNodes(reader);
  let otherwise: readonly Node[] = [];
  if (end.startsWith('else ')) otherwise = [readAction(reader, end.slice(5).trim())];
  else if (end === 'else') {
    const rest = readNodes(reader);
    if (rest.end !== 'end') throw wrong('unexpected EOF');
    otherwise = rest.nodes;
  } else if (end !== 'end') throw wrong('unexpected EOF');
  return { is, pipeline, names, body, otherwise };
}

const token = /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|-?\d+(?:\.\d+)?|\||\(|\)(?:\.\w+)*|(?:\$\w*)?(?:\.\w+)+|\.|\$\w*|\w+)/y;

function parsePipeline(text: string, reader: Reader): Pipeline {
  const tokens: string[] = [];
  for (token.lastIndex = 0; text.slice(token.lastIndex).trim() !== ''; ) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw wrong(`unexpected "${text.slice(at).trim()}" in operand`);
    tokens.push(match[1]!);
  }
  if (tokens.length === 0) throw wrong('missing value for command');
  const pipeline = readPipeline(tokens, reader);
  if (tokens.length > 0) throw wrong(`unexpected "${tokens[0]}"`);
  return pipeline;
}

/** Takes tokens from the front until their end or a closing parenthesis. */
function readPipeline(tokens: string[], reader: Reader): Pipeline {
  const calls: Term[][] = [[]];
  while (tokens.length > 0 && !tokens[0]!.startsWith(')')) {
    const word = tokens.shift()!;
    if (word === '|') calls.push([]);
    else if (word === '(') {
      const root = readPipeline(tokens, reader);
      const close = tokens.shift();
      if (close === undefined) throw wrong('unclosed left paren');
      calls.at(-1)!.push({ is: 'path', root, fields: close.split('.').slice(1) });
    } else calls.at(-1)!.push(readTerm(word, reader));
  }
  if (calls.some((call) => call.length === 0)) throw wrong('missing value for command');
  return calls;
}

function readTerm(word: string, reader: Reader): Term {
  if (word.startsWith('"')) return { is: 'literal', value: JSON.parse(word) as string };
  if (word.startsWith('`')) return { is: 'literal', value: word.slice(1, -1) };
  if (/^-?\d/.test(word)) return { is: 'literal', value: Number(word) };
  if (word === 'true' || word === 'false') return { is: 'literal', value: word === 'true' };
  if (word === 'nil') return { is: 'literal', value: null };
  if (/^\w/.test(word)) return { is: 'function', name: word };
  const [root = '', ...fields] = word.split('.');
  const names = fields.filter((field) => field !== '');
  if (names[0] !== undefined && (root === '' || root === '$')) reader.fields.add(names[0]);
  return { is: 'path', root: root === '' ? 'dot' : root, fields: names };
}

interface Scope {
  readonly dot: Value;
  readonly root: Value;
  readonly variables: Map<string, Value>;
}

function render(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => renderNode(node, scope)).join('');
}

function renderNode(node: Node, scope: Scope): string {
  if (node.is === 'text') return node.text;
  const value = evaluate(node.pipeline, scope);
  if (node.is === 'value') return printValue(value);
  if (node.is === 'set') {
    scope.variables.set(node.name, value);
    return '';
  }
  if (!isTrue(value)) return render(node.otherwise, scope);
  if (node.is === 'range') {
    const entries: [Value, Value][] = Array.isArray(value)
      ? value.map((one: Value, index) => [index, one])
      : Object.entries(value as Record<string, Value>).sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([key, one]) => render(node.body, inner(scope, one, node.names, [key, one]))).join('');
  }
  return render(node.body, node.is === 'with' ? inner(scope, value, node.names, [value]) : scope);
}

/** A scope with another dot; one name takes the last value, two take both. */
function inner(scope: Scope, dot: Value, names: readonly string[], values: readonly Value[]): Scope {
  const taken = values.slice(values.length - names.length);
  return {
    ...scope,
    dot,
    variables: new Map([...scope.variables, ...names.map((name, at): [string, Value] => [name, taken[at]])]),
  };
}

function evaluate(pipeline: Pipeline, scope: Scope): Value {
  let result: Value;
  for (const [at, [head, ...rest]] of pipeline.entries()) {
    const values = [...rest.map((term) => resolve(term, scope)), ...(at > 0 ? [result] : [])];
    if (head!.is === 'function') result = callFunction(head!.name, values);
    else if (values.length > 0) throw wrong("can't give argument to non-function");
    else result = resolve(head!, scope);
  }
  return result;
}

function resolve(term: Term, scope: Scope): Value {
  if (term.is === 'literal') return term.value;
  if (term.is === 'function') return callFunction(term.name, []);
  let value: Value = term.root === 'dot' ? scope.dot : undefined;
  if (typeof term.root !== 'string') value = evaluate(term.root, scope);
  else if (term.root !== 'dot') {
    if (!scope.variables.has(term.root)) throw wrong(`undefined variable "${term.root}"`);
    value = scope.variables.get(term.root);
  }
  let parent = '';
  for (const field of term.fields) {
    value = fieldOf(value, field, parent, term.fields);
    parent = field;
  }
  return value;
}

/** Maps from names that users choose; what they lack is no mistake. */
const openMaps = ['Labels', 'Annotations', 'Options', 'Networks', 'Ports', 'Sysctls'];

function fieldOf(value: Value, field: string, parent: string, path: readonly string[]): Value {
  if (typeof value === 'object' && value !== null && field in value) return (value as Record<string, Value>)[field];
  if (openMaps.includes(parent)) return undefined;
  const why =
    value === null || value === undefined
      ? `nil data; no entry for key "${field}"`
      : `map has no entry for key "${field}"`;
  throw new HolmError('invalid', `template: :1: executing "" at <.${path.join('.')}>: ${why}`);
}

function wrong(why: string): HolmError {
  return new HolmError('invalid', `template parsing error: template: :1: ${why}`);
}
